"""What a provider is: something that completes one conversation; and the register of all of them.

A provider is a class with ``complete`` and ``close`` under ``@provider("name")``. Those that come with Cogumi are the
files in providers/; another package adds its own through the entry point group ``cogumi.providers`` (name = provider,
value = module that registers it), or by registering before the first call. Not here: retries, budget and journal
(one_call.py).
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from blocks.journal.budget import Usage
from blocks.models.template import Message
from blocks.teachers.calling.faults import Fault
from configs.errors import BadInput
from configs.phases.teachers import TeacherModel


@dataclass(frozen=True, slots=True)
class Call:
    """One conversation to complete. ``temperature`` is None where the model refuses one; ``attempt`` counts from 0.
    ``idempotency_key`` is sent as the header Idempotency-Key where there is one."""

    model: str
    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float | None
    attempt: int
    options: dict[str, Any] = field(default_factory=dict)
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What the provider answered. ``text`` is the answer without reasoning. ``usage`` is None where it did not say.
    ``refused``: the teacher or its filter did not answer (the next teacher is asked). ``cut``: the answer ended at
    max_tokens, or within its reasoning."""

    text: str
    usage: Usage | None
    refused: str | None = None
    cut: bool = False


class Provider(Protocol):
    """A client of one provider, made inside the event loop that uses it. ``complete`` raises only faults.Fault."""

    async def complete(self, call: Call) -> Reply:
        """Complete one conversation, without retries."""

    async def close(self) -> None:
        """Close the connections."""


@runtime_checkable
class BatchProvider(Protocol):
    """What a provider with a batch API has besides. Calls go by the journal's keys. All raise only faults.Fault."""

    async def submit(self, marker: str, calls: Mapping[str, Call]) -> str:
        """Submit calls as one batch that carries ``marker``; the provider's id of it."""

    async def find(self, marker: str, keys: set[str], since: float, others: set[str], poll_s: float) -> str | None:
        """The id of the batch submitted with ``marker`` after ``since`` (seconds since 1970), if there is one;
        ``others`` are batches known to be different ones. ``poll_s`` is the pause where it takes several looks to
        know."""

    async def collect(self, batch: str) -> dict[str, Reply | Fault] | None:
        """All results by key once the batch is done; None before. Under NAMELESS what holds for calls without one of
        their own. A batch that was refused as a whole raises a reject."""


NAMELESS = ""
"""Stands in results for lines that name no call, or that are not there: a call without a line may have been answered,
and charged, by one."""
Maker = Callable[[TeacherModel, str], Provider]
_makers: dict[str, Maker] = {}


def provider(name: str) -> Callable[[Maker], Maker]:
    """Register a provider under ``name``: called with the teacher's settings and its key ("" where it has none)."""

    def register(maker: Maker) -> Maker:
        _makers[name] = maker
        return maker

    return register


def find(name: str) -> Maker:
    """The provider registered under ``name``.

    Raises:
        BadInput: there is none.
    """
    if name not in _makers and name in _own():
        importlib.import_module(f"blocks.teachers.providers.{name}")
    if name not in _makers:
        for entry in entry_points(group="cogumi.providers", name=name):
            entry.load()
    if name not in _makers:
        raise BadInput(f"unknown provider {name!r} in teachers.models; there are: {', '.join(known())}")
    return _makers[name]


def known() -> list[str]:
    """The names of all providers."""
    return sorted({*_own(), *_makers, *(entry.name for entry in entry_points(group="cogumi.providers"))})


def _own() -> set[str]:
    return {path.stem for path in (Path(__file__).parent / "providers").glob("*.py") if not path.stem.startswith("_")}
