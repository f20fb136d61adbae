"""Gates: a report against thresholds of the profile. A gate fails loudly, with the numbers.

Not here: how the numbers were measured, and the decision what a failed gate stops (flows).
"""

import logging

from blocks.journal import history
from blocks.records import GateCheck, GateReport
from configs.errors import GateFailed
from tasks.step import step

log = logging.getLogger("cogumi.gate")


@step(version=1, cache=False)
def gate(name: str, checks: list[GateCheck]) -> GateReport:
    """Pass when every check holds.

    Raises:
        GateFailed: names every check that does not hold, with value and threshold.
    """
    report = GateReport(gate=name, checks=tuple(checks))
    history.gate_done(report)
    if not report.passed:
        raise GateFailed(f"gate {name}: " + "; ".join(describe(check) for check in report.checks if not check.passed))
    log.info("gate %s passed: %s", name, "; ".join(describe(check) for check in checks))
    return report


def describe(check: GateCheck) -> str:
    """``name = value, must be rule threshold``."""
    return f"{check.name} = {check.value:.4g}, must be {check.rule} {check.threshold:.4g}"
