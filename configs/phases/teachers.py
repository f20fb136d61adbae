"""Settings of the teachers: who is asked for what, prices, limits, the dollar cap."""

from configs.settings import Settings


class Teachers(Settings):
    """To be filled in."""
