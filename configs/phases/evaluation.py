"""Settings of the evaluation phase."""

from configs.settings import Settings


class Evaluation(Settings):
    """To be filled in."""
