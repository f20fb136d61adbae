"""Settings of the modifiers phase, and what each modifier covers (configs/domains/*.yaml)."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from configs.errors import BadInput
from configs.phases.evaluation import Benchmark
from configs.phases.training import Lora
from configs.reading import cut, quoted, read_yaml
from configs.settings import Settings, setting
from configs.vocabulary import DOMAINS, Domain

MODIFIER = "{modifier}"  # becomes a modifier's name in the roles of a cascade; no format, which could ask for gigabytes
COVERAGES = Path(__file__).parents[1] / "domains"


class Hints(Settings):
    """What teachers are told about the modifier's domains."""

    questions: str = setting(
        "what good questions of these domains are like, for the teacher that writes them", min_length=1
    )
    answers: str = setting(
        "what a good answer is like, for the teachers that mend the student's failures", min_length=1
    )


class Coverage(Settings):
    """What a modifier covers; one YAML file each."""

    domains: tuple[Domain, ...] = setting(
        "the domains whose prompts it may answer; no other modifier covers them", min_length=1
    )
    description: str = setting("what it is good at, for people and for the teachers", min_length=1)
    hints: Hints = setting("what teachers are told")


def coverage(name: str) -> Coverage:
    """The coverage in configs/domains/``name``.yaml.

    Raises:
        BadInput: there is no such file, or it is not valid.
    """
    path = COVERAGES / f"{name}.yaml"
    if path not in COVERAGES.glob("*.yaml"):
        raise BadInput(
            f"modifier {quoted(name)} has no file of its name in configs/domains; there are: "
            f"{', '.join(sorted(p.stem for p in COVERAGES.glob('*.yaml')))}"
        )
    try:
        return Coverage.model_validate(read_yaml(path))
    except ValidationError as error:
        raise BadInput(f"{path.name}: {cut(' '.join(str(error).split()), 400)}") from None


class RehearsalSource(Settings):
    """Questions drawn from the rehearsal world."""

    kind: Literal["rehearsal"]


class BenchmarkSource(Settings):
    """Questions of public benchmarks' training splits."""

    kind: Literal["benchmarks"]
    benchmarks: tuple[Benchmark, ...] = setting(
        "training splits; questions of a benchmark's test split would be contamination", min_length=1
    )


class TeacherSource(Settings):
    """Questions that a teacher writes, each with how its answer is checked."""

    kind: Literal["teachers"]
    role: str = setting("role of the teachers section that writes them")
    batch: int = setting("questions per call", ge=1, le=100)
    max_tokens: int = setting("longest reply in the teacher's tokens", ge=1)
    temperature: float = setting("sampling temperature", ge=0, le=2)
    attempts: int = setting("times a call is made until its reply can be read", ge=1)


Source = Annotated[RehearsalSource | BenchmarkSource | TeacherSource, Field(discriminator="kind")]


class Cascade(Settings):
    """Three tiers of teachers, dearer from one to the next; each sees only what the tier before failed."""

    tiers: tuple[str, ...] = setting(
        "roles of the teachers section, cheapest first; {modifier} becomes the modifier's name", min_length=1
    )
    attempts: int = setting("answers a tier may give to one question before it counts as failed there", ge=1, le=1000)
    max_tokens: int = setting("longest answer in the teacher's tokens", ge=1)
    temperature: float = setting("sampling temperature of a first answer", ge=0, le=2)
    retry_temperature: float = setting("sampling temperature of further answers", ge=0, le=2)

    @field_validator("tiers")
    @classmethod
    def _names_a_modifier_plainly(cls, tiers: tuple[str, ...]) -> tuple[str, ...]:
        for tier in tiers:
            if set("{}") & set(tier.replace(MODIFIER, "")):
                raise ValueError(f"{tier[:80]!r}: the only thing in braces is {MODIFIER}")
        return tiers


class Mixture(Settings):
    """What a modifier is trained on beside the mended failures, against forgetting."""

    own_right: float = setting("the student's own right answers to the modifier's questions, per mended failure", ge=0)
    replay: float = setting("examples of the dataset's other domains, per mended failure", ge=0)
    validation_share: float = setting("share of the rows that is kept for validation", gt=0, lt=1)


class Acceptance(Settings):
    """When a modifier is part of the release. Measured on the held-out calibration questions, never on the test
    questions."""

    minimum_gain: float = setting(
        "exact match gained in its own domains: the low end of the paired 95% interval lies above this", ge=-1, le=1
    )
    allowed_loss: float = setting(
        "exact match it may lose elsewhere (mean of the paired difference); the router sends it only its own domains",
        ge=0,
        le=1,
    )


class Modifier(Settings):
    """One modifier."""

    name: str = setting("its name; configs/domains/NAME.yaml says what it covers", pattern=r"^[a-z][a-z0-9_]*$")
    lora: Lora = setting("its training")

    @field_validator("name")
    @classmethod
    def _covers_something(cls, name: str) -> str:
        try:
            coverage(name)
        except BadInput as error:
            raise ValueError(str(error)) from None
        return name


class Modifiers(Settings):
    """The modifiers phase."""

    source: Source = setting("where fresh questions come from")
    questions: int = setting("fresh questions posed to the student, per domain of a modifier", ge=1)
    hard_share: float = setting("share of hard ones among all fresh questions", ge=0, le=1)
    cascade: Cascade = setting("how failures are mended")
    mixture: Mixture = setting("what is added against forgetting")
    acceptance: Acceptance = setting("when a modifier is released")
    each: tuple[Modifier, ...] = setting("the modifiers, trained in this order")

    def tiers(self, name: str) -> list[str]:
        """The roles of the cascade for the modifier ``name``, cheapest first."""
        return [tier.replace(MODIFIER, name) for tier in self.cascade.tiers]

    def writers(self) -> list[str]:
        """The roles that write questions; none where they are not written by teachers."""
        return [self.source.role] if isinstance(self.source, TeacherSource) else []

    @model_validator(mode="after")
    def _covers_apart(self) -> "Modifiers":
        owner: dict[str, str] = {}
        for modifier in self.each:
            for domain in coverage(modifier.name).domains:
                if domain in owner:
                    raise ValueError(
                        f"domain {domain} is covered by {owner[domain]} and {modifier.name}; a prompt goes to one "
                        "modifier"
                    )
                owner[domain] = modifier.name
        return self

    def uncovered(self) -> list[Coverage]:
        """The domains that no modifier covers, as one coverage; empty where there are none."""
        covered = {domain for modifier in self.each for domain in coverage(modifier.name).domains}
        rest = tuple(domain for domain in DOMAINS if domain not in covered)
        return [coverage("general").model_copy(update={"domains": rest})] if rest else []
