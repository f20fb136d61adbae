"""Summarization questions: keep what was asked for of a short text. Easy: one word of each item; hard: count too."""

from collections import Counter
from random import Random

from blocks.records import Expected
from blocks.rehearsal.family import Family, Fields, Work, neighbours, text
from blocks.rehearsal.words import COLORS, NAMES, THINGS

DEEDS = ("ran", "sat", "sang")


def _draw_words(rng: Random) -> Fields:
    items = [f"{word} {thing}" for word, thing in zip(rng.sample(COLORS, 3), rng.sample(THINGS, 3), strict=True)]
    return {"which": rng.choice(("first", "last")), "items": ", ".join(items)}


def _solve_words(p: Fields) -> tuple[Expected, str]:
    items = [item.split() for item in p["items"].split(", ")]
    return text(" ".join(item[{"first": 0, "last": -1}[p["which"]]] for item in items))


def _draw_deeds(rng: Random) -> Fields:
    names = rng.sample(NAMES, 4)
    deeds = rng.choices(DEEDS, k=4)
    return {
        "asked": rng.choice(deeds),
        **{f"n{i}": names[i] for i in range(4)},
        **{f"d{i}": deeds[i] for i in range(4)},
    }


def _doers(p: Fields) -> list[str]:
    found = [p[f"n{i}"] for i in range(4) if p[f"d{i}"] == p["asked"]]
    if not found:
        raise ValueError("nobody did that")
    return found


def _solve_deeds(p: Fields) -> tuple[Expected, str]:
    return text(f"{len(_doers(p))} {' '.join(_doers(p))}")


def _work_deeds(p: Fields) -> Work:
    steps, count = [], 0
    for i in range(4):
        count += p[f"d{i}"] == p["asked"]
        steps.append(f"{p[f'n{i}']} {p[f'd{i}']} {count}.")
    return Work(f"{_doers(p)[0]}.", "Count all.", " ".join(steps))


def _draw_common(rng: Random) -> Fields:
    words = rng.sample(THINGS, 3)
    items = [words[0]] * 3 + [words[1]] * 2 + [words[2]] * rng.randint(0, 1)
    rng.shuffle(items)
    return {"items": " ".join(items)}


def _counts(p: Fields) -> list[tuple[str, int]]:
    counts = Counter(p["items"].split()).most_common()
    if len(counts) > 1 and counts[0][1] == counts[1][1]:
        raise ValueError("no item is the most common")
    return counts


def _solve_common(p: Fields) -> tuple[Expected, str]:
    word, count = _counts(p)[0]
    return text(f"{word} {count}")


def _work_common(p: Fields) -> Work:
    counts = Counter(p["items"].split())
    return Work(
        f"{p['items'].split()[0]}.", "Count all.", " ".join(f"{word} {count}." for word, count in counts.items())
    )


_DID = " ".join(f"{{n{i}}} {{d{i}}}." for i in range(4))

FAMILIES = (
    Family(
        domain="summarization",
        difficulty="easy",
        task_type="word_of_each",
        templates=("Give the {which} word of each: {items}", "Keep the {which} words: {items}"),
        draw=_draw_words,
        solve=_solve_words,
        keys=lambda p: p["items"].split(", "),
        reserve=8,
    ),
    Family(
        domain="summarization",
        difficulty="hard",
        task_type="count_and_list",
        templates=(f"{_DID} How many {{asked}}, and who?", f"Count and list who {{asked}}: {_DID}"),
        draw=_draw_deeds,
        solve=_solve_deeds,
        keys=lambda p: neighbours([p[f"n{i}"] for i in range(4)]),
        reserve=8,
        work=_work_deeds,
    ),
    Family(
        domain="summarization",
        difficulty="hard",
        task_type="most_common",
        templates=(
            "Which word is most common, and how often? {items}",
            "{items}. Give the most common word and its count.",
        ),
        draw=_draw_common,
        solve=_solve_common,
        keys=lambda p: neighbours(sorted(set(p["items"].split()))),
        reserve=6,
        work=_work_common,
    ),
)
