"""Settings of the training phase."""

from configs.settings import Settings


class Training(Settings):
    """To be filled in."""
