"""Settings of the release phase."""

from configs.settings import Settings


class Release(Settings):
    """To be filled in."""
