"""Settings of the compression phase."""

from configs.settings import Settings


class Compression(Settings):
    """To be filled in."""
