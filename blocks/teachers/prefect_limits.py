"""Prefect's global rate limits, strict, as the keeper of a teacher's limits instead of the journal's buckets.

Slots are taken for all waiting calls of a teacher in one request to the server. ``limits`` says which limits must exist;
`cogumi up` makes them, each with ``limit = max(1, ceil(slots per second))``. Not here: the journal's buckets (rates.py).
"""

import asyncio
import math
from collections.abc import Callable

from blocks.errors import BadInput, Transient
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
        self._rates = {_name(teacher, kind): per for kind, per in (("requests", settings.requests_per_minute), ("tokens", settings.tokens_per_minute)) if per is not None}
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
                batch, self._waiting = self._waiting, []
                try:
                    for name, per_minute in self._rates.items():
                        await _occupy(name, per_minute, len(batch) if name.endswith("-requests") else sum(tokens for tokens, _ in batch))
                except Exception as error:
                    _settle(batch, lambda future, error=error: future.set_exception(error))  # type: ignore[misc]
                    continue
                _settle(batch, lambda future: future.set_result(None))
        finally:
            self._carrier = None


def _settle(batch: list[tuple[int, asyncio.Future[None]]], act: Callable[[asyncio.Future[None]], None]) -> None:
    for _, future in batch:
        if not future.done():
            act(future)


async def _occupy(name: str, per_minute: int, slots: int) -> None:
    """Take slots, at most the limit's size at a time: Prefect never grants more at once."""
    from prefect.concurrency._asyncio import ConcurrencySlotAcquisitionError
    from prefect.concurrency.asyncio import rate_limit

    size = max(1, math.ceil(per_minute / 60))
    while slots > 0:
        part = min(slots, size)
        try:
            await rate_limit(name, occupy=part, strict=True)
        except ConcurrencySlotAcquisitionError as error:
            if "strict" in str(error).lower() or "not found" in str(error).lower() or "must" in str(error).lower():
                raise BadInput(f"Prefect has no global limit {name}; run `cogumi up`, or set teachers.limiter to journal") from None
            raise Transient(f"Prefect's limit {name} could not be taken: {' '.join(str(error).split())}") from None
        slots -= part
