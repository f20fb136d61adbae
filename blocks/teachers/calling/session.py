"""A session: one ``ask`` for one role. The chain's teachers one after the other, each for what those before left open.

Not here: one call (one_call.py), a batch (batches.py), what is public (ask.py).
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Sequence

from blocks.journal.journal import ANSWERED, REJECTED, Journal
from blocks.own_loop import GRACE_S
from blocks.teachers import provider
from blocks.teachers.batches.batches import Batches
from blocks.teachers.calling import live_sessions, refusals, repeats
from blocks.teachers.calling.faults import Fault
from blocks.teachers.calling.items import Item, Made, Seat, Unmade
from blocks.teachers.calling.one_call import ask_one
from blocks.teachers.keys import key_of
from blocks.teachers.limits.prefect_limits import PrefectLimits
from blocks.teachers.limits.rates import Rate
from blocks.teachers.paying import claims
from blocks.teachers.paying.till import Held, Stopped, Till
from configs.errors import CogumiError
from configs.phases.teachers import Teachers

log = logging.getLogger("cogumi.teachers")
HEARTBEAT_S = 15.0


class Session:
    """Answers of ``role``'s teachers to requests that the journal does not know yet."""

    def __init__(self, journal: Journal, teachers: Teachers, role: str, answered: set[str]) -> None:
        """``answered``: the teachers whose answers to other requests of the same ``ask`` stand in the journal."""
        self.journal, self.teachers, self.role, self._answered = journal, teachers, role, answered
        self._id = uuid.uuid4().hex
        self._till: Till | None = None
        self._batches: asyncio.Future[list[Made | Unmade | Fault]] | None = None

    def stop(self) -> None:
        """Interrupted: send nothing new, and end as soon as the calls that are on their way have arrived. Called on the
        loop of :meth:`run`."""
        if self._till is None or self._till.stopped:
            return
        if self._till.in_flight:
            kept = "interrupted: %d calls are on their way and are kept if they arrive within %d s"
            log.warning(kept, self._till.in_flight, GRACE_S)
        self._till.stop()
        if self._batches is not None:
            self._batches.cancel()  # the provider goes on with it, and the next run takes it up

    async def run(self, items: Sequence[Item], advance: Callable[..., None]) -> list[Made | Unmade]:
        """Ask for every item; results in order.

        Raises:
            BadInput: a teacher of the chain has no key; nothing was asked.
            Stopped: interrupted before the first call.
        """
        results: list[Made | Unmade | None] = [None] * len(items)
        faults: dict[int, list[tuple[Seat, Fault]]] = {}
        seats: list[Seat] = []
        secrets: list[str] = []
        till = self._till = Till(self.journal, self.teachers, self.role, self._id, secrets)
        await asyncio.to_thread(live_sessions.begin, self.journal, self._id)
        beating = asyncio.create_task(self._beat())
        try:
            seats = await till.unless_stopped(self._seats(secrets))
            todo = list(range(len(items)))
            for seat in seats:
                if till.stopped:
                    break

                def done(at: int, made: Made | Unmade | Fault, seat: Seat = seat) -> None:
                    """Keep a result; a refusal or fault leaves the item to the next teacher."""
                    if isinstance(made, Fault):
                        faults.setdefault(at, []).append((seat, made))
                    else:
                        results[at] = made
                    if seat is seats[-1] or not _left(made):
                        advance()

                await self._stage(seat, till, items, todo, done)
                todo = [at for at in todo if _left(results[at])]
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
        finally:
            beating.cancel()
            await till.close()
            for seat in seats:
                await seat.client.close()
            try:
                claims.abandon(self.journal, self._id)
            finally:
                live_sessions.end(self.journal, self._id)
        self._answered |= {
            made.row.teacher for made in results if isinstance(made, Made) and made.row.state == ANSWERED
        }
        alone = len(items) == 1
        return [self._verdict(item, results[at], faults.get(at, []), alone=alone) for at, item in enumerate(items)]

    async def _stage(
        self,
        seat: Seat,
        till: Till,
        items: Sequence[Item],
        todo: list[int],
        done: Callable[[int, Made | Unmade | Fault], None],
    ) -> None:
        """One teacher for all that is left to it: by its batch API, or by calls of which ``concurrency`` are in
        flight."""
        batches = Batches(seat, till, self.teachers.batch_poll_s)
        if seat.settings.batch and todo:
            self._batches = asyncio.ensure_future(batches.run([items[at] for at in todo]))
            for at, made in zip(todo, await self._batches, strict=True):
                self._tell(seat, made)
                done(at, made)
            return
        turns = iter(todo)

        async def work() -> None:
            for at in turns:
                if till.stopped:
                    return
                made = await one(items[at])
                self._tell(seat, made)
                done(at, made)

        async def one(item: Item) -> Made | Unmade | Fault:
            while seat.out is None:
                try:
                    made = await ask_one(item, seat, till)
                    if not isinstance(made, Held):
                        return made
                    await till.unless_stopped(batches.resume(made.marker))
                except Fault as fault:
                    return fault
                except Stopped:
                    return Unmade("interrupted", passing=True)
            return seat.out

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self.teachers.concurrency, len(todo))):
                group.create_task(work())

    def _tell(self, seat: Seat, made: Made | Unmade | Fault) -> None:
        """Note whether a teacher still answers."""
        if isinstance(made, Made):
            seat.failures = 0
        elif isinstance(made, Fault) and made is not seat.out and seat.failed(made):
            log.warning("teacher %s is left out of the rest of this run: %s", seat.name, made.reason)

    def _verdict(
        self, item: Item, made: Made | Unmade | None, faults: list[tuple[Seat, Fault]], *, alone: bool
    ) -> Made | Unmade:
        """What came of one item: a refusal counts only when no teacher failed to speak. ``alone``: it alone was
        asked."""
        if made is not None and not (faults and _left(made)):
            return made
        if not self._own(faults, alone=alone):
            reasons = "; ".join(f"{seat.name}: {fault.reason}" for seat, fault in faults)
            return Unmade(reasons, passing=any(fault.kind == "retry" for _, fault in faults))
        if made is not None:
            return made
        seat, fault = faults[-1]
        what = (
            "'s answers to a request cannot be read" if fault.unreadable else " refused a request and did not say why"
        )
        told = f"teacher %s{what}; it goes without an answer, the next run asks it again: %s"
        log.warning(told, seat.name, fault.reason)
        return Made(refusals.for_now(item.keys[seat.place], seat.name, seat.settings, fault), free=False)

    def _own(self, faults: list[tuple[Seat, Fault]], *, alone: bool) -> bool:
        """Whether faults that do not say whose they are count as the request's own for now: one of the teachers answers
        others. So do answers that came, to every try, and cannot be read."""
        if any((fault.kind != "unclear" and not fault.unreadable) or seat.out is not None for seat, fault in faults):
            return False
        if any(seat.name in self._answered for seat, _ in faults):
            return True
        account, role = self.teachers.account, self.role
        return alone and any(
            refusals.answers_others(self.journal, account, seat.name, seat.settings, role) for seat, _ in faults
        )

    async def _seats(self, secrets: list[str]) -> list[Seat]:
        """The chain's clients. Every key is looked for before the first client is made."""
        chain = [(name, self.teachers.models[name]) for name in self.teachers.roles[self.role]]
        makers = [provider.find(settings.provider) for _, settings in chain]
        keys = [await key_of(name, settings) for name, settings in chain]
        secrets.extend(value for value in keys if value)
        return [
            Seat(
                place=place,
                name=name,
                settings=settings,
                client=maker(settings, value),
                rate=Rate(
                    f"{settings.provider}/{settings.model}", settings.requests_per_minute, settings.tokens_per_minute
                ),
                slots=PrefectLimits(name, settings) if self.teachers.limiter == "prefect" else None,
                scope=repeats.scope(settings, value),
            )
            for place, ((name, settings), maker, value) in enumerate(zip(chain, makers, keys, strict=True))
        ]

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            await asyncio.to_thread(live_sessions.beat, self.journal, self._id)


def _left(made: Made | Unmade | Fault | None) -> bool:
    """Whether the next teacher is to be asked."""
    return made is None or isinstance(made, Fault) or (isinstance(made, Made) and made.row.state == REJECTED)


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that says most: one of ours before any other."""
    found: list[BaseException] = []

    def collect(group: BaseExceptionGroup[BaseException]) -> None:
        for error in group.exceptions:
            if isinstance(error, BaseExceptionGroup):
                collect(error)
            else:
                found.append(error)

    collect(errors)
    return next((error for error in found if isinstance(error, CogumiError)), found[0])
