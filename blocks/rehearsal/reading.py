"""Reading questions: a fact from a passage of three. Easy: look it up, by owner or by thing; hard: through one hop."""

from random import Random

from blocks.records import Expected
from blocks.rehearsal.family import Family, Fields, Work, text
from blocks.rehearsal.words import CITIES, NAMES, OPPOSITE, THINGS

ADJECTIVES = tuple(OPPOSITE)


def _facts(p: Fields, key: str, of: str) -> dict[str, str]:
    """The passage's facts from the fields ``key``0… to ``of``0…."""
    facts = {p[name]: p[of + name[1:]] for name in sorted(p) if name[0] == key and name[1:].isdigit()}
    if len(set(facts.values())) != len(facts):
        raise ValueError("a fact is told twice")
    return facts


def _draw_lookup(rng: Random, ask: str) -> Fields:
    names, things = rng.sample(NAMES, 3), rng.sample(THINGS, 3)
    told = {f"n{i}": names[i] for i in range(3)} | {f"t{i}": things[i] for i in range(3)}
    return told | {"asked": rng.choice(names if ask == "owner" else things)}


def _lookup_keys(p: Fields) -> list[str]:
    return [f"{name} {thing}" for name, thing in _facts(p, "n", "t").items()]


def _draw_hop(rng: Random) -> Fields:
    names, cities, words = rng.sample(NAMES, 2), rng.sample(CITIES, 2), rng.sample(ADJECTIVES, 2)
    order = rng.sample(range(2), 2)
    told = {f"n{i}": names[i] for i in range(2)} | {f"c{i}": cities[i] for i in range(2)}
    return (
        told
        | {f"d{i}": cities[j] for i, j in enumerate(order)}
        | {f"w{i}": words[j] for i, j in enumerate(order)}
        | {"asked": rng.choice(names)}
    )


def _hop(p: Fields) -> tuple[str, str]:
    city = _facts(p, "n", "c")[p["asked"]]
    return city, _facts(p, "d", "w")[city]


def _solve_hop(p: Fields) -> tuple[Expected, str]:
    return text(_hop(p)[1])


def _work_hop(p: Fields) -> Work:
    city, word = _hop(p)
    return Work(f"{p['asked']} is in {city}.", f"How is {city}?", f"{city} is {word}.")


def _hop_keys(p: Fields) -> list[str]:
    return [f"{name} {city}" for name, city in _facts(p, "n", "c").items()]


_HAS = " ".join(f"{{n{i}}} has a {{t{i}}}." for i in range(3))
_GOT = " ".join(f"{{n{i}}} got a {{t{i}}}." for i in range(3))
_IN = "{n0} is in {c0}. {n1} is in {c1}. {d0} is {w0}. {d1} is {w1}."

FAMILIES = (
    Family(
        domain="reading",
        difficulty="easy",
        task_type="find_thing",
        templates=(f"{_HAS} What does {{asked}} have?", f"{_GOT} What did {{asked}} get?"),
        draw=lambda rng: _draw_lookup(rng, "owner"),
        solve=lambda p: text(_facts(p, "n", "t")[p["asked"]]),
        keys=_lookup_keys,
        reserve=8,
    ),
    Family(
        domain="reading",
        difficulty="easy",
        task_type="find_owner",
        templates=(f"{_HAS} Who has the {{asked}}?", f"{_GOT} Who got the {{asked}}?"),
        draw=lambda rng: _draw_lookup(rng, "thing"),
        solve=lambda p: text(_facts(p, "t", "n")[p["asked"]]),
        keys=_lookup_keys,
        reserve=8,
    ),
    Family(
        domain="reading",
        difficulty="hard",
        task_type="one_hop",
        templates=(f"{_IN} How is it where {{asked}} is?", f"{_IN} How does {{asked}} find it?"),
        draw=_draw_hop,
        solve=_solve_hop,
        keys=_hop_keys,
        reserve=6,
        work=_work_hop,
    ),
)
