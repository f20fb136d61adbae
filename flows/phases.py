"""Every phase of the pipeline, once and in order: what it is given, what it asks teachers, and its estimate.

Cheap to import: `cogumi run` and a worker read it before they need Prefect, so a phase's own modules are imported when
asked for. Not here: the steps of a phase (its own file), and where it runs (dispatch.py).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from configs.phases.modifiers import coverage
from configs.phases.teachers import Teachers
from configs.phases.training import Lora, Scratch
from configs.schema import Profile

if TYPE_CHECKING:
    from blocks.estimates.calls import Asked, Estimate, Work
    from blocks.estimates.hardware import Device
    from blocks.models.architecture import Architecture

Name = Literal["dataset", "training", "compression", "modifiers", "routing", "release"]
LOCAL = "local"  # the pool that is this process


@dataclass(frozen=True)
class Phase:
    """A phase: the flow ``flows.NAME.NAME`` on the pool that ``pools.NAME`` of the profile says.

    ``needs``: the flow's arguments, by what they are: an input of the pipeline (``profile``, ``overrides``,
    ``questions``), the result of a phase before it, or a field of that. ``steps``: steps and gates of a nano run.
    ``estimate``: of a profile for a student, on an accelerator. ``asked``: what it asks the teachers; None where it
    asks none.
    """

    name: Name
    needs: tuple[str, ...]
    steps: int
    estimate: "Callable[[Profile, Architecture, Device | None], Estimate]"
    asked: "Callable[[Profile, Teachers], list[Asked]] | None" = None

    @property
    def entrypoint(self) -> str:
        """The flow, as a deployment names it."""
        return f"flows.{self.name}.{self.name}"

    def flow(self) -> Any:
        """The flow itself; imports Prefect."""
        return getattr(import_module(f"flows.{self.name}"), self.name)

    def pool(self, profile: Profile) -> str:
        """Where ``profile`` runs it."""
        return str(getattr(profile.pools, self.name))

    def given(self, made: Mapping[str, Any]) -> list[Any]:
        """The flow's arguments, from what was made before it by name."""
        return [reduce(getattr, fields, made[first]) for first, *fields in (need.split(".") for need in self.needs)]


def _dataset(profile: Profile, student: "Architecture", on: "Device | None") -> "Estimate":
    from tasks.data.estimate import estimate

    return estimate(profile.data, profile.teachers)


def _asked_by_dataset(profile: Profile, teachers: Teachers) -> "list[Asked]":
    from tasks.data.estimate import asked

    return asked(profile.data, teachers)


def _training(profile: Profile, student: "Architecture", on: "Device | None") -> "Estimate":
    from tasks.training.estimate import estimate

    return estimate(profile.training, profile.data.planning, profile.evaluation, student, on)


def _compression(profile: Profile, student: "Architecture", on: "Device | None") -> "Estimate":
    from tasks.compression.estimate import estimate

    return estimate(profile.compression, profile.evaluation, student, _scratch(profile), on)


def _modifiers(profile: Profile, student: "Architecture", on: "Device | None") -> "Estimate":
    from tasks.evaluation.estimate import example_tokens
    from tasks.modifiers.estimate import estimate
    from tasks.training.estimate import fine_tuning

    tokens = example_tokens(_scratch(profile), profile.modifiers.hard_share)

    def train(name: str, lora: Lora, examples: float) -> "Work":
        longest = min(lora.max_length, profile.training.fine_tuning.max_length)
        return fine_tuning(name=name, lora=lora, model=student, examples=examples, tokens=min(tokens, longest), on=on)

    return estimate(
        profile.modifiers,
        profile.teachers,
        profile.evaluation,
        model=student,
        bits=_served_bits(profile),
        scratch=_scratch(profile),
        on=on,
        train=train,
    )


def _asked_by_modifiers(profile: Profile, teachers: Teachers) -> "list[Asked]":
    from tasks.modifiers.estimate import of_modifier

    settings = profile.modifiers
    return [
        one
        for each in settings.each
        for one in of_modifier(settings, each.name, coverage(each.name), settings.questions, 0, teachers=teachers)
    ]


def _routing(profile: Profile, student: "Architecture", on: "Device | None") -> "Estimate":
    from tasks.routing.estimate import estimate

    return estimate(
        profile.routing,
        profile.modifiers,
        profile.evaluation,
        model=student,
        bits=_served_bits(profile),
        scratch=_scratch(profile),
        on=on,
        examples=profile.data.planning.examples,
        written=_asked_by_routing(profile, profile.teachers),
    )


def _asked_by_routing(profile: Profile, teachers: Teachers) -> "list[Asked]":
    """Fresh questions of the domains without a modifier."""
    from tasks.modifiers.estimate import fresh_questions

    settings = profile.modifiers
    return [
        one
        for rest in settings.uncovered()
        for one in fresh_questions(settings, profile.routing.questions, rest, teachers)
    ]


def _release(profile: Profile, student: "Architecture", on: "Device | None") -> "Estimate":
    from tasks.release.estimate import estimate

    return estimate(profile.modifiers, student, _served_bits(profile), _scratch(profile))


def _scratch(profile: Profile) -> bool:
    return isinstance(profile.training.student, Scratch)


def _served_bits(profile: Profile) -> float:
    from tasks.compression.floor import BITS

    return BITS[profile.compression.gguf.served]


PHASES = (
    Phase("dataset", ("profile", "questions"), 14, _dataset, _asked_by_dataset),
    Phase("training", ("dataset", "questions", "profile"), 12, _training),
    Phase("compression", ("training.student", "dataset", "questions", "profile"), 40, _compression),
    Phase(
        "modifiers",
        ("compression.model", "compression.gguf", "dataset", "questions", "profile"),
        30,
        _modifiers,
        _asked_by_modifiers,
    ),
    Phase(
        "routing",
        ("compression.gguf", "modifiers", "dataset", "questions", "profile"),
        12,
        _routing,
        _asked_by_routing,
    ),
    Phase(
        "release",
        ("dataset", "training", "compression", "modifiers", "routing", "profile", "overrides"),
        4,
        _release,
    ),
)


def up_to(last: str) -> tuple[Phase, ...]:
    """The phases from the first to the one of this name."""
    return PHASES[: [one.name for one in PHASES].index(last) + 1]  # type: ignore[arg-type]
