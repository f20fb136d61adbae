"""The training in Prefect's UI: the ladder of models, the choice among them, the losses. Not here: figures
(tasks/release/plots.py)."""

import json

from blocks import store
from blocks.prefect.pages import leave_text, table
from blocks.records import Artifact
from tasks.evaluation.evaluate import read_summary
from tasks.evaluation.ledger import percent
from tasks.step import step
from tasks.training.choose import Choice

POINTS = 8  # of each curve


@step(version=1, cache=False)
def show_training(models: dict[str, Artifact], curves: dict[str, Artifact], choice: Choice) -> None:
    """Leave the artifact ``training``. ``models``: evaluations in the order they were made; ``curves``: what holds a
    curve.json."""
    text = [
        f"# Training: {choice.name} is merged\n",
        f"{choice.reason}.\n",
        table(
            ["model", "exact match %, held out"],
            [[name, percent(read_summary(one).exact_match)] for name, one in models.items()],
        ),
    ]
    for name, one in curves.items():
        points = json.loads((store.open(one) / "curve.json").read_text())
        shown = points[:: max(1, len(points) // POINTS)]
        shown += [] if not points or shown[-1] is points[-1] else [points[-1]]
        rows = [
            [
                f"{point['tokens']:,.0f}",
                f"{point['loss']:.4f}" if "loss" in point else "",
                f"{loss:.4f}" if (loss := point.get("validation_loss")) is not None else "",
            ]
            for point in shown
        ]
        text += [f"## {name}\n", table(["tokens", "loss, nats per token", "validation loss"], rows)]
    leave_text(
        "training",
        "\n".join(text),
        f"{choice.name}; exact match {percent(read_summary(choice.evaluation).exact_match)} %",
    )
