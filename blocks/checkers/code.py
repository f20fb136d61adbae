"""Code: the answer's program, with the question's test code after it, runs to its end in the sandbox."""

import re
from collections.abc import Sequence

from blocks import sandbox
from blocks.records import Verdict

# Per program, tests included. The slowest reference solution of HumanEval and MBPP needs 5 seconds, almost all of them a hundredth.
SECONDS = 10.0
MEMORY_BYTES = 512 * 1024 * 1024
_FENCE = re.compile(r"```[ \t]*[\w+-]*[ \t]*\n(.*?)(?:\n[ \t]*```|\Z)", re.DOTALL)


def program(response: str) -> str:
    """The answer's code, out of its Markdown fences, where it has any."""
    blocks = _FENCE.findall(response)
    return "\n".join(blocks or [response]) + "\n"


def check_all(pairs: Sequence[tuple[str, str]]) -> list[Verdict]:
    """Run the code of each response against its tests in the sandbox, in one batch."""
    programs = [program(response) for response, _ in pairs]
    outcomes = sandbox.run_all(programs, [tests for _, tests in pairs], seconds=SECONDS, memory_bytes=MEMORY_BYTES)
    return [Verdict(correct=outcome.passed, reason=outcome.reason or "the tests pass") for outcome in outcomes]
