"""Which domains moved: the current release's answers by source and domain, held against what was measured when it was
released.

Pure; the same records give the same decision. Not here: reading them (observe.py), making anything anew
(flows/retraining.py).
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from blocks.records import Interval, Record
from configs.phases.nightly import Moving
from tasks.evaluation.statistics import wilson
from tasks.improvement.observe import Observed, Source


class Cluster(Record):
    """The answers of one source in one domain. ``failure``: share wrong of the judged; ``doubt``: share of all that
    escalated or fell back; ``*_at_release``: the same on the test questions, None where there were none of the domain.
    ``families``: wrong answers by task type. ``decided``: there was enough to decide on, so the next night reads on
    from here; ``modifier``: who covers the domain, None for the base alone."""

    source: Source
    domain: str
    modifier: str | None
    records: int
    judged: int
    failed: int
    doubted: int
    escalated: int
    fallbacks: int
    families: dict[str, int]
    failure: Interval
    failure_at_release: float | None
    doubt: Interval
    doubt_at_release: float | None
    decided: bool
    moved: bool
    why: str


def clusters(
    observed: Sequence[Observed],
    covers: Mapping[str, Sequence[str]],
    failed_before: Mapping[str, float],
    doubted_before: Mapping[str, float],
    settings: Moving,
) -> list[Cluster]:
    """Group and decide. ``covers``: domains by modifier; ``*_before``: shares at release by domain."""
    owner = {domain: name for name, domains in covers.items() for domain in domains}
    groups: dict[tuple[Source, str], list[Observed]] = {}
    for one in observed:
        groups.setdefault((one.source, one.domain), []).append(one)
    return [
        _cluster(*key, group, owner.get(key[1]), failed_before.get(key[1]), doubted_before.get(key[1]), settings)
        for key, group in sorted(groups.items())
    ]


def moved(found: Sequence[Cluster]) -> dict[str, list[str]]:
    """The domains to make anew, by the modifier that covers them."""
    chosen: dict[str, list[str]] = {}
    for cluster in found:
        if (
            cluster.moved
            and cluster.modifier is not None
            and cluster.domain not in chosen.setdefault(cluster.modifier, [])
        ):
            chosen[cluster.modifier].append(cluster.domain)
    return chosen


def _cluster(
    source: Source,
    domain: str,
    group: Sequence[Observed],
    modifier: str | None,
    failed_before: float | None,
    doubted_before: float | None,
    settings: Moving,
) -> Cluster:
    judged = [one for one in group if one.right is not None]
    failed = [one for one in judged if not one.right]
    doubts = sum(one.escalated or one.fallback for one in group)
    failure, doubt = wilson(len(failed), len(judged)), wilson(doubts, len(group))
    moves, why = _verdict(failure, failed_before or 0.0, doubt, doubted_before, settings)
    if moves and modifier is None:
        why += "; no modifier covers it, so only a run of the whole profile can mend it"
    return Cluster(
        source=source,
        domain=domain,
        modifier=modifier,
        records=len(group),
        judged=len(judged),
        failed=len(failed),
        doubted=sum(one.doubted for one in group),
        escalated=sum(one.escalated for one in group),
        fallbacks=sum(one.fallback for one in group),
        families=dict(sorted(Counter(one.task_type for one in failed if one.task_type).items())),
        failure=failure if judged else failure.model_copy(update={"mean": 0.0}),
        failure_at_release=failed_before,
        doubt=doubt,
        doubt_at_release=doubted_before,
        decided=moves or len(judged) >= settings.records or (not judged and len(group) >= settings.records),
        moved=moves,
        why=why,
    )


def _verdict(
    failure: Interval, failed_before: float, doubt: Interval, doubted_before: float | None, settings: Moving
) -> tuple[bool, str]:
    if doubt.n < settings.records:
        return False, f"{doubt.n} answers, {settings.records} are needed"
    if failure.n >= settings.records and failure.mean >= settings.share and failure.low > failed_before:
        return True, f"{failure.mean:.0%} wrong, surely more than the {failed_before:.0%} at release"
    if doubted_before is not None and doubt.low > doubted_before + settings.drift:
        return (
            True,
            f"{doubt.mean:.0%} escalated, surely {settings.drift:.0%} more than the {doubted_before:.0%} at release",
        )
    wrong = f"{failure.mean:.0%} wrong" if failure.n else "none judged"
    return False, f"{wrong} ({failed_before:.0%} at release), {doubt.mean:.0%} escalated"
