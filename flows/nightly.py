"""The nightly regeneration: what was served → which domains moved → retraining → gate against the current release →
promotion.

A night that refuses its candidate has done its work: the run completes with the verdict "refused", the failed gate
stands in its step and its event, and the pointer is not moved. Not here: the schedule (prefect.yaml), the work on a
candidate (retraining.py).
"""

import logging
from datetime import UTC, datetime
from functools import partial
from typing import Literal, cast

from prefect import flow, get_client
from prefect.context import FlowRunContext

from blocks import store
from blocks.journal import history
from blocks.records import Artifact, Domain, GateCheck, Record
from configs.errors import BadInput, GateFailed
from configs.phases.modifiers import coverage
from configs.schema import Profile, load
from flows import spending
from flows.approval import before_promotion, before_spending
from flows.dispatch import dispatch
from flows.retraining import Retrained, retraining
from tasks.evaluation.gates import gate
from tasks.evaluation.ledger import percent
from tasks.improvement import read_mark as mark
from tasks.improvement.account import account
from tasks.improvement.moved_domains import Cluster, clusters, moved
from tasks.improvement.observe import observe, read_choices, read_observed
from tasks.improvement.release_parts import Standing, rates, standing
from tasks.release.change import change_report
from tasks.release.contents import Description, describe
from tasks.release.current import Overtaken, current, promote

log = logging.getLogger("cogumi.nightly")
Verdict = Literal["unmoved", "refused", "promoted", "overtaken"]


class Night(Record):
    """How the night ended and why, the release that was current when it began, its candidate if there was one, and its
    account."""

    verdict: Verdict
    why: str
    current: Artifact
    candidate: Artifact | None
    account: Artifact


@flow(
    name="nightly",
    description="Read what was served, retrain what moved, and replace the release only by a surely better one.",
)
def nightly(
    profile: str = "nano",
    overrides: list[str] = [],  # noqa: B006 - the run form shows it; never changed
) -> Night:
    """Regenerate what moved since the last night.

    Args:
        profile: what the current release was built from: nano, llama-1b, llama-8b, or the path of a YAML file
        overrides: settings that differ from the profile, each as a.b=value, such as nightly.questions=500
    """
    chosen, until = load(profile, overrides), _began()
    history.keep_in(chosen.teachers.journal)
    entry = current()
    described = _described(entry.release, chosen)
    before = standing(entry.release, {name: part.domains for name, part in described.modifiers.items()})
    marker = mark.marker(entry.release.digest)
    observed = observe(
        release=entry.release,
        router=before.router,
        routed=before.routed,
        since=entry.promoted,
        read=marker.read,
        until=until,
    )
    found = _clusters(observed, before, chosen)
    made = Retrained(renewed=())
    verdict: Verdict = "unmoved"
    why = "Nothing moved that a modifier covers; nothing was made anew."
    if chosen_domains := cast("dict[str, list[Domain]]", moved(found)):
        before_spending("retraining", spending.of_night(chosen_domains, chosen), chosen.approval)
        made = dispatch(
            retraining,
            chosen.pools.modifiers,
            before,
            observed,
            chosen_domains,
            described.parameters,
            marker.nights + 1,
            chosen,
        )
        verdict, why = _judge(made, chosen)
    if verdict == "promoted" and made.release is not None:
        before_promotion(made.release.digest, why, chosen.approval)
    gains = [one.gain.model_dump(mode="json") for one in made.renewed]
    tell = partial(
        account,
        current=entry.release,
        candidate=made.release,
        observed=observed,
        made=made.made,
        clusters=found,
        gains=gains,
        comparison=made.comparison,
    )
    told = tell(verdict, why)
    if verdict == "promoted" and made.release is not None:
        try:
            promote(
                made.release, change_report(made.release, told), chosen.release.keep, compared_with=entry.release.digest
            )
        except Overtaken as overtaken:
            verdict, why = "overtaken", f"{overtaken}; the next night reads the same again."
            told = tell(verdict, why)
    if verdict == "refused":
        history.release_refused(made.release, why)
    if verdict != "overtaken":
        mark.move(marker, found, until)
    log.info("night: %s. %s", verdict, why)
    return Night(verdict=verdict, why=why, current=entry.release, candidate=made.release, account=told)


def _began() -> str:
    """When this run first began, as the serving log writes time: what is served later is the next night's, also after a
    resume."""
    context = FlowRunContext.get()
    assert context is not None
    assert context.flow_run is not None
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(context.flow_run.id)
    return (run.start_time or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="microseconds")


def _described(release: Artifact, profile: Profile) -> Description:
    described = describe(store.open(release))
    if described.profile != profile.name:
        raise BadInput(
            f"the current release was built from profile {described.profile}, not {profile.name}; give the nightly run "
            f"--profile {described.profile}"
        )
    return described


def _clusters(observed: Artifact, current: Standing, profile: Profile) -> list[Cluster]:
    """The night's evidence by source and domain, against what was measured at release."""
    wrong, escalated = rates(current, dict(read_choices(current.routed)))
    covers = {modifier.name: coverage(modifier.name).domains for modifier in profile.modifiers.each}
    return clusters(read_observed(observed), covers, wrong, escalated, profile.nightly.moving)


def _judge(made: Retrained, profile: Profile) -> tuple[Verdict, str]:
    """The gate: refused with what it missed, or to be promoted with what speaks for it."""
    if made.release is None or made.comparison is None:
        return "refused", "No retrained modifier was accepted: " + "; ".join(
            f"{one.member.name} {one.gain.reason}" for one in made.renewed
        ) + "."
    size = GateCheck(
        name="size of the release, MiB",
        value=made.release.bytes / 2**20,
        rule="<=",
        threshold=profile.release.size_limit_mib,
    )
    try:
        gate("nightly", [*made.comparison.checks(profile.nightly.minimum_gain, profile.nightly.tolerance), size])
    except GateFailed as missed:
        return "refused", f"The candidate is not surely better: {missed}."
    names = ", ".join(one.member.name for one in made.renewed if one.gain.accepted)
    return (
        "promoted",
        f"With {names} retrained, exact match on the affected domains changes by "
        f"{percent(made.comparison.affected, sign='+')} points against the current release.",
    )
