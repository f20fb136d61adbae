"""What was asked and spent, told."""
