"""Put the router together and judge it on the test questions, which nothing in it was fitted or chosen on.

report.json: calibration before and after, the choice of the threshold, the cost-quality curve against random, oracle
and the domain alone, recall of what the base gets wrong, the paired difference to the base. Not here: serving
(decide.py).
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from blocks import store
from blocks.records import Answered, Artifact, Interval
from blocks.verdicts import Routed
from configs.phases.routing import Threshold
from tasks.evaluation.evaluate import read_answers
from tasks.evaluation.statistics import paired_difference
from tasks.routing.decide import DomainClassifier, Network, Router
from tasks.routing.outcomes import Outcomes, bounds, curve, gather, recall
from tasks.routing.threshold import choose, grid
from tasks.step import step

POINTS = 21  # of the oracle's curve


class RoutingReport(Routed):
    """The router on the test questions. ``over_random``: routed minus random routing of as many covered questions,
    paired."""

    over_random: Interval


@step(version=1)
def assemble(
    classifier: Artifact,
    network: Artifact,
    calibration: Artifact,
    covers: dict[str, list[str]],
    tuning: Artifact,
    tuning_modifiers: dict[str, Artifact],
    test: Artifact,
    test_modifiers: dict[str, Artifact],
    settings: Threshold,
    resamples: int,
    seed: int,
) -> Artifact:
    """Choose the threshold on the evaluations ``tuning`` (base) and ``tuning_modifiers`` (by name), judge it on
    ``test``. ``covers``: the domains of each modifier; ``resamples``, ``seed``: of the bootstrap.

    Returns:
        Artifact of kind "router": router.safetensors, router.json, report.json.

    Raises:
        BadInput: a modifier has no answer to a question that it covers.
    """
    found = json.loads((store.open(calibration) / "calibration.json").read_text())
    modifiers = {name: tuple(domains) for name, domains in covers.items()}
    domains, net = (
        DomainClassifier.read(store.open(classifier), "classifier"),
        Network.read(store.open(network), "network"),
    )
    router = Router(
        classifier=domains,
        network=net,
        slope=found["slope"],
        intercept=found["intercept"],
        threshold=settings.default,
        modifiers=modifiers,
    )
    tuned = gather(router, read_answers(tuning), _by_question(tuning_modifiers))
    choice = choose(tuned, settings, resamples, seed)
    router = replace(router, threshold=choice.threshold)
    answers = read_answers(test)
    outcomes = gather(router, answers, _by_question(test_modifiers))
    used = found["report"][found["method"]]
    report = _report(
        router=router,
        outcomes=outcomes,
        answers=answers,
        before=found["report"]["raw"],
        after=used,
        resamples=resamples,
        seed=seed,
    )
    parents = [classifier, network, calibration, tuning, *tuning_modifiers.values(), test, *test_modifiers.values()]
    with store.create(
        "router",
        parents=parents,
        settings={"threshold": settings.identity(), "covers": covers, "resamples": resamples, "seed": seed},
    ) as folder:
        router.save(folder.path)
        thresholds = grid(settings.steps)
        written: dict[str, Any] = {
            "summary": report.model_dump(),
            "choice": choice.model_dump(),
            "calibration": found,
            "reliability": {"before": found["report"]["raw"]["reliability"], "after": used["reliability"]},
            "tuning": {"questions": len(tuned.confidence), "curve": curve(tuned, thresholds), **bounds(tuned, POINTS)},
            "test": {"questions": len(answers), "curve": curve(outcomes, thresholds), **bounds(outcomes, POINTS)},
            "recall": _no_nan(recall(outcomes, choice.threshold)),
            "hard": _by_difficulty(outcomes, answers, choice.threshold),
            "domains": _confusion(router, answers),
        }
        (folder.path / "report.json").write_text(json.dumps(written, indent=1) + "\n")
        folder.metrics |= {
            "threshold": choice.threshold,
            "base": report.base,
            "routed": report.routed,
            "difference_low": report.difference.low,
            "cost": report.cost,
        }
        folder.metrics |= {"ece": report.ece_after, "domain_accuracy": report.domain_accuracy}
    return folder.artifact


@step(version=1)
def routing_report(router: Artifact) -> RoutingReport:
    """The summary in a router's report.json."""
    return RoutingReport.model_validate(json.loads((store.open(router) / "report.json").read_text())["summary"])


def _report(
    router: Router,
    outcomes: Outcomes,
    answers: list[Answered],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    resamples: int,
    seed: int,
) -> RoutingReport:
    routed = outcomes.below(router.threshold)
    right = np.where(routed, outcomes.other_right, outcomes.base_right)
    shares = _no_nan(recall(outcomes, router.threshold))
    return RoutingReport(
        threshold=router.threshold,
        base=float(outcomes.base_right.mean()),
        routed=float(right.mean()),
        oracle=outcomes.quality(outcomes.mendable),
        difference=paired_difference(outcomes.base_right.tolist(), right.tolist(), seed=seed, resamples=resamples),
        over_random=_over_random(outcomes, routed, resamples, seed),
        share_routed=float(routed.mean()),
        cost=outcomes.cost(routed),
        recall_base_wrong=shares["base_wrong"],
        recall_mendable=shares["mendable"],
        domain_accuracy=float(np.mean([_domain(router, answer) == answer.domain for answer in answers])),
        ece_before=before["ece"],
        ece_after=after["ece"],
        brier_before=before["brier"],
        brier_after=after["brier"],
        auroc=after["auroc"],
    )


def _over_random(
    outcomes: Outcomes, routed: np.ndarray[Any, np.dtype[np.bool_]], resamples: int, seed: int
) -> Interval:
    """Routed minus the expected result of routing as large a share of the covered questions at random."""
    share = float(routed[outcomes.covered].mean()) if outcomes.covered.any() else 0.0
    base, other = outcomes.base_right.astype(float), outcomes.other_right.astype(float)
    random = base + np.where(outcomes.covered, share, 0.0) * (other - base)
    return paired_difference(random.tolist(), np.where(routed, other, base).tolist(), seed=seed, resamples=resamples)


def _by_question(evaluations: Mapping[str, Artifact]) -> dict[str, dict[str, Answered]]:
    return {
        name: {answer.question: answer for answer in read_answers(evaluation)}
        for name, evaluation in evaluations.items()
    }


def _by_difficulty(outcomes: Outcomes, answers: list[Answered], threshold: float) -> dict[str, dict[str, float]]:
    """Exact match of base and routed, and the share routed, of easy and hard questions."""
    routed = outcomes.below(threshold)
    right = np.where(routed, outcomes.other_right, outcomes.base_right)
    found = {}
    for difficulty in ("easy", "hard"):
        mask = np.array([answer.difficulty == difficulty for answer in answers])
        if mask.any():
            found[difficulty] = {
                "base": float(outcomes.base_right[mask].mean()),
                "routed": float(right[mask].mean()),
                "share_routed": float(routed[mask].mean()),
            }
    return found


def _confusion(router: Router, answers: list[Answered]) -> dict[str, dict[str, int]]:
    """How often a question of each domain was taken for each domain; and by modifier for "base"."""
    table: dict[str, dict[str, int]] = {}
    for answer in answers:
        row = table.setdefault(answer.domain, {})
        said = _domain(router, answer)
        row[said] = row.get(said, 0) + 1
    return {domain: dict(sorted(row.items())) for domain, row in sorted(table.items())}


def _domain(router: Router, answer: Answered) -> str:
    return router.classifier.domains[int(router.classifier.probabilities(answer.prompt).argmax())]


def _no_nan(shares: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if np.isnan(value) else value for name, value in shares.items()}
