"""One settings model per phase; ``configs.schema`` puts them together into a profile."""
