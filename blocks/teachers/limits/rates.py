"""Rate limits as a leaky bucket (GCRA): every call is given the earliest moment at which it keeps the limits.

The bucket stands in the journal's database and a slot is taken in the transaction that writes the intent, so a limit
holds over every process that shares the journal and costs no round trip of its own. Calls are spaced evenly: no window
of a minute holds more than the limit plus the call at its edge. Not here: Prefect's global limits (prefect_limits.py).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """The limits of one provider's model, per minute; None: no limit."""

    name: str
    requests: int | None
    tokens: int | None


@dataclass(slots=True)
class Bucket:
    """When the next request, and the next token, may go: seconds since 1970."""

    requests_at: float
    tokens_at: float

    def take(self, now: float, rate: Rate, tokens: int) -> float:
        """Take one request of ``tokens``; seconds to wait for its turn."""
        start = max(now, self.requests_at, self.tokens_at)
        self.requests_at = start + (60 / rate.requests if rate.requests else 0)
        self.tokens_at = start + (60 * tokens / rate.tokens if rate.tokens else 0)
        return start - now

    def hold(self, now: float, seconds: float) -> None:
        """Nobody may go before ``seconds`` from now: the provider said so."""
        self.requests_at = max(self.requests_at, now + seconds)
