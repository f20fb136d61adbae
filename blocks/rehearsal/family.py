"""A question family: draw parameters, phrase them, parse the phrase back, solve, and show the work.

Parameters are named texts, so that one table of templates both writes a prompt and, turned into patterns, reads it
back. Held out: a family names the *keys* of its parameters (an operand pair, two neighbours in a list …); a stable hash
reserves some of all keys. Training questions contain no reserved key, held-out questions at least one. Not here: the
families themselves.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from random import Random
from typing import NamedTuple

from blocks.records import Difficulty, Domain, Expected

Fields = dict[str, str]


class Work(NamedTuple):
    """How a hard question is worked: a first attempt, what it lacks, and tiny mechanical steps."""

    attempt: str
    critique: str
    thinking: str


@dataclass(frozen=True)
class Family:
    """One kind of question. ``solve`` gives the check and the response, and raises LookupError or ValueError for
    parameters outside the world; ``keys`` are the parameters' parts that are held out as a whole, one of ``reserve``
    keys is."""

    domain: Domain
    difficulty: Difficulty
    task_type: str
    templates: tuple[str, ...]
    draw: Callable[[Random], Fields]
    solve: Callable[[Fields], tuple[Expected, str]]
    keys: Callable[[Fields], Sequence[str]]
    reserve: int
    work: Callable[[Fields], Work] | None = None

    def generate(self, rng: Random, held_out: bool) -> Fields:
        """Parameters of the wanted split."""
        while True:
            fields = self.draw(rng)
            if self.is_held_out(fields) == held_out:
                return fields

    def is_held_out(self, fields: Fields) -> bool:
        """Whether the parameters contain a reserved key."""
        return any(_reserved(self.task_type, key, self.reserve) for key in self.keys(fields))

    def phrase(self, fields: Fields, template: int) -> str:
        """The prompt, in one of the family's wordings."""
        return self.templates[template].format(**fields)

    def parse(self, prompt: str) -> Fields | None:
        """The parameters that :meth:`phrase` wrote, or None where the prompt is not of this family."""
        for pattern in self._patterns:
            if found := pattern.fullmatch(prompt):
                return found.groupdict()
        return None

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[str], ...]:
        return tuple(_pattern(template) for template in self.templates)


def _pattern(template: str) -> re.Pattern[str]:
    """A template as a pattern: a field is one word, ``words`` and ``items`` are lists; a field that comes again must be
    the same."""
    seen: set[str] = set()

    def group(field: re.Match[str]) -> str:
        name = field[1]
        if name in seen:
            return f"(?P={name})"
        seen.add(name)
        return f"(?P<{name}>" + (r"\w+(?:,? \w+)*" if name in ("words", "items") else r"\w+") + ")"

    return re.compile(re.sub(r"\\{(\w+)\\}", group, re.escape(template)))


@lru_cache(maxsize=1 << 16)
def _reserved(task_type: str, key: str, reserve: int) -> bool:
    """Whether a key is never shown in training: one in ``reserve``, the same on every machine."""
    return int.from_bytes(hashlib.sha256(f"{task_type}|{key}".encode()).digest()[:8], "big") % reserve == 0


def pair(first: str, second: str) -> str:
    """The key of two parts in any order."""
    return "+".join(sorted((first, second)))


def neighbours(items: Sequence[str]) -> list[str]:
    """The keys of every two neighbours, in any order."""
    return [pair(items[i], items[i + 1]) for i in range(len(items) - 1)]


def text(response: str) -> tuple[Expected, str]:
    """A solution that is checked as exact text."""
    return Expected(kind="text", value=response), response


def value(response: int) -> tuple[Expected, str]:
    """A solution that is checked as a number."""
    return Expected(kind="value", value=str(response)), str(response)
