"""Common-sense questions from a small table of facts: sizes, opposites, kinds. Held out are combinations, never the facts."""

from random import Random

from blocks.records import Expected
from blocks.rehearsal.family import Family, Fields, Work, neighbours, pair, text
from blocks.rehearsal.words import BY_SIZE, KIND, KINDS, OPPOSITE


def _draw_size(rng: Random) -> Fields:
    a, b = rng.sample(BY_SIZE, 2)
    return {"which": rng.choice(("bigger", "smaller")), "a": a, "b": b}


def _by_size(which: str, a: str, b: str) -> str:
    return {"bigger": max, "smaller": min}[which](a, b, key=BY_SIZE.index)


def _draw_opposites(rng: Random) -> Fields:
    a, b = rng.sample(list(OPPOSITE), 2)
    return {"a": a, "b": b}


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


def _solve_size_kind(p: Fields) -> tuple[Expected, str]:
    word = _by_size(p["which"], p["a"], p["b"])
    return text(KIND[word])


def _work_size_kind(p: Fields) -> Work:
    word = _by_size(p["which"], p["a"], p["b"])
    return Work(f"{word}.", "Name the kind.", f"{word} is {KIND[word]}.")


FAMILIES = (
    Family("common_sense", "easy", "size", ("Which is {which}, {a} or {b}?", "{a} or {b}: which is {which}?", "Name the {which} one: {a} {b}."),
           _draw_size, lambda p: text(_by_size(p["which"], p["a"], p["b"])), lambda p: [pair(p["a"], p["b"])], 5),
    Family("common_sense", "easy", "opposites", ("Opposites of {a} and {b}?", "Give the opposite of {a}, then of {b}.", "What are the opposites: {a} {b}?"),
           _draw_opposites, lambda p: text(f"{OPPOSITE[p['a']]} {OPPOSITE[p['b']]}"), lambda p: [pair(p["a"], p["b"])], 5),
    Family("common_sense", "easy", "kind", ("Which is a kind of {kind}: {a}, {b}, {c}?", "Pick the {kind}: {a} {b} {c}.", "One is a {kind}, which? {a}, {b}, {c}"),
           _draw_kind, _solve_kind, lambda p: neighbours([p["a"], p["b"], p["c"]]), 5),
    Family("common_sense", "hard", "odd_one_out", ("Which does not fit: {a}, {b}, {c}, {d}?", "Find the odd one out: {a} {b} {c} {d}."),
           _draw_odd, _solve_odd, lambda p: neighbours([p[name] for name in "abcd"]), 8, _work_odd),
    Family("common_sense", "hard", "size_and_kind", ("Of what kind is the {which} one, {a} or {b}?", "Take the {which} of {a} and {b}. What kind is it?"),
           _draw_size, _solve_size_kind, lambda p: [pair(p["a"], p["b"])], 5, _work_size_kind),
)  # fmt: skip
