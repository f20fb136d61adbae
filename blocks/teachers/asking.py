"""The path of a call: journal → budget → rate limit → provider with retries → next teacher → journal.

A session is one ``ask``: it claims each call (intent, reservation and rate slot in one durable write), makes it, and
settles it before anybody sees the answer. A try that the provider may have charged without an answer reaching us stays
counted at its worst case. Not here: what is public (ask.py), the transactions (claims.py), batch APIs (batches.py).
"""

import asyncio
import hashlib
import json
import logging
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from blocks.budget import nano, price, worst_case
from blocks.chat_format import Message
from blocks.errors import CogumiError
from blocks.journal import ANSWERED, FAILED, LOST, REJECTED, Journal, Row
from blocks.teachers import claims, provider
from blocks.teachers.claims import Busy, Claim, Granted, Refused, Settle, Slot
from blocks.teachers.faults import Fault, backoff, redact
from blocks.teachers.keys import key_of
from blocks.teachers.prefect_limits import PrefectLimits
from blocks.teachers.rates import Rate
from blocks.teachers.writer import Writer
from configs.phases.teachers import TeacherModel, Teachers

log = logging.getLogger("cogumi.teachers")
HEARTBEAT_S = 15.0
BREAKS_AFTER = 5
"""A teacher with which so many requests in a row used up their retries is left alone for the rest of the session."""


@dataclass(frozen=True, slots=True)
class Item:
    """One distinct request: what is asked, and the journal's key of it for each teacher of the chain."""

    purpose: str
    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float
    attempt: int
    keys: tuple[str, ...]

    @property
    def tokens(self) -> int:
        """Estimate against a token limit: four bytes a token, as providers count ahead, and all of max_tokens."""
        return sum(len(message.content) for message in self.messages) // 4 + self.max_tokens


@dataclass(frozen=True, slots=True)
class Made:
    """A final answer or refusal; ``free``: it stood in the journal already."""

    row: Row
    free: bool


@dataclass(frozen=True, slots=True)
class Unmade:
    """A request without an answer, and why: ``over`` the budget (with its worst case in nano-dollars), or every teacher
    failed in a way that is not final."""

    reason: str
    over: int | None = None
    passing: bool = False


@dataclass(slots=True)
class Seat:
    """A teacher in this session: its client, its limits, and whether it still answers."""

    name: str
    settings: TeacherModel
    client: provider.Provider
    rate: Rate
    slots: PrefectLimits | None
    out: str | None = None
    passing: bool = False
    failures: int = 0


def key(teacher: TeacherModel, messages: Sequence[Message], max_tokens: int, temperature: float, attempt: int) -> str:
    """The journal's key of a request to a model: 32 hex digits, independent of prices, limits and names."""
    asked = [teacher.provider, teacher.model, [[message.role, message.content] for message in messages], max_tokens, float(temperature), attempt]
    return hashlib.sha256(json.dumps([*asked, teacher.options] if teacher.options else asked, sort_keys=True).encode()).hexdigest()[:32]


@dataclass
class Session:
    """One ``ask`` for one role."""

    journal: Journal
    teachers: Teachers
    role: str
    secrets: list[str] = field(default_factory=list)
    free: Counter[str] = field(default_factory=Counter)

    async def run(self, items: Sequence[Item], advance: Callable[..., None]) -> list[Made | Unmade]:
        """Ask every item that the journal does not know; results in order.

        Raises:
            BadInput: a teacher of the chain has no key; nothing was asked.
        """
        results: list[Made | Unmade | None] = [None] * len(items)
        self._id, self._cap = uuid.uuid4().hex, nano(self.teachers.cap_dollars)
        self._in_flight, self._landings, self._landed = 0, 0, asyncio.Condition()
        self._full: int | None = None
        seats: list[Seat] = []
        self._writer = Writer(self.journal)
        await asyncio.to_thread(claims.begin, self.journal, self._id)
        beating = asyncio.create_task(self._beat())
        try:
            seats = await self._seats()
            turns = iter(range(len(items)))

            async def work() -> None:
                for turn in turns:
                    results[turn] = await self._item(items[turn], seats)
                    advance()

            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.teachers.concurrency, len(items))):
                    group.create_task(work())
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
        finally:
            beating.cancel()
            for seat in seats:
                await seat.client.close()
            await self._writer.close()
            claims.end(self.journal, self._id, self.teachers.account, self.free)
        return [result for result in results if result is not None]

    def count_free(self) -> None:
        """Record that every answer came from the journal."""
        claims.end(self.journal, "", self.teachers.account, self.free)

    async def _seats(self) -> list[Seat]:
        """The chain's clients. Every key is looked for before the first client is made."""
        chain = [(name, self.teachers.models[name]) for name in self.teachers.roles[self.role]]
        makers = [provider.find(settings.provider) for _, settings in chain]
        keys = [await key_of(name, settings) for name, settings in chain]
        self.secrets = [value for value in keys if value]
        return [
            Seat(
                name=name,
                settings=settings,
                client=maker(settings, value),
                rate=Rate(f"{settings.provider}/{settings.model}", settings.requests_per_minute, settings.tokens_per_minute),
                slots=PrefectLimits(name, settings) if self.teachers.limiter == "prefect" else None,
            )
            for (name, settings), maker, value in zip(chain, makers, keys, strict=True)
        ]

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            await asyncio.to_thread(claims.beat, self.journal, self._id)

    async def _item(self, item: Item, seats: Sequence[Seat]) -> Made | Unmade:
        """Ask the chain: the next teacher where one refused or is down. The last refusal is the answer."""
        refusal: Made | None = None
        faults: list[str] = []
        passing = False
        for seat, call_key in zip(seats, item.keys, strict=True):
            if seat.out is not None:
                faults.append(f"{seat.name}: {seat.out}")
                passing |= seat.passing
                continue
            try:
                made = await self._teacher(item, seat, call_key)
            except Fault as fault:
                self._note(seat, fault)
                faults.append(f"{seat.name}: {fault.reason}")
                passing |= fault.kind == "retry"
                continue
            if isinstance(made, Unmade) or made.row.state != REJECTED:
                return made
            refusal = made
        return refusal if refusal is not None and not faults else Unmade("; ".join(faults), passing=passing)

    def _note(self, seat: Seat, fault: Fault) -> None:
        """Leave a teacher alone that answers nobody."""
        seat.failures += 1
        if seat.out is None and (fault.kind == "unavailable" or seat.failures >= BREAKS_AFTER):
            seat.out, seat.passing = fault.reason, fault.kind == "retry"
            log.warning("teacher %s is left out of the rest of this run: %s", seat.name, fault.reason)

    async def _teacher(self, item: Item, seat: Seat, call_key: str) -> Made | Unmade:
        """Ask one teacher until it answers, refuses, or has used up its retries (raises the last Fault)."""
        call = provider.Call(seat.settings.model, item.messages, item.max_tokens, item.temperature if seat.settings.temperature else None, item.attempt, seat.settings.options)
        retries = 0
        while True:
            claimed = await self._claim(item, seat, call_key)
            if not isinstance(claimed, Granted):
                return claimed
            wait, end, fault = claimed.wait, None, None
            self._in_flight += 1
            try:
                while end is None:
                    await asyncio.sleep(wait)
                    if seat.slots is not None:
                        await seat.slots.take(item.tokens)
                    try:
                        end = self._answered(item, seat, call_key, claimed.number, retries, await self._complete(seat, call))
                        seat.failures = 0
                    except Fault as caught:
                        fault = caught
                        fault.reason = redact(fault.reason, self.secrets)
                        if fault.kind == "reject":
                            end = self._settle(call_key, claimed.number, REJECTED, retries, reject=fault.reason)
                        elif fault.kind == "unavailable" or retries >= seat.settings.max_retries or (fault.wait or 0) > seat.settings.timeout_s or fault.billed:
                            end = self._settle(call_key, claimed.number, LOST if fault.billed else FAILED, retries, reject=fault.reason)
                        else:
                            hold = fault.wait if fault.limited and fault.wait else 0.0
                            wait = max(backoff(retries, fault.wait), float(await self._writer.do(Slot(seat.rate, item.tokens, hold))))  # type: ignore[arg-type]
                            retries += 1
                await self._writer.do(end)
            finally:
                self._in_flight -= 1
                self._landings += 1
                async with self._landed:
                    self._landed.notify_all()
            if end.state in (ANSWERED, REJECTED):
                return Made(_row(end, seat), free=False)
            assert fault is not None
            if fault.kind == "unavailable" or retries >= seat.settings.max_retries or (fault.wait or 0) > seat.settings.timeout_s:
                raise fault
            await asyncio.sleep(backoff(retries, fault.wait))
            retries += 1

    async def _claim(self, item: Item, seat: Seat, call_key: str) -> Granted | Made | Unmade:
        """Reserve the worst case and write the intent. Waits while another session makes the same call, and while calls
        of this one are in flight that may give money back."""
        reserve = worst_case(seat.settings.prices, item.messages, item.max_tokens, batch=False)
        messages = json.dumps([[message.role, message.content] for message in item.messages])
        model = seat.settings
        claim = Claim(
            call_key, self._id, self.teachers.account, self._cap, reserve, seat.name, model.provider, model.model, self.role, item.purpose, messages, seat.rate, item.tokens
        )
        if self._full is not None and reserve >= self._full:
            return Unmade("over the budget", over=reserve)
        pause = 0.05
        while True:
            landed = self._landings
            result = await self._writer.do(claim)
            if isinstance(result, Granted):
                return result
            if isinstance(result, Row):
                self.free[result.teacher] += 1
                return Made(result, free=True)
            if isinstance(result, Busy):
                await asyncio.sleep(pause)
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

    async def _complete(self, seat: Seat, call: provider.Call) -> provider.Reply:
        """One try, under the teacher's own time limit."""
        try:
            async with asyncio.timeout(seat.settings.timeout_s):
                return await seat.client.complete(call)
        except TimeoutError:
            raise Fault("retry", f"no answer in {seat.settings.timeout_s:g} s", billed=True) from None

    def _answered(self, item: Item, seat: Seat, call_key: str, number: int, retries: int, reply: provider.Reply) -> Settle:
        refused = reply.refused or (None if reply.text or reply.cut else "empty answer")
        usage = reply.usage
        reserved = worst_case(seat.settings.prices, item.messages, item.max_tokens, batch=False)
        cost = reserved if usage is None else price(seat.settings.prices, usage, batch=False)
        reject = redact(refused, self.secrets) if refused else f"cut off at {item.max_tokens} tokens" if reply.cut else None
        return Settle(
            self.teachers.account, call_key, number, REJECTED if refused else ANSWERED, cost,
            usage.prompt if usage else 0, usage.cached if usage else 0, usage.completion if usage else 0, retries, reply.text, reject,
        )  # fmt: skip

    def _settle(self, call_key: str, number: int, state: str, retries: int, reject: str) -> Settle:
        return Settle(self.teachers.account, call_key, number, state, 0, retries=retries, reject=reject)


def _row(end: Settle, seat: Seat) -> Row:
    return Row(end.key, end.number, seat.name, seat.settings.model, end.state, end.price, end.prompt_tokens, end.cached_tokens, end.completion_tokens, end.text, end.reject)


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that says most: one of ours before any other."""
    found: list[BaseException] = []

    def collect(group: BaseExceptionGroup[BaseException]) -> None:
        for error in group.exceptions:
            collect(error) if isinstance(error, BaseExceptionGroup) else found.append(error)

    collect(errors)
    return next((error for error in found if isinstance(error, CogumiError)), found[0])
