"""How many calls a minute: the journal's own buckets, or Prefect's limits."""
