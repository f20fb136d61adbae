"""Make the router's number mean what it says: temperature (Guo et al. 2017) and Platt scaling (Platt 1999) of its
log-odds.

Fitted on the calibration questions, reported before and after on the test questions, which nothing was fitted on.
Not here: the network (router.py), the measures ECE, Brier and AUROC (tasks/evaluation/calibration.py).
"""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blocks import store
from blocks.records import Artifact
from configs.errors import BadInput
from tasks.evaluation.calibration import auroc, brier, ece
from tasks.evaluation.evaluate import read_answers
from tasks.routing.decide import DomainClassifier, Network
from tasks.routing.router import all_inputs
from tasks.step import step

Values = NDArray[np.float64]


@step(version=1)
def calibrate_router(
    network: Artifact, classifier: Artifact, calibration: Artifact, test: Artifact, method: str
) -> Artifact:
    """Fit both maps on the evaluation ``calibration``; ``method`` ("temperature" | "platt") is the one that is used.

    Returns:
        Artifact of kind "router_calibration": calibration.json with slope, intercept and the report on ``test``.

    Raises:
        BadInput: a question is in both evaluations, or the base is right on all or none of the calibration questions.
    """
    domains = DomainClassifier.read(store.open(classifier), "classifier")
    net = Network.read(store.open(network), "network")
    fitting, testing = read_answers(calibration), read_answers(test)
    shared = {answer.prompt for answer in fitting} & {answer.prompt for answer in testing}
    if shared:
        raise BadInput(
            f"{len(shared)} test questions are also calibration questions ({calibration.short}, {test.short}); draw "
            "them apart"
        )
    width = len(net.mean)
    logits = logits_of(net, all_inputs(fitting, domains, net.first_tokens, width))
    right = np.array([answer.correct for answer in fitting])
    if right.all() or not right.any():
        raise BadInput(
            f"{calibration.short}: the base is right on {right.sum()} of {len(right)} questions; calibration needs "
            "both outcomes"
        )
    maps = {"raw": (1.0, 0.0), "temperature": (temperature(logits, right), 0.0), "platt": platt(logits, right)}
    test_logits = logits_of(net, all_inputs(testing, domains, net.first_tokens, width))
    test_right = np.array([answer.correct for answer in testing])
    report: dict[str, dict[str, Any]] = {}
    for name, (slope, intercept) in maps.items():
        chances = probability(slope * test_logits + intercept)
        area = auroc(chances, test_right)
        measures = {
            "ece": ece(chances, test_right),
            "brier": brier(chances, test_right),
            "auroc": None if np.isnan(area) else area,
        }
        report[name] = {
            "slope": slope,
            "intercept": intercept,
            **measures,
            "reliability": reliability(chances, test_right),
        }
    slope, intercept = maps[method]
    with store.create(
        "router_calibration", parents=[network, classifier, calibration, test], settings={"method": method}
    ) as folder:
        found = {
            "method": method,
            "slope": slope,
            "intercept": intercept,
            "fitted_on": len(fitting),
            "tested_on": len(testing),
            "report": report,
        }
        (folder.path / "calibration.json").write_text(json.dumps(found, indent=1) + "\n")
        folder.metrics |= {
            f"{measure}_{when}": report[name][measure]
            for measure in ("ece", "brier")
            for when, name in (("before", "raw"), ("after", method))
        }
    return folder.artifact


def reliability(chances: Values, right: NDArray[np.bool_], bins: int = 10) -> list[dict[str, float]]:
    """Mean confidence, share right and number of answers of each of ``bins`` bins of equal width that holds any."""
    place = np.minimum((chances * bins).astype(int), bins - 1)
    inside = [place == which for which in range(bins)]
    return [
        {"confidence": float(chances[mask].mean()), "right": float(right[mask].mean()), "answers": int(mask.sum())}
        for mask in inside
        if mask.any()
    ]


def logits_of(network: Network, vectors: NDArray[np.float32]) -> Values:
    """The network's log-odds for input vectors [n, width]; shape [n]."""
    return np.array([network.logit(vector) for vector in vectors])


def probability(logits: Values) -> Values:
    """1 / (1 + e^-logit), elementwise."""
    return np.exp(-np.logaddexp(0, -logits))


def temperature(logits: Values, right: NDArray[np.bool_]) -> float:
    """The slope 1/T > 0 that minimises cross-entropy; 1 where scaling cannot help (an order that is worse than
    chance)."""
    slope, _ = _newton(logits, right.astype(np.float64), intercept=False)
    return slope if slope > 0 else 1.0


def platt(logits: Values, right: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and intercept that minimise cross-entropy against Platt's smoothed targets (n+ + 1)/(n+ + 2) and 1/(n- +
    2)."""
    positive, negative = int(right.sum()), int((~right).sum())
    targets = np.where(right, (positive + 1) / (positive + 2), 1 / (negative + 2))
    return _newton(logits, targets, intercept=True)


def _newton(logits: Values, targets: Values, *, intercept: bool) -> tuple[float, float]:
    """Newton's method with step halving on the convex cross-entropy of slope · logit + intercept (Lin, Lin and Weng
    2007)."""
    columns = np.stack([logits, np.ones_like(logits)], axis=1) if intercept else logits[:, None]
    theta = np.array([1.0, 0.0][: columns.shape[1]])

    def loss(at: Values) -> float:
        z = columns @ at
        return float(np.mean(np.logaddexp(0, z) - targets * z))

    now = loss(theta)
    for _ in range(100):
        p = probability(columns @ theta)
        gradient = columns.T @ (p - targets) / len(targets)
        curvature = (columns * (p * (1 - p))[:, None]).T @ columns / len(targets) + 1e-12 * np.eye(len(theta))
        move = np.linalg.solve(curvature, gradient)
        scale = 1.0
        while scale > 1e-10 and loss(theta - scale * move) > now - 1e-4 * scale * float(gradient @ move):
            scale /= 2
        if scale <= 1e-10 or float(gradient @ move) < 1e-14:
            break
        theta = theta - scale * move
        now = loss(theta)
    return float(theta[0]), float(theta[1]) if intercept else 0.0
