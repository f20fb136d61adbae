"""What moves through a session: requests with their keys, teachers with their clients, and what came of a request.

Not here: the session itself (session.py).
"""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from blocks.journal.budget import worst_case
from blocks.journal.journal import Row
from blocks.models.template import Message
from blocks.teachers.calling.faults import Fault
from blocks.teachers.limits.prefect_limits import PrefectLimits
from blocks.teachers.limits.rates import Rate
from blocks.teachers.provider import Call, Provider
from configs.phases.teachers import TeacherModel

log = logging.getLogger("cogumi.teachers")
CUT_OFF = "cut off at max_tokens"
"""The reject of an answer that ended at its longest length."""
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
        """Estimate against a token limit: four characters a token, as providers count ahead, and all of max_tokens."""
        return sum(len(message.content) for message in self.messages) // 4 + self.max_tokens


@dataclass(slots=True)
class Seat:
    """A teacher in this session: its place in the chain, its client, its limits, and whether it still answers
    (``out``). ``scope`` is what an Idempotency-Key holds for (repeats.py). ``started`` counts tries,
    ``answered`` is the latest of them that was answered: what tells a fault of one request from one of all."""

    place: int
    name: str
    settings: TeacherModel
    client: Provider
    rate: Rate
    slots: PrefectLimits | None
    scope: str = ""
    out: Fault | None = None
    failures: int = 0
    started: int = 0
    answered: int = 0
    told_wait: bool = False
    noted: set[str] = field(default_factory=set)

    def note(self, what: str) -> None:
        """Log what is odd about this teacher's replies, each kind once."""
        kind = what.split("(")[0].split(" used ")[0]
        if kind not in self.noted:
            self.noted.add(kind)
            log.warning("teacher %s %s", self.name, what)

    def too_long(self, wait: float | None) -> bool:
        """Whether the teacher asks for a longer wait than anybody here has."""
        return (wait or 0.0) > self.settings.timeout_s

    def call(self, item: Item, idempotency_key: str | None = None) -> Call:
        """The request as this teacher takes it."""
        temperature = item.temperature if self.settings.temperature else None
        return Call(
            model=self.settings.model,
            messages=item.messages,
            max_tokens=item.max_tokens,
            temperature=temperature,
            attempt=item.attempt,
            options=self.settings.options,
            idempotency_key=idempotency_key,
        )

    def worst(self, item: Item, *, batch: bool) -> int:
        """The most the request can cost here, in nano-dollars."""
        return worst_case(self.settings.prices, item.messages, item.max_tokens, batch=batch)

    def failed(self, fault: Fault) -> bool:
        """Count a request that this teacher did not answer; whether that is the reason to leave it alone from now
        on."""
        self.failures += 1
        if self.out is None and (
            fault.kind == "unavailable" or self.too_long(fault.wait) or self.failures >= BREAKS_AFTER
        ):
            self.out = fault
            return True
        return False


@dataclass(frozen=True, slots=True)
class Made:
    """A final answer or refusal; ``free``: it stood in the journal already."""

    row: Row
    free: bool


@dataclass(frozen=True, slots=True)
class Unmade:
    """A request without an answer, and why: ``over`` the budget (with its worst case in nano-dollars), or every teacher
    failed in a way that is not final (``passing``: one that can pass by itself)."""

    reason: str
    over: int | None = None
    passing: bool = False


def key(teacher: TeacherModel, messages: Sequence[Message], max_tokens: int, temperature: float, attempt: int) -> str:
    """The journal's key of a request to a model: 32 hex digits, independent of prices, limits and names. A model of the
    same name at another address is another model."""
    asked: list[object] = [
        teacher.provider,
        teacher.model,
        [[message.role, message.content] for message in messages],
        max_tokens,
        float(temperature),
        attempt,
    ]
    asked += [{"options": teacher.options}] if teacher.options else []
    asked += [{"base_url": teacher.base_url}] if teacher.base_url else []
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]
