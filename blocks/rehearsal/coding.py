"""Coding questions: one-line Python functions, checked by running them. Easy: one operation; hard: two."""

from random import Random

from blocks.records import Expected
from blocks.rehearsal.family import Family, Fields, Work, pair

SIGNS = {"plus": "+", "minus": "-", "times": "*"}
COMPARISONS = {"over": ">", "under": "<", "not": "!="}
NAMES = ("f", "g", "h")


def _number(rng: Random) -> str:
    return str(rng.randint(2, 99))


def _code(name: str, body: str, argument: str, tests: dict[str, object]) -> tuple[Expected, str]:
    """A one-line function and the assertions that its value is right."""
    checks = "\n".join(f"assert {name}({given}) == {wanted!r}" for given, wanted in tests.items())
    return Expected(kind="code", value=checks), f"def {name}({argument}): return {body}"


def _apply(x: int, op: str, n: str) -> int:
    return {"plus": x + int(n), "minus": x - int(n), "times": x * int(n)}[op]


def _draw_arithmetic(rng: Random) -> Fields:
    return {"name": rng.choice(NAMES), "op": rng.choice(list(SIGNS)), "n": _number(rng)}


def _solve_arithmetic(p: Fields) -> tuple[Expected, str]:
    return _code(
        p["name"], f"x {SIGNS[p['op']]} {int(p['n'])}", "x", {str(x): _apply(x, p["op"], p["n"]) for x in (0, 1, 7, -4)}
    )


def _draw_comparison(rng: Random) -> Fields:
    return {"name": rng.choice(NAMES), "op": rng.choice(list(COMPARISONS)), "n": _number(rng)}


def _holds(x: int, op: str, n: int) -> bool:
    return {"over": x > n, "under": x < n, "not": x != n}[op]


def _solve_comparison(p: Fields) -> tuple[Expected, str]:
    n = int(p["n"])
    return _code(
        p["name"], f"x {COMPARISONS[p['op']]} {n}", "x", {str(x): _holds(x, p["op"], n) for x in (n - 1, n, n + 1)}
    )


def _draw_two_steps(rng: Random) -> Fields:
    return {
        "name": rng.choice(NAMES),
        "op": rng.choice(list(SIGNS)),
        "n": _number(rng),
        "op2": rng.choice(list(SIGNS)),
        "n2": _number(rng),
    }


def _two_steps(p: Fields) -> tuple[str, str]:
    first = f"x {SIGNS[p['op']]} {int(p['n'])}"
    return first, f"({first}) {SIGNS[p['op2']]} {int(p['n2'])}"


def _solve_two_steps(p: Fields) -> tuple[Expected, str]:
    tests: dict[str, object] = {str(x): _apply(_apply(x, p["op"], p["n"]), p["op2"], p["n2"]) for x in (0, 1, 7, -4)}
    return _code(p["name"], _two_steps(p)[1], "x", tests)


def _work_two_steps(p: Fields) -> Work:
    first, both = _two_steps(p)
    return Work(first, f"Then {p['op2']} {p['n2']}.", both)


def _draw_filter(rng: Random) -> Fields:
    return {
        "name": rng.choice(NAMES),
        "op": rng.choice(list(SIGNS)),
        "n": _number(rng),
        "test": rng.choice(("over", "under")),
        "n2": str(rng.randint(2, 9)),
    }


def _solve_filter(p: Fields) -> tuple[Expected, str]:
    n2 = int(p["n2"])
    given = [n2 - 1, n2, n2 + 1, 12]
    wanted = [_apply(x, p["op"], p["n"]) for x in given if _holds(x, p["test"], n2)]
    body = f"[x {SIGNS[p['op']]} {int(p['n'])} for x in a if x {COMPARISONS[p['test']]} {n2}]"
    return _code(p["name"], body, "a", {str(given): wanted, "[]": []})


def _work_filter(p: Fields) -> Work:
    return Work(
        f"x {SIGNS[p['op']]} {p['n']}", f"Only {p['test']} {p['n2']}.", f"if x {COMPARISONS[p['test']]} {p['n2']}"
    )


FAMILIES = (
    Family(
        domain="coding",
        difficulty="easy",
        task_type="code_arithmetic",
        templates=("Write a function {name} that returns x {op} {n}.", "Write {name}(x) in python: x {op} {n}."),
        draw=_draw_arithmetic,
        solve=_solve_arithmetic,
        keys=lambda p: [f"{p['op']} {p['n']}"],
        reserve=5,
    ),
    Family(
        domain="coding",
        difficulty="easy",
        task_type="code_comparison",
        templates=("Write a function {name} that tells if x is {op} {n}.", "Write {name}(x) in python: is x {op} {n}?"),
        draw=_draw_comparison,
        solve=_solve_comparison,
        keys=lambda p: [f"{p['op']} {p['n']}"],
        reserve=5,
    ),
    Family(
        domain="coding",
        difficulty="hard",
        task_type="code_two_steps",
        templates=(
            "Write a function {name} that takes x {op} {n} and then {op2} {n2}.",
            "Write {name}(x) in python: x {op} {n}, all {op2} {n2}.",
        ),
        draw=_draw_two_steps,
        solve=_solve_two_steps,
        keys=lambda p: [pair(p["n"], p["n2"])],
        reserve=5,
        work=_work_two_steps,
    ),
    Family(
        domain="coding",
        difficulty="hard",
        task_type="code_filter",
        templates=(
            "Write a function {name} that returns x {op} {n} for each x in a {test} {n2}.",
            "Write {name}(a) in python: x {op} {n} where x is {test} {n2}.",
        ),
        draw=_draw_filter,
        solve=_solve_filter,
        keys=lambda p: [pair(p["n"], p["n2"])],
        reserve=5,
        work=_work_filter,
    ),
)
