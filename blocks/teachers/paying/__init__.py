"""The money of calls: claimed before, settled after, and the bill of a phase."""
