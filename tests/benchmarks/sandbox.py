"""What judging a program costs, and what becomes of reference solutions: trivial programs, HumanEval, MBPP and their
Plus versions.

    python -m tests.benchmarks.sandbox [--old FOLDER] [--rounds N] [trivial] [humaneval] [mbpp] [humaneval+] [mbpp+]

``--old``: another checkout, measured in turn with this one, each time in a fresh process. The time is that of
``check_all``: finding the program in the answer, running it and its tests. References that fail are named. Not here:
wrong answers (test_mutants.py).
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.places import CORPORA, ROOT

HERE = ROOT
SETS = {
    "humaneval": "humaneval/HumanEval.jsonl.gz",
    "mbpp": "mbpp/mbpp.jsonl.zst",
    "humaneval+": "evalplus/humanevalplus_originfmt.jsonl.zst",
    "mbpp+": "evalplus/mbppplus_originfmt.jsonl.zst",
}


def references(name: str) -> list[tuple[str, str, str]]:
    """Name, answer and tests of every reference of a data set; ``trivial`` is made up."""
    if name == "trivial":
        return [
            (str(n), f"def f(x): return x + {n}", f"assert f(1) == {n + 1}\nassert f(2) == {n + 2}") for n in range(300)
        ]
    rows = rows_of(SETS[name])
    if name.startswith("humaneval"):
        return [
            (row["task_id"], row["prompt"] + row["canonical_solution"], f"{row['test']}\ncheck({row['entry_point']})")
            for row in rows
        ]
    tests = [row["test"] if name == "mbpp+" else "\n".join([row["test_setup_code"], *row["test_list"]]) for row in rows]
    return [
        (str(row["task_id"]), f"```python\n{row['code']}\n```", test) for row, test in zip(rows, tests, strict=True)
    ]


def rows_of(name: str) -> list[Any]:
    """A data set's rows."""
    import zstandard

    data = (CORPORA / name).read_bytes()
    data = (
        gzip.decompress(data) if name.endswith(".gz") else zstandard.ZstdDecompressor().decompressobj().decompress(data)
    )
    return [json.loads(line) for line in data.decode().split("\n") if line]


def measure(name: str) -> dict[str, Any]:
    """Seconds for all references of a set, and the reasons of those that fail."""
    from blocks.checkers import code

    code.check_all([("x = 1", "")])  # which confinement works here is tried once
    made = references(name)
    start = time.perf_counter()
    verdicts = code.check_all([(answer, tests) for _, answer, tests in made])
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "count": len(made),
        "failed": {task: one.reason for (task, _, _), one in zip(made, verdicts, strict=True) if not one.correct},
    }


def measured(name: str, checkout: Path) -> dict[str, Any]:
    """The same in a process that imports from another checkout."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "COGUMI_CORPORA": str(CORPORA)}
    done = subprocess.run(
        [sys.executable, "-P", __file__, "--here", name], env=environment, capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout))


def main() -> None:
    """Print one line for each set and checkout."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=["trivial", "humaneval", "mbpp"])
    parser.add_argument("--old", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        print(json.dumps(measure(arguments.sets[0])))
        return
    checkouts = {**({"old": arguments.old.resolve()} if arguments.old else {}), "new": HERE}
    for name in arguments.sets:
        found: dict[str, list[dict[str, Any]]] = {label: [] for label in checkouts}
        for _ in range(arguments.rounds):
            for label, checkout in checkouts.items():
                found[label].append(measured(name, checkout))
        for label, results in found.items():
            times, count = [result["seconds"] for result in results], results[0]["count"]
            print(
                f"{name} {label}: best {min(times):.2f} s of {', '.join(f'{t:.2f}' for t in times)}; "
                f"{1000 * min(times) / count:.2f} ms each; load {os.getloadavg()[0]:.1f}"
            )
            for task, reason in sorted({item for result in results for item in result["failed"].items()}):
                print(f"    {task}: {reason}")


if __name__ == "__main__":
    main()
