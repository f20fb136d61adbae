"""Settings of the modifiers phase."""

from configs.settings import Settings


class Modifiers(Settings):
    """To be filled in."""
