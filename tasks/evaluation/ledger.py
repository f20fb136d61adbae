"""The ledger: what every step that changes a model cost and gained, measured the same way on the same questions.

A row's verdict, from the paired difference of exact match to the row it is compared with and the profile's tolerance:
``first`` nothing to compare with · ``better`` the whole interval is above 0 · ``no worse`` the whole interval is above
-tolerance · ``kept`` the mean is within the tolerance, but the interval does not show it · ``reverted`` the mean loses
more than the tolerance. A reverted step's model is not used further; what is used instead stands in its note. Nothing
is called better without the interval. Not here: carrying out the verdict (flows), drawing it (plots.py).
"""

import json
from collections.abc import Sequence
from pathlib import Path

from blocks import store
from blocks.records import Artifact, Interval, LedgerRow
from configs.errors import BadInput
from configs.phases.evaluation import Evaluation
from tasks.evaluation.evaluate import read_answers, read_summary
from tasks.evaluation.statistics import paired_difference
from tasks.step import step

WEIGHTS = (".safetensors", ".gguf", ".zst")


@step(version=1)
def ledger_row(
    step: str,
    model: Artifact,
    evaluation: Artifact,
    previous: Artifact | None,
    parameters: int,
    settings: Evaluation,
    seed: int,
    fallback: str | None = None,
) -> LedgerRow:
    """The row of the step ``step``, which made ``model`` and was measured by ``evaluation``.

    Args:
        step: its name, as people know it.
        model: what the step made; its weight files are what is counted as bytes.
        evaluation: of the model.
        previous: the evaluation that the step is compared with: of the last model that was kept. None for the first
            row.
        parameters: of the model, pruned ones included.
        settings: tolerance and resamples.
        seed: of the bootstrap.
        fallback: what is used instead if the verdict is ``reverted``, for the note; None for the model before.

    Raises:
        BadInput: the evaluations are not of the same questions, or without perplexity.
    """
    summary = read_summary(evaluation)
    if summary.perplexity is None:
        raise BadInput(
            f"{evaluation.short} has no perplexity, because its questions have no reference answers; evaluate on "
            "held_out questions"
        )
    difference = None if previous is None else _difference(previous, evaluation, settings, seed)
    verdict = judge(difference, settings.tolerance)
    size = weight_bytes(store.open(model))
    return LedgerRow(
        step=step,
        model=model.digest,
        bytes=size,
        parameters=parameters,
        bits_per_parameter=8 * size / parameters,
        perplexity=summary.perplexity,
        exact_match=summary.exact_match,
        by_domain=summary.by_domain,
        tokens_per_second=evaluation.metrics["tokens_per_second"],
        difference=difference,
        verdict=verdict,
        note=f"{fallback or 'the model before'} is used instead" if verdict == "reverted" else "",
    )


@step(version=1)
def ledger(rows: list[LedgerRow]) -> Artifact:
    """All rows as an artifact of kind "ledger": ledger.json (a list of LedgerRow) and ledger.md (the same for people).

    Raises:
        BadInput: no rows.
    """
    if not rows:
        raise BadInput("a ledger needs at least one row")
    with store.create("ledger", settings={"rows": len(rows)}) as folder:
        (folder.path / "ledger.json").write_text(
            json.dumps([row.model_dump(mode="json") for row in rows], indent=1) + "\n", encoding="utf-8"
        )
        (folder.path / "ledger.md").write_text(markdown(rows), encoding="utf-8")
        folder.metrics |= {"rows": len(rows), "reverted": sum(row.verdict == "reverted" for row in rows)}
    return folder.artifact


def read_ledger(artifact: Artifact) -> list[LedgerRow]:
    """The rows of a ledger artifact, in order."""
    if artifact.kind != "ledger":
        raise BadInput(f"{artifact.short} is not a ledger; make one with ledger")
    return [
        LedgerRow.model_validate(row)
        for row in json.loads((store.open(artifact) / "ledger.json").read_text(encoding="utf-8"))
    ]


def judge(difference: Interval | None, tolerance: float) -> str:
    """The verdict on a step; the words are this file's."""
    if difference is None:
        return "first"
    if difference.mean < -tolerance:
        return "reverted"
    if difference.low > 0:
        return "better"
    return "no worse" if difference.low >= -tolerance else "kept"


def weight_bytes(folder: Path) -> int:
    """Bytes of the weight files (safetensors, GGUF, zstd) in an artifact's folder.

    Raises:
        BadInput: there is none.
    """
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.suffix in WEIGHTS]
    if not sizes:
        raise BadInput(f"{folder} holds no weights ({', '.join(WEIGHTS)})")
    return sum(sizes)


def markdown(rows: Sequence[LedgerRow]) -> str:
    """The ledger as two Markdown tables: overall, and exact match by domain. Shares in percent, with 95% intervals."""
    domains = list(dict.fromkeys(domain for row in rows for domain in row.by_domain))
    lines = [
        "# Ledger",
        "",
        f"The same {rows[0].exact_match.n} held-out questions after every step that changed a model. Brackets are 95% "
        "intervals: Wilson for shares, paired",
        "bootstrap over questions for the difference from the last model that was kept.",
        "",
        "| step | MB | bits/parameter | perplexity | exact match % | tokens/s | difference, points | verdict | note |",
        "|---|--:|--:|--:|---|--:|---|---|---|",
        *(
            f"| {row.step} | {row.bytes / 1e6:.2f} | {row.bits_per_parameter:.2f} | {row.perplexity:.3f} | "
            f"{percent(row.exact_match)} | {row.tokens_per_second:.0f} "
            f"| {percent(row.difference, sign='+') if row.difference else ''} | {row.verdict} | {row.note} |"
            for row in rows
        ),
        "",
        f"| step | {' | '.join(domains)} |",
        f"|---|{'---|' * len(domains)}",
        *(
            f"| {row.step} | "
            f"{' | '.join(percent(row.by_domain[domain]) if domain in row.by_domain else '' for domain in domains)} |"
            for row in rows
        ),
        "",
    ]
    return "\n".join(lines)


def percent(interval: Interval, sign: str = "") -> str:
    """``mean [low, high]`` in percent with one decimal."""
    return f"{100 * interval.mean:{sign}.1f} [{100 * interval.low:{sign}.1f}, {100 * interval.high:{sign}.1f}]"


def _difference(previous: Artifact, evaluation: Artifact, settings: Evaluation, seed: int) -> Interval:
    before, after = read_answers(previous), read_answers(evaluation)
    if [one.question for one in before] != [one.question for one in after]:
        raise BadInput(
            f"{previous.short} and {evaluation.short} are not of the same questions; evaluate both on the same artifact"
        )
    return paired_difference(
        [one.correct for one in before], [one.correct for one in after], seed=seed, resamples=settings.resamples
    )
