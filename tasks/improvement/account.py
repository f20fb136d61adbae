"""What a night saw, decided, changed and cost: an artifact in the store, and a page in the UI. Not here: any of the
decisions."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from blocks import store
from blocks.journal.lineage import ancestors
from blocks.prefect.pages import leave_text
from blocks.records import Artifact, Interval, Record
from tasks.evaluation.ledger import percent
from tasks.improvement.examine import Comparison
from tasks.improvement.moved_domains import Cluster
from tasks.step import step

ACCOUNT = "nightly.json"


class Cost(Record):
    """What one kind of step took this night."""

    step: str
    artifacts: int
    seconds: float
    dollars: Decimal


class Account(Record):
    """A night. ``gains``: the gain report of every retrained modifier; ``costs``: of the steps that really ran this
    night."""

    verdict: str
    why: str
    current: str
    candidate: str | None
    clusters: tuple[Cluster, ...]
    gains: tuple[dict[str, Any], ...]
    comparison: Comparison | None
    costs: tuple[Cost, ...]

    @property
    def dollars(self) -> Decimal:
        """What teachers were paid."""
        return sum((cost.dollars for cost in self.costs), Decimal(0))

    @property
    def seconds(self) -> float:
        """Seconds in steps."""
        return sum(cost.seconds for cost in self.costs)


@step(version=1, cache=False)
def account(
    verdict: str,
    why: str,
    current: Artifact,
    candidate: Artifact | None,
    observed: Artifact,
    made: list[Artifact],
    clusters: list[Cluster],
    gains: list[dict[str, Any]],
    comparison: Comparison | None,
) -> Artifact:
    """Write the account of a night that made the artifacts ``made``, and show it in the UI.

    Returns:
        Artifact of kind "nightly": nightly.json (Account), README.md.
    """
    night = Account(
        verdict=verdict,
        why=why,
        current=current.digest,
        candidate=candidate.digest if candidate else None,
        clusters=tuple(clusters),
        gains=tuple(gains),
        comparison=comparison,
        costs=tuple(costs(current, [observed, *made])),
    )
    parents = list({one.digest: one for one in [current, observed, *made]}.values())
    with store.create("nightly", parents=parents) as folder:
        (folder.path / ACCOUNT).write_text(night.model_dump_json(indent=1) + "\n", encoding="utf-8")
        (folder.path / "README.md").write_text(markdown(night), encoding="utf-8")
        folder.metrics |= {
            "clusters": len(clusters),
            "moved": sum(cluster.moved for cluster in clusters),
            "retrained": len(gains),
            "promoted": verdict == "promoted",
        }
        folder.metrics |= {"dollars": float(night.dollars), "seconds": night.seconds}
    leave_text("nightly", markdown(night), f"The night's verdict: {verdict}")
    return folder.artifact


def read_account(nightly: Artifact) -> Account:
    """The account in a "nightly" artifact."""
    return Account.model_validate_json((store.open(nightly) / ACCOUNT).read_text(encoding="utf-8"))


def costs(current: Artifact, made: Sequence[Artifact]) -> list[Cost]:
    """By step, dearest in time first: what is behind ``made`` and is not behind the release ``current``."""
    known = {one.digest for one in ancestors([current])}
    steps: dict[str, list[Any]] = {}
    for one in ancestors(made):
        if one.digest not in known:
            steps.setdefault(one.step, []).append(one)
    found = [
        Cost(
            step=name,
            artifacts=len(those),
            seconds=round(sum(one.seconds for one in those), 3),
            dollars=sum((one.dollars for one in those), Decimal(0)),
        )
        for name, those in steps.items()
    ]
    return sorted(found, key=lambda cost: -cost.seconds)


def markdown(night: Account) -> str:
    """The account for people."""
    lines = [
        f"# Night: {night.verdict}",
        "",
        night.why,
        "",
        f"Current release then: `{night.current[:12]}`"
        + (f", candidate: `{night.candidate[:12]}`" if night.candidate else "")
        + f". Teachers: ${night.dollars:.4f}. Steps: {night.seconds:.0f} s.",
        "",
        "## What was served and evaluated",
        "",
        "| source | domain | modifier | answers | judged | wrong | at release | escalated or fallen back | at release "
        "| fallbacks | unsure | wrong by kind | decision |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
        *(_cluster(cluster) for cluster in night.clusters),
    ]
    if not night.clusters:
        lines += ["", "Nothing that was not decided on before."]
    if night.gains:
        lines += [
            "",
            "## Retrained",
            "",
            "| modifier | gain over the base in its domains, points | verdict |",
            "|---|---|---|",
        ]
        lines += [
            f"| {gain['modifier']} | {percent(Interval.model_validate(gain['inside']), sign='+')} | {gain['reason']} |"
            for gain in night.gains
        ]
    if night.comparison is not None:
        found = night.comparison
        lines += [
            "",
            "## Candidate against current release, on held-out questions new tonight (exact match %)",
            "",
            "| domain | current | candidate | paired difference |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| affected | | | {percent(found.affected, sign='+')} |",
            f"| all | | | {percent(found.overall, sign='+')} |",
        ]
        lines += [
            f"| {domain} | {100 * found.before[domain]:.1f} | {100 * found.after[domain]:.1f} | "
            f"{percent(change, sign='+')} |"
            for domain, change in found.by_domain.items()
        ]
    if night.costs:
        lines += ["", "## What it cost", "", "| step | artifacts | seconds | dollars |", "|---|---|---|---|"]
        lines += [
            f"| {cost.step} | {cost.artifacts} | {cost.seconds:.1f} | {cost.dollars:.4f} |" for cost in night.costs
        ]
    return "\n".join([*lines, ""])


def _cluster(one: Cluster) -> str:
    wrong = f"{one.failed} ({one.failure.mean:.0%})" if one.judged else ""
    families = ", ".join(f"{name} {count}" for name, count in one.families.items())
    cells = [
        one.source,
        one.domain,
        one.modifier or "none",
        one.records,
        one.judged,
        wrong,
        _share(one.failure_at_release),
        f"{one.doubt.mean:.0%}",
        _share(one.doubt_at_release),
        one.fallbacks,
        one.doubted,
        families,
        f"**moved**: {one.why}" if one.moved else one.why,
    ]
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"
