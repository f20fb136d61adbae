"""Judge answers by how their question says they are checked. Only the response counts, never draft or thinking.

Not here: the checks themselves, one file per kind.
"""

from collections.abc import Callable, Sequence

from blocks.chat_format import sections
from blocks.checkers import call, code, text, value
from blocks.records import Expected, Verdict

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
        if response.startswith(("<draft>", "<thinking>")):
            verdicts[i] = Verdict(correct=False, reason="the answer stops before its response")
        elif expected.kind == "code":
            coded[i] = (response, expected.value)
        else:
            verdicts[i] = _SIMPLE[expected.kind](expected.value, response)
    verdicts |= dict(zip(coded, code.check_all(list(coded.values())), strict=True))
    return [verdicts[i] for i in range(len(pairs))]
