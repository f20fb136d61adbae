"""Settings of the routing phase."""

from configs.settings import Settings


class Routing(Settings):
    """To be filled in."""
