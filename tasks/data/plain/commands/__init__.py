"""What ``cogumi data …`` does to plain files: one file per command, each a function with typed parameters and a
report."""
