"""One file per provider; each registers itself with ``@provider(name)``."""
