"""The router in Prefect's UI: threshold, cost, gain, calibration. Not here: measuring them (assemble.py)."""

import json
from typing import Any

from blocks import store
from blocks.prefect.pages import leave_table
from blocks.records import Artifact
from tasks.step import step


@step(version=1, cache=False)
def show_routing(router: Artifact) -> None:
    """Leave the artifact ``router``."""
    found: dict[str, Any] = json.loads((store.open(router) / "report.json").read_text())
    rows = [{"measure": name.replace("_", " "), "value": _shown(value)} for name, value in found["summary"].items()]
    leave_table("router", rows, f"The router on the test questions; {found['choice']['reason']}")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return (
            f"{value['mean']:+.4f} [{value['low']:+.4f}, {value['high']:+.4f}]"
            if {"mean", "low", "high"} <= set(value)
            else json.dumps(value)
        )
    return f"{value:.4g}" if isinstance(value, float) else str(value)
