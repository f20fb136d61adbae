"""The types that phases hand each other: questions, examples, artifacts, verdicts, evaluations, ledger rows.

Not here: settings (configs/) and the files behind an artifact (store.py).
"""

from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from configs.vocabulary import DOMAINS as DOMAINS
from configs.vocabulary import Difficulty as Difficulty
from configs.vocabulary import Domain as Domain


class Record(BaseModel):
    """Strict and frozen; serialises to JSON and back without loss."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


def unknown_fields(error: ValidationError) -> str:
    """The fields that a record has and this version does not know, for people; empty where anything else is wrong with it as well."""
    faults = error.errors()
    return ", ".join(".".join(map(str, fault["loc"])) for fault in faults) if all(fault["type"] == "extra_forbidden" for fault in faults) else ""


class CallRef(Record):
    """One teacher call that made (part of) a row: journal id, teacher, what it was asked for, price in dollars."""

    call: str
    teacher: str
    purpose: str
    dollars: Decimal


class Expected(Record):
    """How an answer is checked. ``kind``: code (``value`` = test code run in the sandbox after the answer),
    value (number), call (JSON of a tool call), text (exact after whitespace folding)."""

    kind: Literal["code", "value", "call", "text"]
    value: str


class Question(Record):
    """A prompt to be answered. ``expected`` is present where a checker exists."""

    id: str
    prompt: str
    domain: Domain
    difficulty: Difficulty
    task_type: str
    expected: Expected | None = None
    source: str
    lineage: tuple[CallRef, ...] = ()


class Verdict(Record):
    """A checker's judgement of one answer."""

    correct: bool
    reason: str


class Metadata(Record):
    """What is known about an example. ``token_count`` counts prompt, draft, thinking and response in student tokens
    (whitespace words where no tokenizer exists yet); ``quality_score`` is the judge's, 0–10."""

    domain: Domain
    difficulty: Difficulty
    task_type: str
    complexity: Literal["low", "medium", "high"]
    requires_reasoning: bool
    harm_category: str = "none"
    token_count: int
    quality_score: float
    teacher_model: str
    source: str
    license: str


class Example(Record):
    """One prompt/response record. Hard examples carry ``draft`` (first attempt and critique) and ``thinking``."""

    id: str
    prompt: str
    draft: str | None = None
    thinking: str | None = None
    response: str
    metadata: Metadata
    lineage: tuple[CallRef, ...] = ()


class Artifact(Record):
    """Reference to an immutable, content-addressed folder. ``bytes`` is the sum of its files; ``metrics`` are the few
    numbers worth showing without opening it."""

    kind: str
    digest: str
    uri: str
    bytes: int
    parents: tuple[str, ...] = ()
    metrics: dict[str, float] = {}

    @property
    def short(self) -> str:
        """Kind and the first twelve characters of the digest, for people."""
        return f"{self.kind}-{self.digest[:12]}"


class Answered(Record):
    """One model answer in an evaluation. ``logprobs``: natural-log probability of each generated token, in order."""

    question: str
    domain: Domain
    difficulty: Difficulty
    task_type: str
    prompt: str
    text: str
    correct: bool
    reason: str
    logprobs: tuple[float, ...]


class Interval(Record):
    """A mean and its 95% interval; ``n`` observations."""

    mean: float
    low: float
    high: float
    n: int


class LedgerRow(Record):
    """The same evaluation after a step that changed a model. ``difference`` is exact match minus the row before,
    paired over the same questions; None in the first row."""

    step: str
    model: str
    bytes: int
    parameters: int
    bits_per_parameter: float
    perplexity: float
    exact_match: Interval
    by_domain: dict[str, Interval]
    tokens_per_second: float
    difference: Interval | None
    verdict: str
    note: str = ""


class GateCheck(Record):
    """One comparison of a gate: ``value`` against ``threshold`` in the direction of ``rule``."""

    name: str
    value: float
    rule: Literal[">=", "<=", ">", "<", "=="]
    threshold: float

    @property
    def passed(self) -> bool:
        """Whether the comparison holds (false for NaN)."""
        return {">=": self.value >= self.threshold, "<=": self.value <= self.threshold, ">": self.value > self.threshold,
                "<": self.value < self.threshold, "==": self.value == self.threshold}[self.rule]  # fmt: skip


class GateReport(Record):
    """Every comparison of one gate, passed or not."""

    gate: str
    checks: tuple[GateCheck, ...]

    @property
    def passed(self) -> bool:
        """Whether every check holds."""
        return all(check.passed for check in self.checks)


class Manifest(Record):
    """manifest.json of an artifact, written last. ``files`` maps relative path to (SHA-256, bytes); ``seconds``,
    ``peak_memory_bytes`` and ``dollars`` are what making it took."""

    kind: str
    digest: str
    files: dict[str, tuple[str, int]]
    parents: tuple[str, ...]
    settings: Any
    step: str
    code_version: str
    created: str
    seconds: float
    peak_memory_bytes: int
    dollars: Decimal
    metrics: dict[str, float]
