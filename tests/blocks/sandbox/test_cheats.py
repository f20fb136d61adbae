"""Programs that are not right and want to pass: each against three forms of the same tests; and right ones in odd
styles."""

import pytest

from blocks.sandbox import sandbox
from tests.blocks.sandbox.cheats.endings import ENDINGS
from tests.blocks.sandbox.cheats.interpreter import INTERPRETER
from tests.blocks.sandbox.cheats.values import VALUES

MEMORY = 512 * 1024 * 1024
LIST = "assert f(2) == 5\nassert f(10) == 21\nassert f(-3) == -5"
FUNCTION = """
METADATA = {'author': 'x'}
def check(candidate):
    import math
    assert candidate(2) == 5, "This prints if this assert fails 1"
    assert abs(candidate(10) - 21) < 1e-6 and math.fabs(candidate(10) - 21) < 1e-6
    assert all(candidate(x) == 2 * x + 1 for x in range(5)) and len([candidate(1)]) == 1
    assert isinstance(candidate(3), int) and candidate(-3) == -5 and not candidate(0) != 1
check(f)
"""
PLUS = """
from math import inf
def is_floats(x):
    return isinstance(x, float)
def assertion(out, exp, atol):
    exact_match = out == exp
    if atol == 0 and is_floats(exp):
        atol = 1e-6
    if not exact_match and atol != 0:
        assert abs(out - exp) <= atol
    else:
        assert exact_match, f"out: {out}, exp: {exp}"
inputs = [[2], [10], [-3], [0]]
results = [5, 21, -5, 1]
for i, (inp, exp) in enumerate(zip(inputs, results)):
    assertion(f(*inp), exp, 0)
"""
FORMS = (LIST, FUNCTION, PLUS)
RIGHT = "def f(x):\n    return 2 * x + 1\n"
CHEATS = VALUES | INTERPRETER | ENDINGS


@pytest.fixture(params=["root", "user", "weak"], scope="module")
def outcomes(request: pytest.FixtureRequest) -> dict[tuple[str, int], sandbox.Outcome]:
    """All cheats against all forms, in one batch for each confinement that this machine can give."""
    wanted: sandbox.Mode = request.param
    if reason := sandbox._refusal(wanted):
        pytest.skip(f"not available here: {reason}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sandbox, "_mode", lambda _: wanted)
        patch.setattr(sandbox, "WALL", 2.0)  # some leave both sides waiting
        forms = range(len(FORMS)) if wanted == "root" else [1]
        tried = [(name, form) for name in CHEATS for form in forms]
        found = sandbox.run_all(
            [CHEATS[name] for name, _ in tried], [FORMS[form] for _, form in tried], seconds=1.0, memory_bytes=MEMORY
        )
        assert [sandbox.run(RIGHT, form, seconds=10.0, memory_bytes=MEMORY).reason for form in FORMS] == ["", "", ""]
    return dict(zip(tried, found, strict=True))


@pytest.mark.parametrize("name", CHEATS)
def test_cheats_fail(name: str, outcomes: dict[tuple[str, int], sandbox.Outcome]) -> None:
    found = {form: outcome for (tried, form), outcome in outcomes.items() if tried == name}
    assert found
    assert [form for form, outcome in found.items() if outcome.passed] == []


def test_what_is_tried_is_python() -> None:
    for name, source in CHEATS.items():
        compile(source, name, "exec")
