"""How long a command took, for its report."""

import time


class Clock:
    """Runs from its making."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def seconds(self) -> float:
        """Seconds so far, to a thousandth."""
        return round(time.monotonic() - self._started, 3)

    def per_second(self, records: int) -> float:
        """Records per second so far."""
        return round(records / max(time.monotonic() - self._started, 1e-9), 1)
