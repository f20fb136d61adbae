"""Instruction questions: do to a short word list exactly what was asked. Easy: one action; hard: two, one after the other."""

from collections.abc import Callable
from random import Random

from blocks.records import Expected
from blocks.rehearsal.family import Family, Fields, Work, neighbours, text
from blocks.rehearsal.words import LIST_WORDS

ACTIONS: dict[str, Callable[[list[str]], list[str]]] = {
    "reverse": lambda words: words[::-1],
    "sort": sorted,
    "shout": lambda words: [word.upper() for word in words],
    "double": lambda words: [word for word in words for _ in range(2)],
}
SAYINGS = {
    "reverse": ("Reverse: {words}", "Say these words in reverse: {words}", "Write {words} from last to first."),
    "sort": ("Sort: {words}", "Say these words in alphabet order: {words}", "Write {words} from a to z."),
    "shout": ("Shout: {words}", "Say these words in capitals: {words}", "Write {words} all in capitals."),
    "double": ("Double: {words}", "Say these words twice each: {words}", "Write {words} each word twice."),
}


def _words(rng: Random, low: int, high: int) -> str:
    return " ".join(rng.sample(LIST_WORDS, rng.randint(low, high)))


def _keys(p: Fields) -> list[str]:
    return neighbours(p["words"].split())


def _easy(action: str) -> Family:
    return Family("instruction", "easy", action, SAYINGS[action], lambda rng: {"words": _words(rng, 3, 4)},
                  lambda p: text(" ".join(ACTIONS[action](p["words"].split()))), _keys, 10)  # fmt: skip


def _draw_two(rng: Random) -> Fields:
    first, second = rng.sample(list(ACTIONS), 2)
    return {"first": first, "second": second, "words": _words(rng, 3, 3)}


def _two(p: Fields) -> tuple[str, str]:
    once = ACTIONS[p["first"]](p["words"].split())
    return " ".join(once), " ".join(ACTIONS[p["second"]](once))


def _solve_two(p: Fields) -> tuple[Expected, str]:
    return text(_two(p)[1])


def _work_two(p: Fields) -> Work:
    once, twice = _two(p)
    return Work(f"{once}.", f"Then {p['second']}.", f"{p['first']}: {once}. {p['second']}: {twice}.")


FAMILIES = (
    *(_easy(action) for action in ACTIONS),
    Family("instruction", "hard", "two_actions", ("First {first}, then {second}: {words}", "Take {words}, {first} it and then {second} it."),
           _draw_two, _solve_two, _keys, 10, _work_two),
)  # fmt: skip
