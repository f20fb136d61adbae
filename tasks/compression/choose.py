"""The rule for what is used further: a step that loses more than the profile allows is undone, and the ledger says so.

Every step's model is measured on the same questions against the last model that was kept. Not here: the verdicts
(tasks/evaluation/ledger.py).
"""

from blocks.models.checkpoint import Checkpoint, model_folder
from blocks.records import Artifact, LedgerRow, Record
from configs.phases.evaluation import Evaluation
from tasks.compression.export.gguf_write import FALLBACK
from tasks.evaluation.evaluate import evaluate
from tasks.evaluation.ledger import ledger_row
from tasks.step import step

REVERTED = "reverted"


class Measured(Record):
    """A model, its evaluation, and its ledger row."""

    model: Artifact
    evaluation: Artifact
    row: LedgerRow

    @property
    def reverted(self) -> bool:
        """Whether the model may not be used further."""
        return self.row.verdict == REVERTED


@step(version=1)
def count_parameters(model: Artifact) -> int:
    """Weights of a model, zeros included, a tied head counted once."""
    with Checkpoint(model_folder(model)) as checkpoint:
        return checkpoint.parameters()


class Book:
    """Measures what each step made and keeps the ledger's rows."""

    def __init__(self, questions: Artifact, parameters: int, settings: Evaluation, seed: int) -> None:
        self.questions, self.parameters, self.settings, self.seed = questions, parameters, settings, seed
        self.rows: list[LedgerRow] = []

    def measure(self, name: str, made: Artifact, before: Measured | None, fallback: str | None = None) -> Measured:
        """Evaluate what the step ``name`` made, against ``before``. ``fallback`` says what is used if it is
        reverted."""
        return self._enter(name, made, evaluate(made, self.questions, self.settings), before, fallback)

    def measure_as(self, name: str, made: Artifact, plain: Artifact, before: Measured, fallback: str) -> Measured:
        """As :meth:`measure`, for a file that only ``plain``, the same weights in another form, can be evaluated
        for."""
        return self._enter(name, made, evaluate(plain, self.questions, self.settings), before, fallback)

    def repacked(self, name: str, made: Artifact, of: Measured) -> None:
        """A row for a lossless step: ``made`` unpacks to the same bytes as ``of``, so its evaluation is the same."""
        self._enter(name, made, of.evaluation, of, None)

    def within_perplexity(self, after: Measured, ratio: float) -> Measured:
        """``after``, reverted where its perplexity is more than ``ratio`` times the first row's."""
        highest = self.rows[0].perplexity * ratio
        if after.reverted or after.row.perplexity <= highest:
            return after
        note = f"perplexity {after.row.perplexity:.3f} is above {highest:.3f}; the model before is used instead"
        undone = after.model_copy(update={"row": after.row.model_copy(update={"verdict": REVERTED, "note": note})})
        self.rows[self.rows.index(after.row)] = undone.row
        return undone

    def _enter(
        self, name: str, made: Artifact, evaluation: Artifact, before: Measured | None, fallback: str | None
    ) -> Measured:
        row = ledger_row(
            step=name,
            model=made,
            evaluation=evaluation,
            previous=before.evaluation if before else None,
            parameters=self.parameters,
            settings=self.settings,
            seed=self.seed,
            fallback=fallback,
        )
        if fell_back := fallbacks(made):
            row = row.model_copy(update={"note": "; ".join(filter(None, (row.note, fell_back)))})
        self.rows.append(row)
        return Measured(model=made, evaluation=evaluation, row=row)


def fallbacks(made: Artifact) -> str:
    """What a GGUF export wrote in another type than its mixture's, in words; empty where nothing."""
    found = {
        name.removeprefix(FALLBACK).replace("_as_", " as "): int(count)
        for name, count in made.metrics.items()
        if name.startswith(FALLBACK)
    }
    named = ", ".join(f"{pair} in {count}" for pair, count in found.items())
    return f"{sum(found.values())} tensors have rows that whole blocks do not fill: {named}" if found else ""


def keep(before: Measured, after: Measured) -> Measured:
    """``after``, or ``before`` where ``after`` was reverted."""
    return before if after.reverted else after
