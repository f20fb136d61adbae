"""Temperature and Platt scaling: against an independent optimiser, and on answers whose chances are known."""

import json

import numpy as np
import pytest
import torch

from blocks import store
from blocks.records import DOMAINS
from configs.errors import BadInput
from configs.phases.routing import DomainLearning, RouterLearning
from tasks.evaluation.calibration import auroc, ece
from tasks.routing.calibrate import calibrate_router, platt, probability, temperature
from tasks.routing.decide import write
from tasks.routing.domains import fit
from tasks.routing.router import learn_router
from tests.tasks.routing.answers import draw, evaluation, guesses


def overconfident(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits three times what they should be, and shifted."""
    random = np.random.default_rng(seed)
    true = random.normal(size=n)
    return 3 * true + 1.5, random.random(n) < probability(true)


def by_torch(logits: np.ndarray, targets: np.ndarray, *, shift: bool) -> tuple[float, float]:
    theta = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    x, y = torch.from_numpy(logits), torch.from_numpy(targets.astype(float))
    optimiser = torch.optim.LBFGS([theta], max_iter=200, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = torch.nn.functional.binary_cross_entropy_with_logits(theta[0] * x + (theta[1] if shift else 0), y)
        value.backward()
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return float(theta[0].detach()), float(theta[1].detach())


@pytest.mark.parametrize("seed", range(4))
def test_both_agree_with_an_independent_optimiser(seed: int) -> None:
    logits, right = overconfident(300, seed)
    assert temperature(logits, right) == pytest.approx(by_torch(logits, right, shift=False)[0], abs=1e-4)
    positive, negative = right.sum(), (~right).sum()
    smoothed = np.where(right, (positive + 1) / (positive + 2), 1 / (negative + 2))
    assert platt(logits, right) == pytest.approx(by_torch(logits, smoothed, shift=True), abs=1e-4)


def test_calibration_mends_an_overconfident_network_and_keeps_the_order() -> None:
    logits, right = overconfident(2000, 0)
    fresh, truth = overconfident(2000, 1)
    slope, intercept = platt(logits, right)
    before, after = probability(fresh), probability(slope * fresh + intercept)
    assert ece(after, truth) < 0.05 < ece(before, truth)
    assert auroc(after, truth) == pytest.approx(auroc(before, truth))


def test_separable_answers_do_not_run_away() -> None:
    logits = np.linspace(-1, 1, 50)
    slope, intercept = platt(logits, logits > 0)
    assert np.isfinite([slope, intercept]).all()
    assert slope > 1


def test_a_worse_than_chance_order_is_not_turned_round_by_temperature() -> None:
    logits, right = overconfident(200, 2)
    assert temperature(logits, ~right) == 1.0


def test_the_step_reports_before_and_after_on_questions_it_was_not_fitted_on() -> None:
    settings = RouterLearning(
        layers=(48, 16, 1),
        first_tokens=64,
        epochs=20,
        patience=20,
        set_aside=0.1,
        batch=64,
        learning_rate=0.02,
        decay=0.0,
    )
    prompts = draw(["math", "coding", "tool_use", "reasoning"], "train", 60, 0)
    learning = DomainLearning(
        sizes=(3,), buckets=256, characters=200, epochs=2, batch=32, learning_rate=0.05, decay=0.0
    )
    classifier = fit([prompt for prompt, _ in prompts], [domain for _, domain in prompts], learning, 0)
    with store.create("domain_classifier") as folder:
        write(folder.path, "classifier", classifier.arrays(), {"classifier": classifier.description()})
    base = evaluation(guesses(prompts, 1))
    network = learn_router.fn(folder.artifact, [base], settings, 0)
    fitted = evaluation(guesses(draw(DOMAINS[:4], "held_out", 80, 1), 2))
    test = evaluation(guesses(draw(["summarization", "reading", "common_sense"], "held_out", 80, 2), 3))
    made = calibrate_router.fn(network, folder.artifact, fitted, test, "platt")
    found = json.loads((store.open(made) / "calibration.json").read_text())
    assert found["slope"] == found["report"]["platt"]["slope"]
    assert found["report"]["raw"]["slope"] == 1
    assert found["report"]["platt"]["auroc"] == pytest.approx(found["report"]["raw"]["auroc"])
    assert found["report"]["platt"]["brier"] < 0.25
    bins = found["report"]["platt"]["reliability"]
    assert sum(one["answers"] for one in bins) == 240
    assert [one["confidence"] for one in bins] == sorted(one["confidence"] for one in bins)
    with pytest.raises(BadInput, match="also calibration questions"):
        calibrate_router.fn(network, folder.artifact, fitted, fitted, "platt")
