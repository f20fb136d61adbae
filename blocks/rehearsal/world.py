"""The rehearsal world: questions of eight domains, how they are checked, and how they are worked.

Everything is computed from a prompt's text: a question has no memory of how it was drawn. Not here: the families (one
file per domain) and the teachers that answer (teachers.py).
"""

import hashlib
from functools import lru_cache
from itertools import cycle
from random import Random
from typing import Literal

from blocks.checkers.example import example_of
from blocks.models.sections import Sections
from blocks.records import DOMAINS, Difficulty, Domain, Example, Expected, Question
from blocks.rehearsal import coding, common_sense, instruction, math, reading, reasoning, summarization, tool_use
from blocks.rehearsal.family import Family, Fields
from configs.errors import BadInput

Split = Literal["train", "held_out"]
FAMILIES: tuple[Family, ...] = tuple(
    family
    for domain in (coding, math, tool_use, reasoning, reading, summarization, common_sense, instruction)
    for family in domain.FAMILIES
)
SOURCE, LICENSE = "rehearsal", "CC0-1.0"
_STALE = 2000  # draws without a new question after which the families count as used up


def families(domain: Domain, difficulty: Difficulty) -> list[Family]:
    """The families of a domain and difficulty, in a fixed order."""
    return [family for family in FAMILIES if (family.domain, family.difficulty) == (domain, difficulty)]


def questions(domain: Domain, difficulty: Difficulty, split: Split, count: int, seed: int) -> list[Question]:
    """``count`` distinct questions, from the families in turn, with how they are checked; the same for the same
    arguments.

    Raises:
        BadInput: the families have not that many different questions.
    """
    rng = Random(f"{domain} {difficulty} {split} {seed}")
    found: dict[str, Question] = {}
    turns = cycle(families(domain, difficulty))
    stale = 0
    while len(found) < count and stale < _STALE:
        question = draw(next(turns), split, rng)
        stale = stale + 1 if question.prompt in found else 0
        found.setdefault(question.prompt, question)
    if len(found) < count:
        raise BadInput(
            f"the rehearsal world has only about {len(found)} {split} questions for {domain} {difficulty}; ask for "
            f"fewer than {count}"
        )
    return list(found.values())


def draw(family: Family, split: Split, rng: Random) -> Question:
    """One question of a family."""
    fields = family.generate(rng, held_out=split == "held_out")
    prompt = family.phrase(fields, rng.randrange(len(family.templates)))
    return Question(
        id=question_id(prompt),
        prompt=prompt,
        domain=family.domain,
        difficulty=family.difficulty,
        task_type=family.task_type,
        expected=family.solve(fields)[0],
        source=SOURCE,
    )


def question_id(prompt: str) -> str:
    """The first 16 hex digits of the prompt's SHA-256."""
    return hashlib.sha256(prompt.encode()).hexdigest()[:16]


def expected(prompt: str) -> Expected | None:
    """How an answer to the prompt is checked; None where the world does not know the question."""
    known = recognise(prompt)
    return known[0].solve(known[1])[0] if known else None


def worked(prompt: str) -> Sections | None:
    """The right answer; with draft (attempt and critique, joined by a space) and thinking where the question is
    hard."""
    known = recognise(prompt)
    if known is None:
        return None
    family, fields = known
    response = family.solve(fields)[1]
    if family.work is None:
        return Sections(draft=None, thinking=None, response=response)
    work = family.work(fields)
    return Sections(draft=f"{work.attempt} {work.critique}", thinking=work.thinking, response=response)


def classify(prompt: str) -> tuple[Domain, Difficulty, str] | None:
    """Domain, difficulty and task type of a prompt; None where the world does not know the question."""
    known = recognise(prompt)
    return (known[0].domain, known[0].difficulty, known[0].task_type) if known else None


def is_held_out(prompt: str) -> bool | None:
    """Whether the question belongs to the held-out split; None where the world does not know it."""
    known = recognise(prompt)
    return known[0].is_held_out(known[1]) if known else None


@lru_cache(maxsize=1 << 16)
def recognise(prompt: str) -> tuple[Family, Fields] | None:
    """The family that a prompt belongs to and its parameters: the first that can both read and solve it."""
    prompt = prompt.strip()
    for family in FAMILIES:
        fields = family.parse(prompt)
        if fields is None:
            continue
        try:
            family.solve(fields)
            if family.work:
                family.work(fields)
        except (LookupError, ValueError):
            continue
        return family, fields
    return None


def examples(domain: Domain, difficulty: Difficulty, split: Split, count: int, seed: int) -> list[Example]:
    """``count`` questions with their right answers; ``token_count`` in whitespace words.

    Raises:
        BadInput: as :func:`questions`.
    """
    return [_example(question) for question in questions(domain, difficulty, split, count, seed)]


def _example(question: Question) -> Example:
    answer = worked(question.prompt)
    assert answer is not None  # the world wrote the question
    return example_of(question, answer, teacher="rehearsal-world", source=SOURCE, license=LICENSE)


assert {family.domain for family in FAMILIES} == set(DOMAINS)
