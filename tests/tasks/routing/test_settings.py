"""Every field of the routing settings changes what is learned or chosen. The phase's own are in tests/flows."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from configs.phases.routing import DomainLearning, RouterLearning, Threshold
from tasks.routing import domains, router
from tasks.routing.confidence import NAMES
from tasks.routing.decide import DomainClassifier, Network
from tasks.routing.outcomes import Outcomes
from tasks.routing.router import all_inputs
from tasks.routing.threshold import choose
from tests.tasks.routing.answers import draw, guesses

PROMPTS = draw(["math", "coding", "reading"], "train", 20, 0)


def classifier(**changes: Any) -> DomainClassifier:
    plain = {
        "sizes": (3, 4),
        "buckets": 256,
        "characters": 400,
        "epochs": 2,
        "batch": 16,
        "learning_rate": 0.05,
        "decay": 0.01,
    }
    # The excerpt of a prompt matters only where prompts are long.
    return domains.fit(
        [prompt + " and so on" * 5 for prompt, _ in PROMPTS],
        [domain for _, domain in PROMPTS],
        DomainLearning.model_validate(plain | changes),
        0,
    )


@pytest.fixture(scope="module")
def plain() -> DomainClassifier:
    return classifier()


@pytest.mark.parametrize(
    "fields",
    [
        {"sizes": (2,)},
        {"buckets": 512},
        {"characters": 32},
        {"epochs": 3},
        {"batch": 8},
        {"learning_rate": 0.01},
        {"decay": 0.5},
    ],
)
def test_every_field_of_the_domain_learning_changes_what_it_says(
    plain: DomainClassifier, fields: dict[str, Any]
) -> None:
    prompt = PROMPTS[0][0] + " and so on" * 5
    assert not np.array_equal(classifier(**fields).probabilities(prompt), plain.probabilities(prompt))


def learned(classifier: DomainClassifier, **changes: Any) -> tuple[Network, float]:
    settings = {
        "layers": (48, 8, 1),
        "first_tokens": 64,
        "epochs": 6,
        "patience": 6,
        "set_aside": 0.2,
        "batch": 32,
        "learning_rate": 0.01,
        "decay": 0.01,
    }
    settings |= changes
    answers = guesses(PROMPTS, 1)
    chosen = RouterLearning.model_validate(settings)
    vectors = all_inputs(answers, classifier, chosen.first_tokens, chosen.layers[0])
    return router.fit(vectors, np.array([answer.correct for answer in answers]), chosen, 0)


def described(found: tuple[Network, float]) -> list[NDArray[np.float32]]:
    return [found[0].mean, *(part for layer in found[0].layers for part in layer)]


def same(one: tuple[Network, float], other: tuple[Network, float]) -> bool:
    return all(np.array_equal(mine, theirs) for mine, theirs in zip(described(one), described(other), strict=True))


@pytest.mark.parametrize(
    "fields",
    [{"first_tokens": 3}, {"epochs": 2}, {"set_aside": 0.4}, {"batch": 8}, {"learning_rate": 0.001}, {"decay": 0.5}],
)
def test_every_field_of_the_router_learning_changes_the_network(
    plain: DomainClassifier, fields: dict[str, Any]
) -> None:
    assert same(learned(plain), learned(plain))
    assert not same(learned(plain), learned(plain, **fields))


@pytest.mark.parametrize("layers", [(48, 8, 1), (64, 8, 1), (48, 16, 4, 1), (48, 1)])
def test_the_layers_are_the_networks(plain: DomainClassifier, layers: tuple[int, ...]) -> None:
    network, _ = learned(plain, layers=layers)
    assert (len(network.mean), *(len(bias) for _, bias in network.layers)) == layers
    assert len(network.mean) > len(NAMES)


def test_patience_decides_how_long_a_loss_may_not_fall(plain: DomainClassifier) -> None:
    """A rate so high that the loss jumps: who waits longer finds a lower one."""
    losses = {patience: learned(plain, epochs=60, patience=patience, learning_rate=0.2)[1] for patience in (1, 59)}
    assert losses[59] < losses[1]


def outcomes() -> Outcomes:
    """Four thousand covered questions; below a confidence of .6 the modifier is better than the base, above worse."""
    random = np.random.default_rng(0)
    sure = random.random(4000)
    base = random.random(4000) < sure
    other = random.random(4000) < 0.6
    return Outcomes(
        confidence=sure,
        covered=np.ones(4000, bool),
        base_right=base,
        other_right=other,
        base_tokens=np.full(4000, 10.0),
        other_tokens=np.full(4000, 10.0),
        wasted_tokens=np.full(4000, 10.0),
    )


def chosen(**changes: Any) -> float:
    return choose(
        outcomes(), Threshold.model_validate({"default": 0.6, "most_cost": 2.0, "steps": 101} | changes), 1000, 0
    ).threshold


def test_default_most_cost_and_steps_decide_the_threshold() -> None:
    assert chosen() == 0.6, "none is surely better"
    assert chosen(default=0.62) == 0.62, "the default stays"
    assert chosen(default=1.0) == pytest.approx(0.6, abs=0.1), "another is surely better"
    assert chosen(most_cost=1.3) <= 0.31, "the default is too dear"
    assert chosen(default=1.0, steps=3) == 0.5, "of never, half and always"
    assert chosen(default=1.0, steps=2) == 1.0, "nothing between never and always"
