"""Rule filters, one file each; table.py lists them in order."""
