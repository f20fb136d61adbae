"""The dataset in Prefect's UI: what it is made of, what every stage dropped, what it cost. Not here: its card
(card.py), teachers (spending.py)."""

import json
from typing import Any

from blocks import store
from blocks.prefect.pages import leave_text, table
from blocks.records import Artifact
from tasks.step import step


@step(version=1, cache=False)
def show_dataset(dataset: Artifact) -> None:
    """Leave the artifact ``dataset``."""
    stats: dict[str, Any] = json.loads((store.open(dataset) / "stats.json").read_text())
    rows, dollars = stats["rows"], stats["dollars"]
    stages = [
        [name, numbers.get("kept", numbers.get("questions", "")), _dropped(numbers)]
        for name, numbers in stats["stages"].items()
    ]
    text = [
        f"# Dataset {dataset.short}\n",
        f"{rows['train']} training and {rows['validation']} validation examples, mean score "
        f"{stats['quality']['mean']:.2f} of 10; ${dollars['total']} for all teacher calls.\n",
        table(
            ["domain", "difficulty", "examples"],
            [[row["domain"], row["difficulty"], row["rows"]] for row in stats["composition"]],
        ),
        table(["stage", "kept", "dropped"], stages),
        table(["teacher", "examples"], [[row["teacher_model"], row["rows"]] for row in stats["teachers"]]),
    ]
    leave_text("dataset", "\n".join(text), f"{sum(rows.values())} examples; ${dollars['total']} of teacher calls")


def _dropped(numbers: dict[str, Any]) -> str:
    return ", ".join(
        f"{key.removeprefix('rejected_')} {value}" for key, value in numbers.items() if key.startswith("rejected_")
    )
