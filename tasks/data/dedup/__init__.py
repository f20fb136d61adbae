"""Near-duplicate removal: MinHash banding to find candidates, exact Jaccard to judge them. Start at near.py or
files.py."""
