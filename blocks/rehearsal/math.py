"""Math questions over small whole numbers. Easy: one operation or comparison; hard: two operations."""

from random import Random

from blocks.records import Expected
from blocks.rehearsal.family import Family, Fields, Work, pair, value
from blocks.rehearsal.words import GOODS, NAMES


def _apply(a: int, op: str, b: int) -> int:
    return {"plus": a + b, "minus": a - b}[op]


def _draw_sum(rng: Random) -> Fields:
    op, a, b = rng.choice(("plus", "minus")), rng.randint(1, 30), rng.randint(1, 9)
    return {"a": str(max(a, b)), "op": op, "b": str(min(a, b))}


def _solve_sum(p: Fields) -> tuple[Expected, str]:
    return value(_apply(int(p["a"]), p["op"], int(p["b"])))


def _draw_compare(rng: Random) -> Fields:
    a, b = rng.sample(range(1, 100), 2)
    return {"which": rng.choice(("more", "less")), "a": str(a), "b": str(b)}


def _solve_compare(p: Fields) -> tuple[Expected, str]:
    return value({"more": max, "less": min}[p["which"]](int(p["a"]), int(p["b"])))


def _draw_chain(rng: Random) -> Fields:
    a, b, c = rng.randint(1, 9), rng.randint(1, 9), rng.randint(1, 9)
    op2 = rng.choice(("plus", "minus")) if a + b >= c else "plus"
    return {"a": str(a), "op": "plus", "b": str(b), "op2": op2, "c": str(c)}


def _steps(p: Fields) -> tuple[int, int]:
    first = _apply(int(p["a"]), p["op"], int(p["b"]))
    return first, _apply(first, p["op2"], int(p["c"]))


def _solve_chain(p: Fields) -> tuple[Expected, str]:
    return value(_steps(p)[1])


def _work_chain(p: Fields) -> Work:
    first, last = _steps(p)
    return Work(
        f"{p['a']} {p['op']} {p['b']} is {first}.",
        f"Then {p['op2']} {p['c']}.",
        f"{first} {p['op2']} {p['c']} is {last}.",
    )


def _draw_story(rng: Random) -> Fields:
    a, b = rng.randint(1, 9), rng.randint(1, 9)
    return {
        "name": rng.choice(NAMES),
        "item": rng.choice(GOODS),
        "a": str(a),
        "b": str(b),
        "c": str(rng.randint(1, min(9, a + b))),
    }


def _story_as_chain(p: Fields) -> Fields:
    return {"a": p["a"], "op": "plus", "b": p["b"], "op2": "minus", "c": p["c"]}


FAMILIES = (
    Family(
        domain="math",
        difficulty="easy",
        task_type="arithmetic",
        templates=("What is {a} {op} {b}?", "Work out {a} {op} {b}."),
        draw=_draw_sum,
        solve=_solve_sum,
        keys=lambda p: [f"{p['a']} {p['op']} {p['b']}"],
        reserve=5,
    ),
    Family(
        domain="math",
        difficulty="easy",
        task_type="number_comparison",
        templates=("Which is {which}, {a} or {b}?", "What is {which}: {a} {b}?"),
        draw=_draw_compare,
        solve=_solve_compare,
        keys=lambda p: [pair(p["a"], p["b"])],
        reserve=5,
    ),
    Family(
        domain="math",
        difficulty="hard",
        task_type="two_operations",
        templates=("What is {a} {op} {b} {op2} {c}?", "Work out {a} {op} {b} {op2} {c}."),
        draw=_draw_chain,
        solve=_solve_chain,
        keys=lambda p: [f"{p['a']} {p['b']} {p['c']}"],
        reserve=5,
        work=_work_chain,
    ),
    Family(
        domain="math",
        difficulty="hard",
        task_type="word_problem",
        templates=(
            "{name} has {a} cups of {item}, gets {b} and gives {c}. How many are left?",
            "{name} had {a} cups of {item}, got {b} more and lost {c}. How many now?",
        ),
        draw=_draw_story,
        solve=lambda p: _solve_chain(_story_as_chain(p)),
        keys=lambda p: [f"{p['a']} {p['b']} {p['c']}"],
        reserve=5,
        work=lambda p: _work_chain(_story_as_chain(p)),
    ),
)
