"""References of public data sets with one thing changed: the checker says of each what running its tests in one plain
interpreter says."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from blocks.checkers import code
from tests.blocks.checkers.test_checkers import corpus

SECONDS = 0.5  # of a mutant that never ends; what ends on its own and is judged here needs less than half of it
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.BitXor: ast.BitOr,
    ast.BitAnd: ast.BitOr,
}
HARMLESS = {
    "math",
    "re",
    "collections",
    "itertools",
    "heapq",
    "typing",
    "functools",
    "string",
    "operator",
    "bisect",
    "copy",
    "cmath",
    "datetime",
    "hashlib",
    "sys",
}
# Each program and its tests in one namespace, in a process of its own. Prints whether it came to the end, and its
# processor time.
PLAIN = """
import json, os, resource, sys
cases = json.load(sys.stdin)
for program, tests in cases:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            nothing = os.open(os.devnull, os.O_RDWR)
            for fd in range(3):
                os.dup2(nothing, fd)
            for limit, size in ((resource.RLIMIT_CPU, 1), (resource.RLIMIT_AS, 512 << 20), (resource.RLIMIT_FSIZE, \
0), (resource.RLIMIT_CORE, 0)):
                resource.setrlimit(limit, (size, size))
            names = {"__name__": "program"}
            exec(program, names)
            names["__name__"] = "__main__"
            exec(tests, names)
            status = 0
        finally:
            os._exit(status)
    _, status, usage = os.wait4(pid, 0)
    print(json.dumps([status == 0, usage.ru_utime + usage.ru_stime]), flush=True)
"""


def mutants(source: str) -> Iterator[str]:
    """The program with one operator swapped, one whole number one greater, or one condition negated; every such
    program."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(node.op) in SWAPS:
            was = node.op
            node.op = SWAPS[type(was)]()  # type: ignore[assignment]
            yield ast.unparse(tree)
            node.op = was  # type: ignore[assignment]
        elif isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
            first = node.ops[0]
            node.ops[0] = SWAPS[type(first)]()  # type: ignore[call-overload]
            yield ast.unparse(tree)
            node.ops[0] = first
        elif isinstance(node, ast.Constant) and type(node.value) is int:
            node.value += 1
            yield ast.unparse(tree)
            node.value -= 1
        elif isinstance(node, ast.If | ast.While | ast.IfExp):
            test = node.test
            node.test = ast.UnaryOp(ast.Not(), test)
            yield ast.unparse(tree)
            node.test = test


def sample(references: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """One mutant of each reference, another kind of place in each; without references that import what could reach
    beyond them."""
    found = []
    for number, (program, tests) in enumerate(references):
        imported = {
            name.split(".")[0] for node in ast.walk(ast.parse(program + "\n" + tests)) for name in _imported(node)
        }
        made = list(mutants(program)) if imported <= HARMLESS else []
        found += [(made[number * 7 % len(made)], tests)] if made else []
    return found


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def plainly(cases: list[tuple[str, str]]) -> list[tuple[bool, float]]:
    """Whether each passes in one plain interpreter, and its seconds of processor time."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", PLAIN], input=json.dumps(cases), capture_output=True, text=True, check=True
    )
    return [(passed, seconds) for passed, seconds in map(json.loads, done.stdout.split("\n")[:-1])]


@pytest.mark.slow
def test_the_checker_says_of_mutants_what_a_plain_run_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "SECONDS", SECONDS)
    humaneval = [
        (row["prompt"] + row["canonical_solution"], f"{row['test']}\ncheck({row['entry_point']})")
        for row in corpus("humaneval/HumanEval.jsonl.gz")
    ]
    mbpp = [
        (row["code"], "\n".join([row["test_setup_code"], *row["test_list"]]))
        for row in corpus("mbpp/mbpp.jsonl.zst")[::6]
    ]
    cases = sample(humaneval + mbpp)
    golden = plainly(cases)
    judged = [
        (case, passed)
        for case, (passed, seconds) in zip(cases, golden, strict=True)
        if not passed or seconds < SECONDS / 2
    ]
    assert len(judged) > 250
    verdicts = code.check_all([(f"```python\n{program}\n```", tests) for (program, tests), _ in judged])
    wrong = sum(not passed for _, passed in judged)
    assert 0.8 * len(judged) < wrong < len(judged), "most mutants are wrong, and some are as right as the reference"
    differing = [
        (program, tests, passed, verdict.reason)
        for ((program, tests), passed), verdict in zip(judged, verdicts, strict=True)
        if verdict.correct != passed
    ]
    assert differing == []
