"""What does not belong into a dataset, found and taken out."""
