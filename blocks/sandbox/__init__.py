"""Generated code: where it runs, shut in, and how its tests judge it from another process."""
