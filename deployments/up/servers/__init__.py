"""Prefect's server: this run's own, that of ``cogumi up``, or one elsewhere; its database, login and guard."""
