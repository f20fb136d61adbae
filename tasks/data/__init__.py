"""The dataset phase: from a plan of questions to a split, described dataset."""
