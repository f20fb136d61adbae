"""The work: one folder per phase, one file per method."""
