"""Judge answers by how their question says they are checked. Only the response counts, never draft, thinking or a
model's reasoning.

Not here: the checks themselves, one file per kind.
"""

import ast
import warnings
from collections.abc import Callable, Sequence

from blocks.checkers import call, code, text, value
from blocks.models.sections import sections
from blocks.records import Expected, Verdict
from configs.errors import BadInput

_SIMPLE: dict[str, Callable[[str, str], Verdict]] = {"value": value.check, "call": call.check, "text": text.check}


def check(expected: Expected, answer: str) -> Verdict:
    """Judge one answer; see :func:`check_all`."""
    return check_all([(expected, answer)])[0]


def check_all(pairs: Sequence[tuple[Expected, str]]) -> list[Verdict]:
    """Judge every answer, in order; all generated code runs in one batch of the sandbox.

    Raises:
        BadInput: an expected value is not what its kind needs, or generated code cannot be confined on this machine.
    """
    verdicts: dict[int, Verdict] = {}
    coded: dict[int, tuple[str, str]] = {}
    for i, (expected, answer) in enumerate(pairs):
        response = sections(answer).response
        if response.startswith(("<draft>", "<thinking>")) or (not response and answer.strip()):
            verdicts[i] = Verdict(correct=False, reason="the answer stops before its response")
        elif expected.kind == "code":
            coded[i] = (response, expected.value)
        else:
            verdicts[i] = _SIMPLE[expected.kind](expected.value, response)
    verdicts |= dict(zip(coded, code.check_all(list(coded.values())), strict=True))
    return [verdicts[i] for i in range(len(pairs))]


def unusable(expected: Expected) -> str | None:
    """Why no answer can be checked by ``expected``; None where it can. Generated code is read, not run."""
    if not expected.value.strip():
        return "the check is empty"
    try:
        if expected.kind == "value":
            value.wanted(expected.value)
        elif expected.kind == "call":
            call.wanted(expected.value)
        elif expected.kind == "code":
            return _never_fails(expected.value)
    except BadInput as error:
        return str(error)
    return None


def _never_fails(tests: str) -> str | None:
    """Why test code says nothing of an answer: it does not compile, or does nothing that could fail."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = compile(tests, "<check>", "exec", ast.PyCF_ONLY_AST)
            compile(tests, "<check>", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        return f"the check is not Python: {str(error)[:80]}"
    return (
        None
        if any(isinstance(node, ast.Assert | ast.Raise | ast.Call) for node in ast.walk(tree))
        else "the check asserts nothing"
    )
