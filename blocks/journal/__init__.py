"""What is written down for good: teacher calls and their money, what happened in runs, what was served; and where a row
comes from."""
