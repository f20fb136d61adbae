"""Public instruction data: a table of sources, an adapter per shape, one step that reads, ranks and records."""
