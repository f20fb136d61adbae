"""Parquet: rows as columns, and columns as rows."""
