"""Where a session pays: it claims calls against the budget, waits its turn, and settles them, durably each time.

Not here: the transactions (claims.py), the calls (one_call.py, batches.py).
"""

import asyncio
import json
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from blocks.journal.budget import Usage, nano, price
from blocks.journal.journal import ANSWERED, BATCH, REJECTED, Journal, Row
from blocks.teachers.calling.faults import clean, redact
from blocks.teachers.calling.items import CUT_OFF, Item, Made, Seat, Unmade
from blocks.teachers.paying.claims import Busy, Claim, Granted, Refused, Settle, Slot
from blocks.teachers.paying.writer import Writer
from blocks.teachers.provider import Reply
from blocks.teachers.replies.counts import believed
from configs.phases.teachers import Teachers

log = logging.getLogger("cogumi.teachers")
HIDDEN_TOKENS = 131_072
"""What a provider may truly count beyond what was set aside: reasoning that max_tokens does not bound, its own
preamble, what it searched for."""
T = TypeVar("T")


class Stopped(Exception):
    """The session is interrupted: nothing new is sent."""


@dataclass(frozen=True, slots=True)
class Held:
    """The call is in flight in a batch, of this or another process."""

    marker: str


class Till:
    """The paying side of one session."""

    def __init__(self, journal: Journal, teachers: Teachers, role: str, session: str, secrets: list[str]) -> None:
        self.journal, self.account, self.role, self.session, self.secrets = (
            journal,
            teachers.account,
            role,
            session,
            secrets,
        )
        self._cap, self._writer = nano(teachers.cap_dollars), Writer(journal)
        self._in_flight, self._landings, self._landed = 0, 0, asyncio.Condition()
        self._full: int | None = None
        self._stopped = asyncio.Event()

    @property
    def in_flight(self) -> int:
        """Calls that are granted and not over."""
        return self._in_flight

    @property
    def stopped(self) -> bool:
        """Whether the session is interrupted."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Let nothing new be sent, and end every wait for a turn; what was sent is awaited and settled."""
        self._stopped.set()

    async def unless_stopped(self, waiting: Awaitable[T]) -> T:
        """The result of ``waiting``, for which nobody is billed.

        Raises:
            Stopped: the session is, or was, interrupted meanwhile.
        """
        wait, stop = asyncio.ensure_future(waiting), asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait({wait, stop}, return_when=asyncio.FIRST_COMPLETED)
            if self._stopped.is_set():
                raise Stopped
            return await wait
        finally:
            for each in (wait, stop):
                each.cancel()

    async def rest(self, seconds: float) -> None:
        """Wait so long.

        Raises:
            Stopped: as :meth:`unless_stopped`.
        """
        if seconds > 0:
            await self.unless_stopped(asyncio.sleep(seconds))
        elif self._stopped.is_set():
            raise Stopped

    async def claim(self, item: Item, seat: Seat, *, batch: str | None = None) -> Granted | Made | Unmade | Held:
        """Reserve the worst case and write the intent, in one. Waits while another session makes the same call, and
        while calls of this one are in flight that may give money back. ``batch`` owns the call instead of the session.

        Raises:
            Stopped: the session is interrupted.
        """
        reserve = seat.worst(item, batch=batch is not None)
        if self._full is not None and reserve >= self._full:
            return Unmade("over the budget", over=reserve)
        claim = self._claim(item, seat, reserve, batch)
        pause = 0.05
        while True:
            await self.rest(0)
            landed = self._landings
            result = await self._writer.do(claim)
            if isinstance(result, Granted):
                if batch is None:
                    self._in_flight += 1
                return result
            if isinstance(result, Row):
                return Made(result, free=True)
            if isinstance(result, Busy):
                if result.owner.startswith(BATCH):
                    return Held(result.owner.removeprefix(BATCH))
                await self.rest(pause)
                pause = min(1.0, pause * 1.5)
                continue
            assert isinstance(result, Refused)
            await asyncio.sleep(0)  # those granted in the same transaction count themselves in flight first
            async with self._landed:
                if self._in_flight:
                    await self._landed.wait()
                elif landed == self._landings:  # nothing of ours can give money back: it stays refused
                    self._full = min(reserve, self._full or reserve)
                    return Unmade("over the budget", over=reserve)

    def _claim(self, item: Item, seat: Seat, reserve: int, batch: str | None) -> Claim:
        return Claim(
            key=item.keys[seat.place],
            owner=self.session if batch is None else BATCH + batch,
            account=self.account,
            cap=self._cap,
            reserve=reserve,
            teacher=seat.name,
            provider=seat.settings.provider,
            model=seat.settings.model,
            role=self.role,
            purpose=item.purpose,
            messages=json.dumps([[message.role, message.content] for message in item.messages]),
            rate=seat.rate,
            tokens=item.tokens,
            scope=seat.scope,
            repeat_s=seat.settings.idempotent_s if batch is None else 0.0,
        )

    async def turn(self, item: Item, seat: Seat, hold: float) -> float:
        """Seconds until a retry may go; ``hold`` makes every user of this limit wait so long."""
        wait = await self._writer.do(Slot(seat.rate, item.tokens, hold))
        assert isinstance(wait, float)
        return wait

    async def settle(self, end: Settle) -> None:
        """Write the end of a call; durable when this returns."""
        await self._writer.do(end)

    def reopen(self) -> None:
        """Calls have given money back: what was over the budget may fit again."""
        self._full = None

    async def land(self) -> None:
        """A granted call of this session is over: wake those that wait for its money."""
        self._in_flight -= 1
        self._landings += 1
        async with self._landed:
            self._landed.notify_all()

    async def close(self) -> None:
        """Carry what is still to be written."""
        await self._writer.close()


def answered(
    till: Till, seat: Seat, key: str, number: int, worst: int, retries: int, reply: Reply, *, batch: bool = False
) -> Settle:
    """The end of a call with a reply, at its price; at its worst case where the provider did not say what it used, or
    said what cannot be."""
    refused = (
        redact(reply.refused, till.secrets)
        if reply.refused
        else None
        if reply.text.strip() or reply.cut
        else "empty answer"
    )
    usage, cost = _billed(seat, reply, worst, batch)
    return Settle(
        key=key,
        number=number,
        state=REJECTED if refused else ANSWERED,
        price=cost,
        prompt_tokens=usage.prompt if usage else 0,
        cached_tokens=usage.cached if usage else 0,
        completion_tokens=usage.completion if usage else 0,
        retries=retries,
        text=clean(reply.text),
        reject=refused or (CUT_OFF if reply.cut else None),
    )


def _billed(seat: Seat, reply: Reply, worst: int, batch: bool) -> tuple[Usage | None, int]:
    """The usage as far as it is believed, and the price of the call in nano-dollars.

    What is more than was set aside is counted as told while it can be true: the account must not know less than the
    provider charges. Beyond that, and where an answer is said to have taken no token, it is not believed.
    """
    usage = believed(reply.usage)
    if usage is not None and usage.completion == 0 and reply.text.strip():
        usage = None
    if usage is None:
        seat.note(
            "does not say what a call used, or not in a way that can be believed; such calls count at their worst case"
        )
        return None, worst
    prices = seat.settings.prices
    cost = price(prices, usage, batch=batch)
    if cost <= worst:
        return usage, cost
    hidden = Usage(prompt=HIDDEN_TOKENS, cached=0, written=0, completion=HIDDEN_TOKENS)
    if cost > worst + price(prices, hidden, batch=batch):
        seat.note(
            f"says that a call used {usage.prompt} and {usage.completion} tokens, which cannot be; such calls count at "
            "their worst case"
        )
        return None, worst
    seat.note(
        f"counts more than was set aside for a call ({usage.prompt} tokens in, {usage.completion} out); it is counted "
        "as told, and can go beyond the cap by as much"
    )
    return usage, cost


def row(end: Settle, seat: Seat) -> Row:
    """A settled call as the journal would tell it."""
    return Row(
        key=end.key,
        number=end.number,
        teacher=seat.name,
        model=seat.settings.model,
        state=end.state,
        price=end.price,
        prompt_tokens=end.prompt_tokens,
        cached_tokens=end.cached_tokens,
        completion_tokens=end.completion_tokens,
        text=end.text,
        reject=end.reject,
    )
