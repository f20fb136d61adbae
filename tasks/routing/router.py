"""Train the confidence network: from a prompt and its answer's token log-probabilities to "is the base right?".

Labels are the checker's verdicts on the base's own answers to fresh questions, none of which the base was trained on
(on those it would look surer than it is). Not here: calibration (calibrate.py), the threshold (threshold.py), inference
(decide.py).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from blocks import store
from blocks.records import Answered, Artifact
from configs.errors import BadInput
from configs.phases.routing import RouterLearning
from tasks.evaluation.evaluate import read_answers
from tasks.routing.decide import DomainClassifier, Network, inputs, narrowest, write
from tasks.routing.threads import one_thread
from tasks.step import step


@step(version=1)
def learn_router(classifier: Artifact, evaluations: list[Artifact], settings: RouterLearning, seed: int) -> Artifact:
    """Train on the base's judged answers in ``evaluations``.

    Returns:
        Artifact of kind "router_network": network.safetensors, network.json.

    Raises:
        BadInput: the base answered all or none of the questions rightly; or ``layers`` begins too narrow.
    """
    domains = DomainClassifier.read(store.open(classifier), "classifier")
    answers = [answer for evaluation in evaluations for answer in read_answers(evaluation)]
    right = np.array([answer.correct for answer in answers])
    if right.all() or not right.any():
        raise BadInput(
            f"router: the base is right on {right.sum()} of {len(right)} questions, so there is nothing to learn; "
            "raise modifiers.questions and routing.questions"
        )
    with store.create(
        "router_network", parents=[classifier, *evaluations], settings={"settings": settings.identity(), "seed": seed}
    ) as folder:
        vectors = all_inputs(answers, domains, settings.first_tokens, settings.layers[0])
        with one_thread():
            network, loss = fit(vectors, right, settings, seed)
        write(folder.path, "network", network.arrays(), {"network": network.description()})
        parameters = sum(weight.size + bias.size for weight, bias in network.layers)
        folder.metrics |= {
            "questions": len(answers),
            "base_right": float(right.mean()),
            "set_aside_loss": loss,
            "parameters": parameters,
        }
    return folder.artifact


def all_inputs(
    answers: Sequence[Answered], classifier: DomainClassifier, first_tokens: int, width: int
) -> NDArray[np.float32]:
    """The router's input vectors [answers, width].

    Raises:
        BadInput: ``width`` does not hold the features.
    """
    least = narrowest(len(classifier.domains))
    if width < least:
        raise BadInput(
            f"routing.router.layers begins with {width}; with {len(classifier.domains)} domains it takes {least} or "
            "more"
        )
    return np.stack(
        [
            inputs(
                prompt=a.prompt,
                logprobs=a.logprobs,
                probabilities=classifier.probabilities(a.prompt),
                classifier=classifier,
                first_tokens=first_tokens,
                width=width,
            )
            for a in answers
        ]
    )


def fit(
    vectors: NDArray[np.float32], right: NDArray[np.bool_], settings: RouterLearning, seed: int
) -> tuple[Network, float]:
    """The network with the lowest cross-entropy on the set-aside share, and that cross-entropy (nats)."""
    import torch
    from torch import nn

    mean = vectors.mean(axis=0)
    deviation = vectors.std(axis=0)
    deviation[deviation < 1e-6] = 1.0
    x = torch.from_numpy((vectors - mean) / deviation)
    y = torch.from_numpy(right.astype(np.float32))
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(x), generator=generator)
    aside = max(1, round(len(x) * settings.set_aside))
    held, train = order[:aside], order[aside:]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        linears = [nn.Linear(a, b) for a, b in zip(settings.layers, settings.layers[1:], strict=False)]
    model = nn.Sequential(*[module for linear in linears for module in (linear, nn.ReLU())][:-1])
    optimiser = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.decay)
    loss_of = nn.BCEWithLogitsLoss()
    best, best_loss, waited = _layers(linears), float("inf"), 0
    for _ in range(settings.epochs):
        for rows in train[torch.randperm(len(train), generator=generator)].split(settings.batch):
            optimiser.zero_grad()
            loss_of(model(x[rows])[:, 0], y[rows]).backward()
            optimiser.step()
        with torch.no_grad():
            loss = float(loss_of(model(x[held])[:, 0], y[held]))
        if loss < best_loss:
            best, best_loss, waited = _layers(linears), loss, 0
        else:
            waited += 1
            if waited >= settings.patience:
                break
    return Network(settings.first_tokens, mean.astype(np.float32), deviation.astype(np.float32), best), best_loss


def _layers(linears: Sequence[object]) -> tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]:
    return tuple((linear.weight.detach().numpy().copy(), linear.bias.detach().numpy().copy()) for linear in linears)  # type: ignore[attr-defined]
