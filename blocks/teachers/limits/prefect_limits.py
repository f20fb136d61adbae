"""Prefect's global rate limits, strict, as the keeper of a teacher's limits instead of the journal's buckets.

Slots are taken in one request to the server for as many waiting calls as it grants at once. ``limits`` says which
limits must exist; `cogumi up` makes them, each with ``limit = max(1, ceil(slots per second))``. Not here: the journal's
buckets (rates.py).
"""

import asyncio
import math

from configs.errors import BadInput, Transient
from configs.phases.teachers import TeacherModel, Teachers


def limits(teachers: Teachers) -> dict[str, float]:
    """The global limits of all teachers: name → slots that come free per second."""
    made = {}
    for name, model in teachers.models.items():
        for kind, per_minute in (("requests", model.requests_per_minute), ("tokens", model.tokens_per_minute)):
            if per_minute is not None:
                made[_name(name, kind)] = per_minute / 60
    return made


def _name(teacher: str, kind: str) -> str:
    return f"cogumi-{teacher}-{kind}"


class PrefectLimits:
    """The limits of one teacher, in one event loop."""

    def __init__(self, teacher: str, settings: TeacherModel) -> None:
        self._rates = {
            _name(teacher, kind): per
            for kind, per in (("requests", settings.requests_per_minute), ("tokens", settings.tokens_per_minute))
            if per is not None
        }
        self._at_once = _size(settings.requests_per_minute) if settings.requests_per_minute is not None else 1_000
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._carrier: asyncio.Task[None] | None = None

    async def take(self, tokens: int) -> None:
        """Wait for one request of ``tokens``.

        Raises:
            BadInput: a limit does not exist on the server.
        """
        if not self._rates:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((tokens, future))
        if self._carrier is None:
            self._carrier = asyncio.create_task(self._carry())
        await future

    async def _carry(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._at_once], self._waiting[self._at_once :]
                fault: Exception | None = None
                try:
                    for name, per_minute in self._rates.items():
                        await _occupy(
                            name,
                            per_minute,
                            len(batch) if name.endswith("-requests") else sum(tokens for tokens, _ in batch),
                        )
                except Exception as error:
                    fault = error
                for _, future in batch:
                    if not future.done():
                        future.set_result(None) if fault is None else future.set_exception(fault)
        finally:
            self._carrier = None


def _size(per_minute: int) -> int:
    """Slots of a limit: what comes free in a second, so that a burst is no longer than that."""
    return max(1, math.ceil(per_minute / 60))


async def _occupy(name: str, per_minute: int, slots: int) -> None:
    """Take slots, at most the limit's size at a time: Prefect never grants more at once."""
    from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError, rate_limit

    size = _size(per_minute)
    while slots > 0:
        part = min(slots, size)
        try:
            await rate_limit(name, occupy=part, strict=True)
        except ConcurrencySlotAcquisitionError as error:
            if "must be created" in str(error):
                raise BadInput(
                    f"Prefect has no global limit {name}; run `cogumi up`, or set teachers.limiter to journal"
                ) from None
            raise Transient(f"Prefect's limit {name} could not be taken: {' '.join(str(error).split())}") from None
        slots -= part
