"""Reasoning questions: who is first or last in an order told by clues. Easy: three names in order; hard: four or five,
shuffled."""

from random import Random

from blocks.records import Expected
from blocks.rehearsal.family import Family, Fields, Work, text
from blocks.rehearsal.words import NAMES

RELATIONS = {"taller": ("tallest", "shortest"), "older": ("oldest", "youngest")}


def _ends(relation: str) -> dict[str, int]:
    """Which end of the order a superlative asks for."""
    first, last = RELATIONS[relation]
    return {first: 0, last: -1}


def _order(clues: list[tuple[str, str]]) -> list[str]:
    """The chain that neighbouring clues make, greatest first."""
    below = dict(clues)
    starts = [a for a in below if a not in below.values()]
    if len(starts) != 1 or len(below) != len(clues):
        raise ValueError("the clues make no single order")
    chain = starts
    while chain[-1] in below and len(chain) <= len(clues):
        chain.append(below[chain[-1]])
    if len(chain) != len(clues) + 1:
        raise ValueError("the clues make no single order")
    return chain


def _clues(p: Fields) -> list[tuple[str, str]]:
    """The pairs (greater, lesser), in the order they are told."""
    return [(p[f"a{i}"], p[f"b{i}"]) for i in range(sum(name.startswith("a") for name in p))]


def _draw(rng: Random, size: int, shuffled: bool) -> Fields:
    names = rng.sample(NAMES, size)
    clues = [(names[i], names[i + 1]) for i in range(size - 1)]
    if shuffled:
        rng.shuffle(clues)
    relation = rng.choice(list(RELATIONS))
    told = {f"{side}{i}": name for i, clue in enumerate(clues) for side, name in zip("ab", clue, strict=True)}
    return {"relation": relation, "end": rng.choice(RELATIONS[relation]), **told}


def _solve(p: Fields) -> tuple[Expected, str]:
    return text(_order(_clues(p))[_ends(p["relation"])[p["end"]]])


def _keys(p: Fields) -> list[str]:
    return [f"{a}>{b}" for a, b in _clues(p)]


def _work(p: Fields) -> Work:
    guess = p["a0"] if _ends(p["relation"])[p["end"]] == 0 else p["b0"]
    order = _order(_clues(p))
    return Work(f"{guess}.", "Check the order.", " ".join([*order[:1], *(f"then {name}" for name in order[1:])]) + ".")


def _family(size: int, task_type: str, shuffled: bool, reserve: int) -> Family:
    clues = " ".join(f"{{a{i}}} is {{relation}} than {{b{i}}}." for i in range(size - 1))
    short = ", ".join(f"{{a{i}}} {{relation}} than {{b{i}}}" for i in range(size - 1)) + "."
    templates = (f"{clues} Who is {{end}}?", f"{short} Who is {{end}}?")
    return Family(
        domain="reasoning",
        difficulty="hard" if shuffled else "easy",
        task_type=task_type,
        templates=templates,
        draw=lambda rng: _draw(rng, size, shuffled),
        solve=_solve,
        keys=_keys,
        reserve=reserve,
        work=_work if shuffled else None,
    )


FAMILIES = (
    _family(3, "order_of_three", False, 5),
    _family(4, "order_of_four", True, 8),
    _family(5, "order_of_five", True, 8),
)
