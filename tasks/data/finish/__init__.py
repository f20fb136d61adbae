"""The finished dataset: balanced, split, described and measured."""
