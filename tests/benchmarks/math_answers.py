"""How mathematical answers are compared, per kind of answer of MATH-500: with themselves, in other honest writings,
with each other's.

    python -m tests.benchmarks.math_answers [--old FILE] [--math-verify]

``--old``: another value.py to compare with; ``--math-verify``: that library, where it is installed. Not here: the tests
of the right values.
"""

import argparse
import importlib.util
import json
import re
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from tests.places import CORPORA

Judge = Callable[[str, str], bool]


def references() -> list[str]:
    """The references of MATH-500."""
    import zstandard

    data = (
        zstandard.ZstdDecompressor().decompressobj().decompress((CORPORA / "math/math500_test.jsonl.zst").read_bytes())
    )
    return [json.loads(line)["answer"] for line in data.decode().split("\n") if line]


def kind(answer: str) -> str:
    """What sort of answer it is."""
    tests = [
        ("matrix", r"\\begin"),
        ("words", r"^\\text\{[^}]*\}$"),
        ("interval, tuple, set, list", r"^\\left|^[(\[{\\{].*,|^\\\{|\\cup|\\in|^-?\d+(, ?-?\d+)+$"),
        ("equation", "="),
        ("based", r"^\d+_"),
        ("plus-minus", r"\\pm"),
        ("degrees, units, money", r"circ|text|mbox|\$|%"),
        ("root, pi, i", r"\\sqrt|\\pi|\di\b|\bi\b"),
        ("fraction", r"^-?\d*\s?\\[dt]?frac[ \d{}]+$"),
        ("number", r"^-?[\d.,\\! ]+$"),
    ]
    return next((name for name, pattern in tests if re.search(pattern, answer)), "polynomial and other")


def variants(answer: str) -> list[str]:
    """The same answer in other honest writings."""
    simple = r"\\[dt]?frac\{(\d+)\}\{(\d+)\}"
    made = [
        answer.replace("\\frac", "\\dfrac"),
        answer.replace("\\dfrac", "\\frac"),
        answer.replace("\\frac", "\\tfrac"),
        f" {answer} ",
        f"${answer}$",
        f"{answer}.",
        re.sub(rf"(?<!\d)(\s?){simple}", r"\1\2/\3", answer),
        re.sub(
            simple,
            r"\\frac\1\2"
            if all(len(part) == 1 for found in re.findall(simple, answer) for part in found)
            else r"\\frac{\1}{\2}",
            answer,
        ),
        answer.replace("^\\circ", ""),
        answer.replace("^\\circ", "°"),
        answer.replace("\\$", ""),
        answer.replace("\\$", "$"),
        answer.replace("\\left", "").replace("\\right", ""),
        answer.replace("-", "\u2212"),
        answer.replace("\\pi", "π"),
        re.sub(r"\\sqrt\{(\w+)\}", r"√\1", answer),
        re.sub(r",\\!\s*", ",", answer),
        answer.replace(" ", ""),
        re.sub(r"([+\-=])", r" \1 ", answer) if "e" not in answer else answer,
        re.sub(r"^\\text\{(.*)\}$", r"\1", answer),
        answer.replace("\\text{", "\\mbox{"),
        answer.replace("pmatrix", "bmatrix"),
        re.sub(r"^[a-z] ?=|^x \\in", "", answer),
    ]
    if re.fullmatch(simple, answer):
        top, bottom = map(int, re.findall(r"\d+", answer))
        if round(top / bottom, 6) * bottom == top:
            made.append(str(round(top / bottom, 6)))
    if re.fullmatch(r"\d{4,}", answer):
        made.append(f"{int(answer):,}")
    if re.fullmatch(r"[^(){}\\=,/]*[a-z][^(){}\\=,/]*", answer) and re.search(r"[a-z0-9] [+-] ", answer):
        terms = re.findall(r"[+-]?[^+-]+", answer.replace(" ", ""))
        made.append("".join(term if term[0] in "+-" else f"+{term}" for term in reversed(terms)).removeprefix("+"))
    return [one for one in dict.fromkeys(made) if one != answer]


def measure(name: str, judge: Judge, known: list[str]) -> None:
    """Print the table of one judge."""
    counts: dict[str, list[float]] = defaultdict(lambda: [0.0] * 7)
    distinct = list(dict.fromkeys(known))
    for answer in known:
        row, started = counts[kind(answer)], time.process_time()
        row[0] += 1
        row[1] += judge(answer, f"\\boxed{{{answer}}}")
        others = variants(answer)
        row[2] += len(others)
        row[3] += sum(judge(answer, f"So the answer is $\\boxed{{{other}}}$.") for other in others)
        at = distinct.index(answer)
        strangers = [distinct[(at + step) % len(distinct)] for step in range(1, 40)]
        row[4] += len(strangers)
        agreeing = [other for other in strangers if judge(answer, f"\\boxed{{{other}}}")]
        row[5] += len(agreeing)
        row[6] += time.process_time() - started
        for other in agreeing:
            print(f"  {name}: {answer} agrees with {other}")
    print(
        f"\n| {name} | answers | with itself | in other writings | with others' | ms each |\n|---|---|---|---|---|---|"
    )
    for sort, row in [*sorted(counts.items()), ("all", [sum(column) for column in zip(*counts.values(), strict=True)])]:
        calls = row[0] + row[2] + row[4]
        print(
            f"| {sort} | {row[0]:.0f} | {row[1]:.0f} | {row[3]:.0f} of {row[2]:.0f} | {row[5]:.0f} of {row[4]:.0f} | "
            f"{1000 * row[6] / calls:.3f} |"
        )


def _of(check: Callable[[str, str], object]) -> Judge:
    from configs.errors import BadInput

    def judge(expected: str, answer: str) -> bool:
        try:
            return bool(getattr(check(expected, answer), "correct"))  # noqa: B009
        except BadInput:
            return False

    return judge


def _math_verify() -> Judge:
    from math_verify import parse, verify

    return lambda expected, answer: bool(verify(parse(f"\\boxed{{{expected}}}"), parse(answer)))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--old", type=Path)
    arguments.add_argument("--math-verify", action="store_true")
    given = arguments.parse_args()
    if given.math_verify:
        measure("math-verify", _math_verify(), references())
    else:
        from blocks.checkers import value

        measure("new", _of(value.check), references())
        if given.old:
            spec = importlib.util.spec_from_file_location("old_value", given.old)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            measure("old", _of(module.check), references())
