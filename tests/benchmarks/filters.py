"""False alarms of the rule filters on good rows, and their hits on planted ones: ``python -m tests.benchmarks.filters
[--show RULE]``.

Good rows are human or verified public data of ``COGUMI_CORPORA`` in four families: code, mathematics, text, and numbers
(tables and lists that are made here). Hits are made-up personal data, notices and licences in many writings, put into
good rows.
"""

import argparse
import json
import random
from collections import Counter
from collections.abc import Iterator

from configs.schema import load
from tasks.data.clean.filters import personal_data as personal
from tasks.data.clean.filters.table import TABLE
from tasks.data.clean.filters.text import Text
from tasks.data.plain.files import objects
from tests.tasks.data.conftest import CORPORA
from tests.tasks.data.planted import PLANTED, numbers

CODE = {
    "humaneval/HumanEval.jsonl.gz": ("prompt", "canonical_solution"),
    "mbpp/mbpp.jsonl.zst": ("text", "code"),
    "codealpaca/code_alpaca_2k.json.zst": ("instruction", "output"),
    "evalplus/humanevalplus_mini.jsonl.zst": ("prompt", "canonical_solution"),
    "humaneval_x/humaneval_cpp.jsonl.gz": ("prompt", "canonical_solution"),
    "humaneval_x/humaneval_go.jsonl.gz": ("prompt", "canonical_solution"),
    "humaneval_x/humaneval_java.jsonl.gz": ("prompt", "canonical_solution"),
    "humaneval_x/humaneval_js.jsonl.gz": ("prompt", "canonical_solution"),
    "humaneval_x/humaneval_rust.jsonl.gz": ("prompt", "canonical_solution"),
}
MATHEMATICS = {
    "math/math_train.jsonl.zst": ("problem", "solution"),
    "math/math_test.jsonl.zst": ("problem", "solution"),
    "gsm8k/train.jsonl.zst": ("question", "answer"),
    "gsm8k/test.jsonl.zst": ("question", "answer"),
    "metamath/GSM8K_Backward.jsonl.zst": ("question", "answer"),
}
TEXT = {
    "alpaca/alpaca_data.jsonl.zst": ("instruction", "output"),
    "dolly/databricks-dolly-15k.jsonl.zst": ("instruction", "response"),
    "mmlu/mmlu_test.jsonl.zst": ("question", "choices"),
    "boolq/boolq_val.jsonl.zst": ("question", "passage"),
    "dialogsum/dialogsum.test.jsonl.zst": ("dialogue", "summary1"),
}


def good() -> Iterator[tuple[str, Text]]:
    """(family, row) of every good row."""
    for family, files in (("code", CODE), ("mathematics", MATHEMATICS), ("text", TEXT)):
        for name, (prompt, response) in files.items():
            path = CORPORA / name
            if not path.exists():
                print(f"{name} is not there")
                continue
            for _, row, _ in objects(path):
                yield family, Text(_plain(row.get(prompt)), _plain(row.get(response)))
    for line in (
        (CORPORA / "flan_cot/aqua_train.tsv.zst",) if (CORPORA / "flan_cot/aqua_train.tsv.zst").exists() else ()
    ):
        import zstandard

        for row in zstandard.ZstdDecompressor().stream_reader(line.open("rb")).read().decode().split("\n"):
            cells = row.split("\t")
            if len(cells) == 3:
                yield "mathematics", Text(cells[0], f"{cells[2]} {cells[1]}")
    draw = random.Random(0)
    for _ in range(20_000):
        yield "numbers", Text("What stands in the table?", numbers(draw))


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--show", help="a rule or kind whose alarms are printed")
    asked = parser.parse_args()
    filters = load("llama-8b").data.filters
    kinds = personal.KINDS
    rules = [name for name in TABLE if name not in ("personal_data", "token_length")]
    alarms: Counter[tuple[str, str]] = Counter()
    rows: Counter[str] = Counter()
    for family, text in good():
        rows[family] += 1
        found = [name for name, find in kinds.items() if find(text.everything)]
        found += [name for name in rules if family != "numbers" or name in ("licence_text", "format")
                  if TABLE[name](text, getattr(filters, name)) is not None]  # fmt: skip
        for name in found:
            alarms[family, name] += 1
            if name == asked.show:
                print(f"{family}: {' '.join(text.everything.split())[:400]}")
    families = list(rows)
    print(f"\n{'rule':16s}" + "".join(f"{family:>22s}" for family in families) + f"{'hits':>14s}")
    for name in [*kinds, *rules]:
        line = "".join(f"{alarms[f, name]:>8d} of {rows[f]:>6d} {alarms[f, name] / rows[f]:>4.2%}" for f in families)
        hits = PLANTED.get(name, [])
        caught = sum(_caught(name, hit, kinds, filters) for hit in hits)
        print(f"{name:16s}{line}{f'{caught} of {len(hits)}':>14s}" if hits else f"{name:16s}{line}")


def _caught(name: str, hit: str, kinds: dict, filters: object) -> bool:
    text = Text("Please write this down.", f"He said so: {hit} and left.")
    if name in kinds:
        return bool(kinds[name](text.everything))
    return TABLE[name](text, getattr(filters, name)) is not None


if __name__ == "__main__":
    main()
