"""Settings of the data phase."""

from configs.settings import Settings


class Data(Settings):
    """To be filled in."""
