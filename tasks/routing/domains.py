"""Learn which domain a prompt belongs to, from the dataset's own labels.

A linear softmax over hashed character n-grams (as fastText without word vectors, 1607.01759): the routing question is
easy, and the classifier runs on every request. Not here: its inference (decide.py) and which modifier covers a domain
(the profile).
"""

import numpy as np

from blocks import store
from blocks.examples import Split, read_split
from blocks.records import DOMAINS, Artifact
from configs.errors import BadInput
from configs.phases.routing import DomainLearning
from tasks.routing import ngrams
from tasks.routing.decide import DomainClassifier, write
from tasks.routing.threads import one_thread
from tasks.step import step


@step(version=1)
def learn_domains(dataset: Artifact, settings: DomainLearning, seed: int) -> Artifact:
    """Train on the prompts of train.jsonl; ``accuracy`` in the metrics is on validation.jsonl.

    Returns:
        Artifact of kind "domain_classifier": classifier.safetensors, classifier.json.

    Raises:
        BadInput: the dataset has fewer than two domains.
    """
    prompts, labels = _rows(dataset, "train")
    if len(set(labels)) < 2:
        raise BadInput(
            f"{dataset.short}: a domain classifier needs prompts of two domains or more, train.jsonl has "
            f"{len(set(labels))}"
        )
    with store.create(
        "domain_classifier", parents=[dataset], settings={"settings": settings.identity(), "seed": seed}
    ) as folder:
        with one_thread():
            classifier = fit(prompts, labels, settings, seed)
        write(folder.path, "classifier", classifier.arrays(), {"classifier": classifier.description()})
        held_prompts, held_labels = _rows(dataset, "validation")
        folder.metrics |= {"prompts": len(prompts), "domains": len(classifier.domains)}
        if held_prompts:
            folder.metrics["accuracy"] = accuracy(classifier, held_prompts, held_labels)
    return folder.artifact


def fit(prompts: list[str], labels: list[str], settings: DomainLearning, seed: int) -> DomainClassifier:
    """The classifier over the domains that occur in ``labels``, in the records' order."""
    import torch
    from torch.nn import functional

    domains = tuple(domain for domain in DOMAINS if domain in set(labels))
    target = torch.tensor([domains.index(label) for label in labels])
    parts = [
        ngrams.buckets(ngrams.excerpt(prompt, settings.characters), settings.sizes, settings.buckets)
        for prompt in prompts
    ]
    generator = torch.Generator().manual_seed(seed)
    weight = torch.zeros(settings.buckets, len(domains), requires_grad=True)
    bias = torch.zeros(len(domains), requires_grad=True)
    optimiser = torch.optim.AdamW([weight, bias], lr=settings.learning_rate, weight_decay=settings.decay)
    for _ in range(settings.epochs):
        for rows in torch.randperm(len(prompts), generator=generator).split(settings.batch):
            chosen = [parts[row] for row in rows.tolist()]
            offsets = torch.tensor(np.cumsum([0] + [len(index) for index, _ in chosen[:-1]]))
            index = torch.from_numpy(np.concatenate([index for index, _ in chosen]))
            weights = torch.from_numpy(np.concatenate([value for _, value in chosen]))
            scores = functional.embedding_bag(index, weight, offsets, mode="sum", per_sample_weights=weights) + bias
            optimiser.zero_grad()
            functional.cross_entropy(scores, target[rows]).backward()
            optimiser.step()
    return DomainClassifier(
        domains, settings.sizes, settings.characters, weight.detach().numpy().copy(), bias.detach().numpy().copy()
    )


def accuracy(classifier: DomainClassifier, prompts: list[str], labels: list[str]) -> float:
    """Share of prompts whose most probable domain is the label."""
    right = [
        classifier.domains[int(classifier.probabilities(prompt).argmax())] == label
        for prompt, label in zip(prompts, labels, strict=True)
    ]
    return float(np.mean(right))


def _rows(dataset: Artifact, part: Split) -> tuple[list[str], list[str]]:
    examples = read_split(dataset, part, may_be_empty=True)
    return [example.prompt for example in examples], [example.metadata.domain for example in examples]
