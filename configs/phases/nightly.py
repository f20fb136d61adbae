"""Settings of the nightly regeneration, and of asking a person before money is spent or a release is replaced."""

from decimal import Decimal
from typing import Literal

from configs.settings import Settings, dollars, runtime, setting


class Approval(Settings):
    """When a run asks a person. A run of a deployment is suspended until the form in the UI is filled in; ``cogumi
    run`` asks at its terminal; scheduled runs, and runs without a terminal, follow ``unattended``."""

    above_dollars: Decimal | None = dollars(
        "a phase asks before it starts if its teacher calls may cost more than this, in dollars; null: never"
    )
    before_promotion: bool = runtime("whether the nightly run asks before it replaces the current release")
    unattended: Literal["approve", "refuse"] = runtime(
        "the answer where nobody can be asked: scheduled runs, and runs without terminal and deployment"
    )
    wait_s: int = runtime(
        "seconds a suspended run waits for an answer; then it fails and nothing is spent or promoted", ge=1
    )


class Moving(Settings):
    """When a domain counts as moved. Each source of evidence, serving and evaluation, is looked at by itself."""

    records: int = setting("least answers of a domain before it is decided on; fewer wait for the next night", ge=1)
    share: float = setting(
        "least share of wrong answers among the judged ones; their Wilson interval must also lie above the share at "
        "release",
        ge=0,
        le=1,
    )
    drift: float = setting(
        "by how much the share of escalated answers, its Wilson interval's low end, must exceed the share at release",
        ge=0,
        le=1,
    )


class Examination(Settings):
    """Held-out questions, new every night, that candidate and current release both answer."""

    affected: int = setting("questions per domain of a retrained modifier and difficulty", ge=1)
    elsewhere: int = setting("questions per other domain and difficulty", ge=1)


class Nightly(Settings):
    """What a night looks at, what it makes anew, and what a candidate must show."""

    moving: Moving = setting("when a domain counts as moved")
    questions: int = setting("fresh questions for each moved domain", ge=1)
    logged: int = setting(
        "most wrongly answered questions of a moved domain that are taken over from the serving log", ge=0
    )
    examination: Examination = setting("what candidate and current release are compared on")
    minimum_gain: float = setting(
        "gate: exact match gained on the affected domains; the low end of the paired 95% interval lies above this",
        ge=-1,
        le=1,
    )
    tolerance: float = setting(
        "gate: how far the low end of the paired difference over all domains may lie below 0", ge=0, le=1
    )
