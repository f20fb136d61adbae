"""Settings of the routing phase."""

from typing import Literal

from pydantic import model_validator

from configs.settings import Settings, setting


class DomainLearning(Settings):
    """The classifier that tells a prompt's domain: linear softmax over hashed character n-grams."""

    sizes: tuple[int, ...] = setting("lengths of the character n-grams, in bytes", min_length=1)
    buckets: int = setting("hash buckets; one weight per bucket and domain", ge=64)
    characters: int = setting("how much of a prompt is read: its first and last half of this many characters", ge=32)
    epochs: int = setting("passes over the dataset's prompts", ge=1)
    batch: int = setting("prompts per step", ge=1)
    learning_rate: float = setting("Adam's step", gt=0)
    decay: float = setting("decoupled weight decay", ge=0)


class RouterLearning(Settings):
    """The feed-forward network that says how probable it is that the base is right."""

    layers: tuple[int, ...] = setting(
        "width of the input (confidence features, domain probabilities, folded n-grams), of the hidden layers, and 1",
        min_length=2,
    )
    first_tokens: int = setting(
        "answer tokens whose log-probabilities are read; also what an overruled base answer costs at most", ge=1
    )
    epochs: int = setting("most passes over the router's questions", ge=1)
    patience: int = setting("passes without a lower loss on the set-aside share before training stops", ge=1)
    set_aside: float = setting("share of the router's questions that decides when to stop", gt=0, lt=1)
    batch: int = setting("questions per step", ge=1)
    learning_rate: float = setting("AdamW's step", gt=0)
    decay: float = setting("decoupled weight decay", ge=0)

    @model_validator(mode="after")
    def _ends_in_one(self) -> "RouterLearning":
        if self.layers[-1] != 1:
            raise ValueError("the last layer has width 1: the log-odds that the base is right")
        return self


class Threshold(Settings):
    """Below which confidence the modifier answers."""

    default: float = setting(
        "threshold on the calibrated confidence, kept unless another is surely better or it is too dear", ge=0, le=1
    )
    most_cost: float = setting(
        "tokens generated per question, base and modifier together, over those of the base alone", ge=1
    )
    steps: int = setting("thresholds tried between 0 and 1", ge=2)


class Routing(Settings):
    """The routing phase."""

    questions: int = setting(
        "fresh questions per domain that no modifier covers; with the modifiers' own questions they train the router",
        ge=8,
    )
    domains: DomainLearning = setting("the domain classifier")
    router: RouterLearning = setting("the confidence network")
    calibration: Literal["temperature", "platt"] = setting(
        "what maps the network's log-odds to the confidence: one number (Guo et al. 2017) or two (Platt 1999)"
    )
    threshold: Threshold = setting("the choice of the threshold")
    tolerance: float = setting(
        "gate: how far the lower end of routed minus base exact match (95%, paired) may lie below 0", ge=0, le=1
    )
