"""Code: the answer's program is judged by the question's test code, in the sandbox."""

from collections.abc import Sequence

from blocks.checkers.program import program
from blocks.records import Verdict
from blocks.sandbox import sandbox

# Of processor time, for a program and for its tests each. The slowest reference solution of HumanEval and MBPP needs 5
# seconds, almost all of them a hundredth.
SECONDS = 10.0
MEMORY_BYTES = 512 * 1024 * 1024


def check_all(pairs: Sequence[tuple[str, str]]) -> list[Verdict]:
    """Run the code of each response against its tests in the sandbox, in one batch."""
    programs = [program(response, tests) for response, tests in pairs]
    outcomes = sandbox.run_all(programs, [tests for _, tests in pairs], seconds=SECONDS, memory_bytes=MEMORY_BYTES)
    return [Verdict(correct=outcome.passed, reason=outcome.reason or "the tests pass") for outcome in outcomes]
