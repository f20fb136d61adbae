"""Instruction questions: do to a short word list exactly what was asked. Easy: one action; hard: two, one after the
other."""

from collections.abc import Callable
from random import Random

from blocks.records import Expected
from blocks.rehearsal.family import Family, Fields, Work, neighbours, text
from blocks.rehearsal.words import THINGS

ACTIONS: dict[str, Callable[[list[str]], list[str]]] = {
    "reverse": lambda words: words[::-1],
    "sort": sorted,
    "repeat": lambda words: words + words,
}
SAYINGS = {
    "reverse": ("Reverse: {words}", "Say in reverse: {words}"),
    "sort": ("Sort: {words}", "Say from a to z: {words}"),
    "repeat": ("Repeat: {words}", "Say twice: {words}"),
}


def _words(rng: Random) -> str:
    return " ".join(rng.sample(THINGS, 3))


def _keys(p: Fields) -> list[str]:
    return neighbours(p["words"].split())


def _easy(action: str) -> Family:
    return Family(
        domain="instruction",
        difficulty="easy",
        task_type=action,
        templates=SAYINGS[action],
        draw=lambda rng: {"words": _words(rng)},
        solve=lambda p: text(" ".join(ACTIONS[action](p["words"].split()))),
        keys=_keys,
        reserve=8,
    )


def _draw_two(rng: Random) -> Fields:
    first, second = rng.sample(list(ACTIONS), 2)
    return {"first": first, "second": second, "words": _words(rng)}


def _two(p: Fields) -> tuple[str, str]:
    once = ACTIONS[p["first"]](p["words"].split())
    return " ".join(once), " ".join(ACTIONS[p["second"]](once))


def _solve_two(p: Fields) -> tuple[Expected, str]:
    return text(_two(p)[1])


def _work_two(p: Fields) -> Work:
    once, twice = _two(p)
    return Work(f"{p['first']}: {once}.", f"Then {p['second']}.", f"{p['second']}: {twice}.")


FAMILIES = (
    *(_easy(action) for action in ACTIONS),
    Family(
        domain="instruction",
        difficulty="hard",
        task_type="two_actions",
        templates=("First {first}, then {second}: {words}", "Say {words}, {first} and then {second}."),
        draw=_draw_two,
        solve=_solve_two,
        keys=_keys,
        reserve=8,
        work=_work_two,
    ),
)
