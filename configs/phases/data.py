"""Settings of the dataset phase: what is asked, of whom, what is kept, and what the finished dataset must be."""

import re
from pathlib import Path
from typing import Literal

from pydantic import field_validator, model_validator

from configs.phases.collecting import Collecting
from configs.phases.filtering import Filters
from configs.settings import Settings, runtime, setting

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+(@.*)?")
PINNED = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)@(?P<revision>[0-9a-f]{40})")


class DomainPlan(Settings):
    """One of the eight domains."""

    share: float = setting("share of the dataset, relative to the sum over domains", gt=0)
    task_type: str = setting("task type written into every question of the domain")
    topics: tuple[str, ...] = setting(
        "what its questions are about, in plain English; batches take them in turn", min_length=1
    )


class Planning(Settings):
    """How many questions are asked for."""

    examples: int = setting("examples the finished dataset should hold, training and validation together", gt=0)
    hard_share: float = setting("share of hard examples (documents: 0.6)", ge=0, le=1)
    easy_oversample: float = setting(
        "easy questions asked for, per easy example wanted: makes up for what validation, judge and filters drop", ge=1
    )
    hard_oversample: float = setting("the same for hard questions", ge=1)
    domains: dict[str, DomainPlan] = setting("the domains by name", min_length=1)


class Writing(Settings):
    """Questions written by a teacher, in batches."""

    batch: int = setting("questions asked for in one call (documents: 10)", ge=1, le=100)
    rounds: int = setting("times that repeated or missing questions are made up for, at most", ge=0)
    attempts: int = setting("times one call is made until its reply can be read", ge=1)
    max_tokens: int = setting("longest reply, in the teacher's tokens", gt=0)
    temperature: float = setting("sampling temperature", ge=0, le=2)


class Validating(Settings):
    """A teacher rates every question 1–10 on four scales; each has a minimum."""

    clarity: int = setting("lowest rating kept: clear wording", ge=1, le=10)
    relevance: int = setting("lowest rating kept: belongs to its domain", ge=1, le=10)
    difficulty: int = setting("lowest rating kept: fits the stated difficulty", ge=1, le=10)
    quality: int = setting("lowest rating kept: worth having over all", ge=1, le=10)
    attempts: int = setting("times one call is made until its reply can be read", ge=1)
    max_tokens: int = setting("longest reply, in the teacher's tokens", gt=0)


class Answers(Settings):
    """Who answers the questions of one difficulty, and how long."""

    mix: dict[str, float] = setting(
        "shares of the teachers in the role's chain (documents: 40/35/25); who answers follows from the question's id, "
        "the others stand in",
        min_length=1,
    )
    attempts: int = setting("times a question is asked until the answer has the shape asked for", ge=1)
    max_tokens: int = setting("longest answer, in the teacher's tokens", gt=0)
    temperature: float = setting("sampling temperature", ge=0, le=2)


class Answering(Settings):
    """Easy questions are answered directly, hard ones with draft, critique and revision."""

    easy: Answers = setting("direct answers")
    hard: Answers = setting("answers with draft, critique and revision")
    licenses: dict[str, str] = setting(
        "licence of what each teacher writes, by the teacher's name; the card lists them", min_length=1
    )
    high_complexity_words: int = setting(
        "words of thinking from which a hard example counts as of high complexity", gt=0
    )


class Judging(Settings):
    """A teacher scores every answer: accuracy 0–3, completeness 0–2, coherence 0–2, helpfulness 0–3."""

    threshold: int = setting("lowest total kept, of 10 (documents: 7)", ge=0, le=10)
    minimum_accuracy: int = setting(
        "lowest accuracy kept, of 3: a wrong answer that reads well is still wrong", ge=0, le=3
    )
    attempts: int = setting("times one call is made until its reply can be read", ge=1)
    max_tokens: int = setting("longest reply, in the teacher's tokens", gt=0)


class Decontamination(Settings):
    """Prompts that an evaluation set in use contains are removed."""

    words: int = setting("n of the word n-grams (GPT-3 and PaLM used 13 and 8)", ge=2)
    overlap: float = setting(
        "share of an evaluation question's n-grams that, found in an example, makes it contaminated; 0 = a single one "
        "is enough",
        ge=0,
        le=1,
    )
    short_words: int = setting(
        "fewest words of an evaluation question, if less than `words`, that is looked for inside an example; a shorter "
        "one must be the whole prompt",
        ge=2,
    )

    @model_validator(mode="after")
    def _short_is_shorter(self) -> "Decontamination":
        if self.short_words > self.words:
            raise ValueError(f"short_words is {self.short_words}, more than words, {self.words}")
        return self


class NearDuplicates(Settings):
    """MinHash, banding, exact Jaccard check, clusters; the best-scored example of a cluster stays."""

    threshold: float = setting(
        "Jaccard similarity of character shingles from which two examples count as the same", gt=0, le=1
    )
    shingle: int = setting("characters in a shingle", ge=1)
    permutations: int = setting("MinHash permutations; bands × rows of them are used", ge=1)
    bands: int = setting("bands (16×8 finds 94.7% of the pairs at Jaccard 0.8)", ge=1)
    rows: int = setting("rows in a band", ge=1)
    fold: bool = setting(
        "compare without what cannot be seen: kinds and runs of white space, characters of no width, Unicode's NFC or "
        "NFD"
    )
    linkage: Literal["star", "single"] = setting(
        "star: drop only what is similar to the one that stays; single: one of each chain stays"
    )
    threads: int = runtime("threads", ge=1)


class Balancing(Settings):
    """The planned shares, kept exactly as far as the material goes."""

    tolerance: float = setting(
        "largest relative deviation of a domain's or a difficulty's share from the plan (documents: 0.02)", ge=0, lt=1
    )


class Splitting(Settings):
    """Training and validation share no prompt."""

    validation_share: float = setting("share of the examples that goes to validation", gt=0, lt=1)


class Verification(Settings):
    """What the finished dataset is measured for, and the gate's thresholds."""

    sample: int = setting("examples whose language is identified (documents: 10,000)", gt=0)
    english: float = setting(
        "lowest share of English kept by the gate: lower end of the 95% Wilson interval over texts long enough to tell",
        ge=0,
        le=1,
    )
    duplicates: float = setting("highest share of near-duplicates the gate passes", ge=0, le=1)
    fill: float = setting("lowest number of examples the gate passes, as a share of the planned number", ge=0, le=1)


class Data(Settings):
    """The dataset phase."""

    source: str = setting("name under which generated rows say where they come from")
    tokenizer: str = setting(
        "counts tokens: owner/name@commit of the Hugging Face hub, a folder, or `words` for whitespace words where "
        "none exists yet"
    )
    planning: Planning = setting("how much of what")
    writing: Writing = setting("question writing")
    validating: Validating = setting("question ratings")
    answering: Answering = setting("answers")
    judging: Judging = setting("answer scores")
    collecting: Collecting = setting("public records that fill a domain the teachers left short")
    filters: Filters = setting("rule filters, in the order of tasks/data/clean/filters/table.py")
    decontamination: Decontamination = setting("removal of what evaluation sets contain")
    near_duplicates: NearDuplicates = setting("near-duplicate removal")
    balancing: Balancing = setting("shares of domains and difficulties")
    splitting: Splitting = setting("training and validation")
    verification: Verification = setting("measurements and gate")

    @field_validator("tokenizer")
    @classmethod
    def _pinned(cls, tokenizer: str) -> str:
        """A branch of the hub may move, and with it what a finished dataset counts as."""
        if HUB_NAME.fullmatch(tokenizer) and not PINNED.fullmatch(tokenizer) and not Path(tokenizer).is_dir():
            raise ValueError(
                f"{tokenizer[:120]} is not pinned; write owner/name@ and the full commit hash (40 digits), as "
                "training.student.revision has it"
            )
        return tokenizer
