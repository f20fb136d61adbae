"""Common-sense questions from a small table of facts: opposites and kinds. Held out are combinations, never the
facts."""

from random import Random

from blocks.records import Expected
from blocks.rehearsal.family import Family, Fields, Work, neighbours, text
from blocks.rehearsal.words import KIND, KINDS, OPPOSITE


def _draw_opposites(rng: Random) -> Fields:
    return dict(zip("abc", rng.sample(list(OPPOSITE), 3), strict=True))


def _draw_kind(rng: Random) -> Fields:
    kinds = rng.sample(list(KINDS), 3)
    words = [rng.choice(KINDS[kind]) for kind in kinds]
    return {"kind": rng.choice(kinds), "a": words[0], "b": words[1], "c": words[2]}


def _solve_kind(p: Fields) -> tuple[Expected, str]:
    fitting = [p[name] for name in "abc" if KIND[p[name]] == p["kind"]]
    if len(fitting) != 1:
        raise ValueError("not exactly one word is of that kind")
    return text(fitting[0])


def _draw_odd(rng: Random) -> Fields:
    kind, other = rng.sample(list(KINDS), 2)
    words = [*rng.sample(KINDS[kind], 3), rng.choice(KINDS[other])]
    rng.shuffle(words)
    return dict(zip("abcd", words, strict=True))


def _solve_odd(p: Fields) -> tuple[Expected, str]:
    kinds = [KIND[p[name]] for name in "abcd"]
    odd = [p[name] for name, kind in zip("abcd", kinds, strict=True) if kinds.count(kind) == 1]
    if len(odd) != 1:
        raise ValueError("no single word is odd")
    return text(odd[0])


def _work_odd(p: Fields) -> Work:
    return Work(f"{p['a']}.", "Name the kinds.", " ".join(f"{p[name]} {KIND[p[name]]}." for name in "abcd"))


FAMILIES = (
    Family(
        domain="common_sense",
        difficulty="easy",
        task_type="opposites",
        templates=("Opposites of {a}, {b}, {c}?", "Give the opposites: {a} {b} {c}."),
        draw=_draw_opposites,
        solve=lambda p: text(" ".join(OPPOSITE[p[name]] for name in "abc")),
        keys=lambda p: neighbours([p["a"], p["b"], p["c"]]),
        reserve=5,
    ),
    Family(
        domain="common_sense",
        difficulty="easy",
        task_type="kind",
        templates=("Which fits {kind}: {a}, {b}, {c}?", "Pick the {kind}: {a} {b} {c}."),
        draw=_draw_kind,
        solve=_solve_kind,
        keys=lambda p: neighbours([p["a"], p["b"], p["c"]]),
        reserve=5,
    ),
    Family(
        domain="common_sense",
        difficulty="hard",
        task_type="odd_one_out",
        templates=("Which does not fit: {a}, {b}, {c}, {d}?", "Find the odd one out: {a} {b} {c} {d}."),
        draw=_draw_odd,
        solve=_solve_odd,
        keys=lambda p: neighbours([p[name] for name in "abcd"]),
        reserve=8,
        work=_work_odd,
    ),
)
