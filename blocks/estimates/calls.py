"""What a phase will ask and do, before anything is spent: the records of a plan, and what teacher calls come to in
dollars.

Prices are the profile's own; lengths of texts are assumptions, which a plan prints. Not here: how many calls a phase
makes and how much it computes (tasks/*/estimate.py), and adding it all up (deployments/commands/plan.py).
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal

from blocks.journal.budget import Usage, price, to_dollars
from blocks.records import Record
from configs.phases.teachers import TeacherModel, Teachers

REHEARSAL = "rehearsal"
CHARACTERS_PER_TOKEN = 4.0  # English in a large vocabulary (OpenAI's rule of thumb)
LATENCY_S = 1.0  # of a call until its first token, assumed
TOKENS_PER_SECOND = 50.0  # of one answer, assumed
REHEARSAL_CALLS_PER_SECOND = 1000.0  # measured, 2026-11-21
BATCH_S = 2 * 3600.0  # of a stage through a batch API, assumed; providers promise a day
SAFETY = 2.0  # a prompt or question is at most this many times the expected length in the worst case
LEAST = 0.5  # and at least this share of it in the best
_WORDS = re.compile(r"\w+|[^\w\s]")


class Lengths(Record):
    """Mean lengths in the teacher's tokens: a question, a direct answer, one with draft and critique, a rating as JSON,
    and what a call adds to its prompt. ``easy_characters``, ``hard_characters``: of a whole example."""

    question: float
    easy: float
    hard: float
    rating: float
    overhead: float
    easy_characters: float
    hard_characters: float
    source: str


LENGTHS = {
    REHEARSAL: Lengths(
        question=14,
        easy=6.5,
        hard=36,
        rating=25,
        overhead=62,
        easy_characters=57,
        hard_characters=160,
        source="measured in a nano run, 2026-11-21",
    ),
    "": Lengths(
        question=106,
        easy=176,
        hard=616,
        rating=35,
        overhead=20,
        easy_characters=1128,
        hard_characters=2890,
        source="questions as long as Dolly-15k's (426 characters), answers as GPT-4's to Alpaca (702), 3.5 "
        "times that for draft, critique, steps and revision",
    ),
}


class Calls(Record):
    """What calls come to. ``calls``, tokens and ``dollars`` are expected; ``most_…`` if every repetition is used up by
    the dearest teacher of the chain with prompts twice as long and answers of full length; ``least_dollars`` with no
    repetition, short texts and the cheapest teacher."""

    calls: float
    most_calls: float
    prompt_tokens: float
    completion_tokens: float
    dollars: Decimal
    most_dollars: Decimal
    least_dollars: Decimal


class Asked(Calls):
    """What one teacher is asked in one role. ``seconds``: of waiting for it."""

    role: str
    teacher: str
    seconds: float


class Work(Record):
    """A computation. ``on``: a device's name, or "cpu"; ``memory_bytes``: the most it holds there at once;
    ``disk_bytes``: what it leaves."""

    step: str
    on: str
    seconds: float
    memory_bytes: float
    disk_bytes: float


class Estimate(Record):
    """A phase: calls, computations, and what was assumed."""

    phase: str
    asked: tuple[Asked, ...] = ()
    work: tuple[Work, ...] = ()
    assumptions: tuple[str, ...] = ()


def together(parts: Iterable[Calls]) -> Calls:
    """The sum of all parts."""
    found = list(parts)
    return Calls.model_validate(
        {name: sum((getattr(one, name) for one in found), start=0) for name in Calls.model_fields}
    )


def lengths(teacher: TeacherModel | None) -> Lengths:
    """The lengths to assume of a teacher's texts."""
    return LENGTHS[REHEARSAL if teacher is None or teacher.provider == REHEARSAL else ""]


def tokens(text: str, teacher: TeacherModel) -> float:
    """About how many tokens ``text`` is to a teacher; rehearsal teachers count words and punctuation marks."""
    return len(_WORDS.findall(text)) if teacher.provider == REHEARSAL else len(text) / CHARACTERS_PER_TOKEN


def ask(
    role: str,
    teachers: Teachers,
    *,
    calls: float,
    most_calls: float,
    least_calls: float,
    template: str,
    read: Mapping[str, float],
    written: Mapping[str, float],
    max_tokens: int,
    shares: Mapping[str, float] | None = None,
) -> list[Asked]:
    """Price calls of one role.

    Args:
        role: names the chain of teachers; the first answers, unless ``shares`` shares the calls out.
        teachers: prices, chains and limits.
        calls, most_calls, least_calls: how many, as expected, at most, at least.
        template: the part of a prompt that is the same in every call.
        read, written: how often each of the :class:`Lengths` stands in a prompt and in an answer, such as {"question":
            10}.
        max_tokens: the longest answer.
        shares: parts of the calls by teacher.
    """
    chain = [(name, teachers.models[name]) for name in teachers.roles[role]]
    total = sum(shares.values()) if shares else 1.0
    per_call = {name: _usage(model, template, read, written, max_tokens) for name, model in chain}
    cheapest = min(_dollars(model, *_scaled(model, template, per_call[name], LEAST)) for name, model in chain)
    dearest = max(_most(model, per_call[name][0] * SAFETY, float(max_tokens)) for name, model in chain)
    found = []
    for name, model in chain:
        part = (shares.get(name, 0.0) / total) if shares else float(name == chain[0][0])
        if not part:
            continue
        prompt, completion = per_call[name]
        made = calls * part
        found.append(
            Asked(
                role=role,
                teacher=name,
                calls=made,
                most_calls=most_calls * part,
                prompt_tokens=made * prompt,
                completion_tokens=made * completion,
                dollars=_times(made, _dollars(model, prompt, completion)),
                most_dollars=_times(most_calls * part, dearest),
                least_dollars=_times(least_calls * part, cheapest),
                seconds=_seconds(model, teachers.concurrency, made, prompt + max_tokens, completion),
            )
        )
    return found


def _usage(
    model: TeacherModel, template: str, read: Mapping[str, float], written: Mapping[str, float], max_tokens: int
) -> tuple[float, float]:
    """Expected tokens of a call: prompt and answer."""
    known = lengths(model)
    prompt = tokens(template, model) + known.overhead + _sum(known, read)
    return prompt, min(float(max_tokens), _sum(known, written))


def _scaled(model: TeacherModel, template: str, usage: tuple[float, float], by: float) -> tuple[float, float]:
    """The tokens of a call with texts ``by`` times as long and the same template."""
    fixed = tokens(template, model)
    return fixed + (usage[0] - fixed) * by, usage[1] * by


def _sum(known: Lengths, parts: Mapping[str, float]) -> float:
    return float(sum(count * getattr(known, name) for name, count in parts.items()))


def _dollars(model: TeacherModel, prompt: float, completion: float) -> Decimal:
    """The price of a call as the teacher is set, no prompt cache counted on."""
    return to_dollars(
        price(
            model.prices,
            Usage(prompt=round(prompt), cached=0, written=0, completion=round(completion)),
            batch=model.batch,
        )
    )


def _most(model: TeacherModel, prompt: float, completion: float) -> Decimal:
    """The dearest price of a call: outside a batch, its prompt written to the provider's cache where that costs
    more."""
    sizes = [
        Usage(prompt=round(prompt), cached=0, written=written, completion=round(completion))
        for written in (0, round(prompt))
    ]
    return to_dollars(max(price(model.prices, size, batch=False) for size in sizes))


def _times(count: float, each: Decimal) -> Decimal:
    return (Decimal(repr(count)) * each).quantize(Decimal("0.000001"))


def _seconds(model: TeacherModel, concurrency: int, calls: float, reserved_tokens: float, completion: float) -> float:
    """Wall time: the slowest of latency and the teacher's own limits."""
    if model.provider == REHEARSAL:
        return calls / REHEARSAL_CALLS_PER_SECOND
    if model.batch:
        return BATCH_S
    waiting = calls * (LATENCY_S + completion / TOKENS_PER_SECOND) / concurrency
    by_requests = 60 * calls / model.requests_per_minute if model.requests_per_minute else 0.0
    by_tokens = 60 * calls * reserved_tokens / model.tokens_per_minute if model.tokens_per_minute else 0.0
    return max(waiting, by_requests, by_tokens)
