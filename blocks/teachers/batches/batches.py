"""Calls through a provider's batch API: submitted once, looked after, and found again after a crash.

The batch and its calls are in the journal before the submission, under a marker that the provider keeps with the batch.
A process that finds calls held by a batch goes on with it: by its id, or, if the submitter died in between, by looking
for the marker; only a batch that the provider never had gives its reservations back, and one that it no longer knows is
lost. Not here: single calls (one_call.py).
"""

import asyncio
import logging
import uuid
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from typing import TypeVar

from blocks.journal.journal import FAILED, LOST, REJECTED
from blocks.teachers.batches import batch_records
from blocks.teachers.calling.faults import Fault, backoff, redact, unexpected
from blocks.teachers.calling.items import Item, Made, Seat, Unmade
from blocks.teachers.paying.claims import Granted, Settle
from blocks.teachers.paying.till import Held, Till, answered
from blocks.teachers.provider import NAMELESS, BatchProvider, Call, Reply
from configs.errors import BadInput, CogumiError

T = TypeVar("T")
log = logging.getLogger("cogumi.teachers")
CALLS, BYTES = 10_000, 50_000_000
"""Bounds of one batch: below those of OpenAI (50,000 and 200 MB), Groq (50,000 and 100 MB) and Anthropic (100,000 and
256 MB)."""


class Batches:
    """The batches of one teacher in one session."""

    def __init__(self, seat: Seat, till: Till, poll_s: float) -> None:
        self._seat, self._till, self._poll_s = seat, till, poll_s
        self._resuming: dict[str, asyncio.Task[None]] = {}
        self._faults: dict[str, Fault] = {}  # of single calls, by the journal's keys: the latest
        self._unreadable: Counter[str] = Counter()  # how often, by the same
        self._answers = False

    async def run(self, items: Sequence[Item]) -> list[Made | Unmade | Fault]:
        """Answers of the teacher to all items, in order; a Fault where it failed in a way that is not final.

        Raises:
            BadInput: the provider has no batch API.
        """
        results: list[Made | Unmade | Fault | None] = [None] * len(items)
        failures = [0] * len(items)
        todo = list(range(len(items)))
        while todo and self._seat.out is None:
            asked, refused, fault = await self._round({at: items[at] for at in todo}, results)
            found = await asyncio.to_thread(self._till.journal.find, [items[at].keys[self._seat.place] for at in asked])
            for at in asked:
                failures[at] += 1
                if (row := found.get(items[at].keys[self._seat.place])) is not None:
                    results[at] = Made(row, free=False)
                elif (
                    own := self._faults.get(items[at].keys[self._seat.place])
                ) is not None and own.kind == "unavailable":
                    results[at] = own
                elif fault is not None or failures[at] > self._seat.settings.max_retries:
                    results[at] = fault or own or Fault("retry", "batches did not answer it")
            if not asked or fault is not None:
                results = [refused.get(at, fault) if result is None else result for at, result in enumerate(results)]
            self._till.reopen()
            todo = [at for at in todo if results[at] is None]
        return [
            result if result is not None else (self._seat.out or Fault("retry", "batches did not answer it"))
            for result in results
        ]

    async def _round(
        self, items: Mapping[int, Item], results: list[Made | Unmade | Fault | None]
    ) -> tuple[list[int], dict[int, Unmade], Fault | None]:
        """Claim what the budget allows, submit it, and wait. Returns what was asked, what was over the budget, and what
        went wrong with a batch as a whole."""
        asked: list[int] = []
        refused: dict[int, Unmade] = {}
        held: set[str] = set()
        submitted = []
        for part in _parts(items):
            marker = f"cogumi-{uuid.uuid4().hex}"
            await asyncio.to_thread(batch_records.start, self._till.journal, marker, self._till.session)
            claimed = await asyncio.gather(*(self._till.claim(items[at], self._seat, batch=marker) for at in part))
            calls: dict[str, Call] = {}
            for at, claim in zip(part, claimed, strict=True):
                if isinstance(claim, Granted):
                    calls[items[at].keys[self._seat.place]] = self._seat.call(items[at])
                    asked.append(at)
                elif isinstance(claim, Held):
                    held.add(claim.marker)
                    asked.append(at)
                elif isinstance(claim, Unmade):
                    refused[at] = claim
                else:
                    results[at] = claim
            if calls:
                log.info("teacher %s: a batch of %d calls", self._seat.name, len(calls))
                submitted.append(asyncio.create_task(self._submit(marker, calls)))
        outcomes = await asyncio.gather(*submitted, *(self.resume(marker) for marker in held), return_exceptions=True)
        fault: Fault | None = None
        for outcome in outcomes:
            if isinstance(outcome, Fault):
                fault = outcome
                fault.reason = redact(fault.reason, self._till.secrets)
            elif isinstance(outcome, BaseException):
                raise outcome
        return asked, refused, fault

    async def _submit(self, marker: str, calls: Mapping[str, Call]) -> None:
        """Submit once; where it is unclear whether the provider has it, look for it first."""
        retries = 0
        while True:
            try:
                await self._know(marker, await self._within(self._provider.submit(marker, calls)))
                break
            except Fault as fault:
                if (
                    fault.kind != "retry"
                    or retries >= self._seat.settings.max_retries
                    or self._seat.too_long(fault.wait)
                ):
                    if not fault.billed:
                        await self._release(marker, fault)
                    raise
                await asyncio.sleep(backoff(retries, fault.wait))
                retries += 1
                if fault.billed and (known := await self._find(marker)) is not None:
                    await self._know(marker, known)
                    break
        await self._wait(marker)

    async def resume(self, marker: str) -> None:
        """Go on with a batch that another session, or an earlier one, has opened; returns when its calls are
        settled."""
        if marker not in self._resuming:
            self._resuming[marker] = asyncio.create_task(self._resume(marker))
        await asyncio.shield(self._resuming[marker])

    async def _resume(self, marker: str) -> None:
        while True:
            batch = await asyncio.to_thread(batch_records.look, self._till.journal, marker)
            if batch.finished:
                return
            if batch.id is not None:
                return await self._wait(marker)
            if batch.abandoned:
                if (known := await self._find(marker)) is None:
                    return await self._release(marker, Fault("retry", "its batch was never submitted"))
                await self._know(marker, known)
                return await self._wait(marker)
            await asyncio.sleep(self._poll_s)

    async def _wait(self, marker: str) -> None:
        """Look at the batch until it is done, and settle its calls."""
        batch = await asyncio.to_thread(batch_records.look, self._till.journal, marker)
        assert batch.id is not None
        failures = incomplete = 0
        while True:
            try:
                replies = await self._within(self._provider.collect(batch.id))
                failures = 0
                lacking = replies.get(NAMELESS) if replies is not None else None
                if isinstance(lacking, Fault) and lacking.unanswered and incomplete < self._seat.settings.max_retries:
                    replies, incomplete = None, incomplete + 1  # they may have been cut off on the way
            except Fault as fault:
                if fault.gone and failures >= self._seat.settings.max_retries:
                    return await self._give_up(marker, batch.id, fault)
                if fault.kind == "reject" and not fault.gone:
                    await self._release(marker, fault)
                if not (fault.gone or fault.kind == "retry") or failures >= self._seat.settings.max_retries:
                    raise
                replies, failures = None, failures + 1
            if replies is not None:
                break
            await asyncio.sleep(self._poll_s)
        self._answers = self._answers or any(isinstance(reply, Reply) for reply in replies.values())
        waiting = await asyncio.to_thread(batch_records.waiting, self._till.journal, marker)
        ends = [self._end(call, replies.get(call.key, replies.get(NAMELESS))) for call in waiting]
        await asyncio.gather(*(self._till.settle(end) for end in ends))
        await asyncio.to_thread(batch_records.finish, self._till.journal, marker)

    def _end(self, call: batch_records.Waiting, reply: Reply | Fault | None) -> Settle:
        """The end of a call by its line. Whatever a line does to whoever reads it, it is a fault of this call."""
        try:
            if isinstance(reply, Reply):
                return answered(
                    till=self._till,
                    seat=self._seat,
                    key=call.key,
                    number=call.number,
                    worst=call.reserved,
                    retries=0,
                    reply=reply,
                    batch=True,
                )
        except Exception as error:
            reply = unexpected(error, "a line of the batch")
        fault = reply if isinstance(reply, Fault) else Fault("retry", "the batch ended without it")
        fault.reason = redact(fault.reason, self._till.secrets)
        self._faults[call.key] = fault
        self._unreadable[call.key] += fault.unreadable
        if (
            self._answers and self._unreadable[call.key] > self._seat.settings.max_retries
        ):  # as often as anybody tries, and others are read
            return Settle(call.key, call.number, REJECTED, call.reserved, reject=f"unreadable: {fault.reason}")
        state = REJECTED if fault.kind == "reject" else LOST if fault.billed else FAILED
        return Settle(call.key, call.number, state, call.reserved if fault.billed else 0, reject=fault.reason)

    async def _within(self, sent: Awaitable[T]) -> T:
        """What the provider answers to one request about a batch.

        Raises:
            Fault: also where it made its reader fail in a way that nobody foresaw.
        """
        try:
            return await sent
        except (Fault, CogumiError):
            raise
        except Exception as error:
            raise unexpected(error, "the batch") from None

    async def _find(self, marker: str) -> str | None:
        """The provider's id of the batch with this marker, if it has one."""
        batch = await asyncio.to_thread(batch_records.look, self._till.journal, marker)
        waiting = await asyncio.to_thread(batch_records.waiting, self._till.journal, marker)
        retries = 0
        while True:
            try:
                return await self._within(
                    self._provider.find(
                        marker, {call.key for call in waiting}, batch.created, batch.others, self._poll_s
                    )
                )
            except Fault as fault:
                if (
                    fault.kind != "retry"
                    or self._seat.too_long(fault.wait)
                    or retries >= self._seat.settings.max_retries
                ):
                    raise
                await asyncio.sleep(backoff(retries, fault.wait))
                retries += 1

    async def _know(self, marker: str, batch: str) -> None:
        await asyncio.to_thread(batch_records.submitted, self._till.journal, marker, batch)

    async def _release(self, marker: str, fault: Fault) -> None:
        """The provider never had it, or refused it whole: give the reservations back."""
        reason = redact(fault.reason, self._till.secrets)
        for call in await asyncio.to_thread(batch_records.waiting, self._till.journal, marker):
            await self._till.settle(Settle(call.key, call.number, FAILED, 0, reject=reason))
        await asyncio.to_thread(batch_records.finish, self._till.journal, marker)

    async def _give_up(self, marker: str, name: str, fault: Fault) -> None:
        """The provider no longer knows the batch, or its results: it may have charged it, so the calls are lost."""
        reason = redact(fault.reason, self._till.secrets)
        waiting = await asyncio.to_thread(batch_records.waiting, self._till.journal, marker)
        told = (
            "teacher %s no longer knows batch %s (%s): its %d calls stay counted at their worst case and are asked "
            "again"
        )
        log.warning(told, self._seat.name, name, reason, len(waiting))
        for call in waiting:
            await self._till.settle(Settle(call.key, call.number, LOST, 0, reject=f"its batch is gone: {reason}"))
        await asyncio.to_thread(batch_records.finish, self._till.journal, marker)

    @property
    def _provider(self) -> BatchProvider:
        if not isinstance(self._seat.client, BatchProvider):
            raise BadInput(
                f"provider {self._seat.settings.provider} has no batch API; set "
                f"teachers.models.{self._seat.name}.batch to false"
            )
        return self._seat.client


def _parts(items: Mapping[int, Item]) -> list[list[int]]:
    """The items in parts that fit one batch."""
    parts: list[list[int]] = []
    size = BYTES
    for at, item in items.items():
        bytes_here = 400 + sum(len(message.content.encode(errors="replace")) * 2 for message in item.messages)
        if not parts or len(parts[-1]) >= CALLS or size + bytes_here > BYTES:
            parts.append([])
            size = 0
        parts[-1].append(at)
        size += bytes_here
    return parts
