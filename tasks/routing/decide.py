"""The router at serving time: base or modifier, and why. numpy only, well under a millisecond a decision.

The base answers first. A prompt of a domain that no modifier covers keeps that answer. Otherwise the answer's token
log-probabilities and the prompt give a calibrated probability that the base is right; below the threshold the domain's
modifier answers instead. So a kept answer costs one pass, an overruled one two; ``first_tokens`` bounds the wasted one.
Not here: how classifier, network, calibration and threshold came about (domains.py, router.py, calibrate.py,
threshold.py).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from blocks.records import Record
from configs.errors import BadInput
from tasks.routing import confidence, ngrams

BASE = "base"
Floats = NDArray[np.float32]


class Decision(Record):
    """``choice``: "base" or a modifier's name. ``confidence``: calibrated probability that the base's answer is right.
    ``domain``: the prompt's domain as classified. ``reason``: one sentence for people."""

    choice: str
    confidence: float
    threshold: float
    domain: str
    reason: str


@dataclass(frozen=True)
class DomainClassifier:
    """Linear softmax over hashed n-grams. ``weight`` [buckets, domains], ``bias`` [domains]."""

    domains: tuple[str, ...]
    sizes: tuple[int, ...]
    characters: int
    weight: Floats
    bias: Floats

    def probabilities(self, prompt: str) -> Floats:
        """Probability of each of ``domains``; shape [domains]."""
        index, weights = ngrams.buckets(ngrams.excerpt(prompt, self.characters), self.sizes, len(self.weight))
        scores = weights @ self.weight[index] + self.bias
        powers = np.exp(scores - scores.max())
        return (powers / powers.sum()).astype(np.float32)

    def arrays(self) -> dict[str, Floats]:
        """What belongs into the safetensors file."""
        return {"domains.weight": self.weight, "domains.bias": self.bias}

    def description(self) -> dict[str, Any]:
        """What belongs into the JSON file."""
        return {"domains": list(self.domains), "sizes": list(self.sizes), "characters": self.characters}

    @classmethod
    def read(cls, folder: Path, name: str) -> "DomainClassifier":
        """From ``name``.safetensors and ``name``.json in ``folder``."""
        arrays, description = read(folder, name)
        found = description["classifier"]
        return cls(
            tuple(found["domains"]),
            tuple(found["sizes"]),
            found["characters"],
            arrays["domains.weight"],
            arrays["domains.bias"],
        )


@dataclass(frozen=True)
class Network:
    """Feed-forward network with ReLU over standardised inputs. ``layers``: (weight [out, in], bias [out]) in order."""

    first_tokens: int
    mean: Floats
    deviation: Floats
    layers: tuple[tuple[Floats, Floats], ...]

    def logit(self, inputs: Floats) -> float:
        """Uncalibrated log-odds that the base is right, for one vector of :func:`inputs`."""
        value = (inputs - self.mean) / self.deviation
        for weight, bias in self.layers[:-1]:
            value = np.maximum(weight @ value + bias, 0)
        weight, bias = self.layers[-1]
        return float((weight @ value + bias)[0])

    def arrays(self) -> dict[str, Floats]:
        """What belongs into the safetensors file."""
        layers = {
            f"network.{i}.{part}": array
            for i, layer in enumerate(self.layers)
            for part, array in zip(("weight", "bias"), layer, strict=True)
        }
        return {"network.mean": self.mean, "network.deviation": self.deviation, **layers}

    def description(self) -> dict[str, Any]:
        """What belongs into the JSON file."""
        return {
            "first_tokens": self.first_tokens,
            "layers": [len(self.mean), *(len(bias) for _, bias in self.layers)],
            "confidence": list(confidence.NAMES),
        }

    @classmethod
    def read(cls, folder: Path, name: str) -> "Network":
        """From ``name``.safetensors and ``name``.json in ``folder``.

        Raises:
            BadInput: the network reads other features than this code computes.
        """
        arrays, description = read(folder, name)
        found = description["network"]
        if found["confidence"] != list(confidence.NAMES):
            raise BadInput(
                f"{folder / name}.json: the router reads other confidence features than this version computes; run the "
                "routing phase again"
            )
        layers = tuple(
            (arrays[f"network.{i}.weight"], arrays[f"network.{i}.bias"]) for i in range(len(found["layers"]) - 1)
        )
        return cls(found["first_tokens"], arrays["network.mean"], arrays["network.deviation"], layers)


def inputs(
    prompt: str,
    logprobs: Sequence[float],
    probabilities: Floats,
    classifier: DomainClassifier,
    first_tokens: int,
    width: int,
) -> Floats:
    """The router's input vector [width]: confidence features, domain probabilities, prompt length and share of digits,
    and the prompt's n-grams folded into the places that are left."""
    text = ngrams.excerpt(prompt, classifier.characters)
    digits = sum(character.isdigit() for character in text) / max(1, len(text))
    plain = np.concatenate(
        [
            confidence.features(logprobs, first_tokens),
            probabilities,
            np.array([np.log1p(len(prompt)), digits], dtype=np.float32),
        ]
    )
    return np.concatenate([plain, ngrams.folded(text, classifier.sizes, width - len(plain))])


def narrowest(domains: int) -> int:
    """The smallest input width: every feature but the folded n-grams."""
    return len(confidence.NAMES) + domains + 2


@dataclass(frozen=True)
class Router:
    """``modifiers``: domains that each modifier covers, by its name. Calibration: slope · logit + intercept."""

    classifier: DomainClassifier
    network: Network
    slope: float
    intercept: float
    threshold: float
    modifiers: Mapping[str, tuple[str, ...]]

    def modifier(self, prompt: str) -> tuple[str, str]:
        """The modifier that covers the prompt ("base" where none does) and the prompt's domain."""
        return covering(self.classifier, self.classifier.probabilities(prompt), self.modifiers)

    def confidence(self, prompt: str, logprobs: Sequence[float]) -> float:
        """Calibrated probability that the base's answer with these token log-probabilities (natural) is right."""
        return self._confidence(prompt, logprobs, self.classifier.probabilities(prompt))

    def decide(self, prompt: str, logprobs: Sequence[float]) -> Decision:
        """Base or modifier, from the prompt and the natural-log probabilities of the base's answer tokens."""
        probabilities = self.classifier.probabilities(prompt)
        name, domain = covering(self.classifier, probabilities, self.modifiers)
        sure = self._confidence(prompt, logprobs, probabilities)
        if name == BASE:
            choice, reason = BASE, f"no modifier covers {domain}"
        elif sure >= self.threshold:
            choice, reason = (
                BASE,
                f"the base is {beside(sure, self.threshold)} sure, at or above the threshold of {self.threshold:.0%}",
            )
        else:
            choice, reason = (
                name,
                f"the base is {beside(sure, self.threshold)} sure, below the threshold of {self.threshold:.0%}, and "
                f"{name} covers {domain}",
            )
        return Decision(choice=choice, confidence=sure, threshold=self.threshold, domain=domain, reason=reason)

    def _confidence(self, prompt: str, logprobs: Sequence[float], probabilities: Floats) -> float:
        vector = inputs(
            prompt=prompt,
            logprobs=logprobs,
            probabilities=probabilities,
            classifier=self.classifier,
            first_tokens=self.network.first_tokens,
            width=len(self.network.mean),
        )
        return sigmoid(self.slope * self.network.logit(vector) + self.intercept)

    def save(self, folder: Path) -> None:
        """Write router.safetensors and router.json."""
        described = {
            "classifier": self.classifier.description(),
            "network": self.network.description(),
            "calibration": {"slope": self.slope, "intercept": self.intercept},
            "threshold": self.threshold,
            "modifiers": {name: list(domains) for name, domains in self.modifiers.items()},
        }
        write(folder, "router", {**self.classifier.arrays(), **self.network.arrays()}, described)

    @classmethod
    def load(cls, folder: Path) -> "Router":
        """From the folder of a router artifact.

        Raises:
            BadInput: the folder holds no router, or one that this version cannot read.
        """
        _, described = read(folder, "router")
        calibration = described["calibration"]
        modifiers = {name: tuple(domains) for name, domains in described["modifiers"].items()}
        return cls(
            DomainClassifier.read(folder, "router"),
            Network.read(folder, "router"),
            calibration["slope"],
            calibration["intercept"],
            described["threshold"],
            modifiers,
        )


def covering(
    classifier: DomainClassifier, probabilities: Floats, modifiers: Mapping[str, Sequence[str]]
) -> tuple[str, str]:
    """The most probable of the modifiers and "base" (all domains without one), each by the sum of its domains, and the
    most probable domain within it."""
    owner = {domain: name for name, domains in modifiers.items() for domain in domains}
    owners = [owner.get(domain, BASE) for domain in classifier.domains]
    mass = {
        name: float(sum(p for p, o in zip(probabilities, owners, strict=True) if o == name))
        for name in dict.fromkeys(owners)
    }
    best = max(mass, key=lambda name: mass[name])
    inside = [
        (float(p), domain) for p, domain, o in zip(probabilities, classifier.domains, owners, strict=True) if o == best
    ]
    return best, max(inside)[1]


def sigmoid(x: float) -> float:
    """1 / (1 + e^-x), without overflow."""
    return float(1 / (1 + np.exp(-x))) if x >= 0 else float(np.exp(x) / (1 + np.exp(x)))


def write(folder: Path, name: str, arrays: Mapping[str, Floats], description: Mapping[str, Any]) -> None:
    """``name``.safetensors and ``name``.json."""
    save_file({key: np.ascontiguousarray(array) for key, array in arrays.items()}, folder / f"{name}.safetensors")
    (folder / f"{name}.json").write_text(json.dumps(description, indent=1, sort_keys=True) + "\n")


def read(folder: Path, name: str) -> tuple[dict[str, Floats], dict[str, Any]]:
    """What :func:`write` wrote.

    Raises:
        BadInput: a file is missing or unreadable.
    """
    try:
        return load_file(folder / f"{name}.safetensors"), json.loads((folder / f"{name}.json").read_text())
    except (OSError, ValueError, SafetensorError) as error:
        raise BadInput(
            f"{folder}: no readable {name}.safetensors and {name}.json ({type(error).__name__}); run the routing phase "
            "again"
        ) from None


def beside(sure: float, threshold: float) -> str:
    """``sure`` in percent, with as many digits as it takes to read on which side of ``threshold`` it lies."""
    digits = next(
        (digits for digits in range(9) if sure == threshold or f"{sure:.{digits}%}" != f"{threshold:.{digits}%}"), 9
    )
    return f"{sure:.{digits}%}"
