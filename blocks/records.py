"""The types that phases hand each other: questions, examples, artifacts, verdicts, evaluations, ledger rows.

Not here: settings (configs/) and the files behind an artifact (store.py).
"""

import unicodedata
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from configs.vocabulary import DOMAINS as DOMAINS
from configs.vocabulary import Difficulty as Difficulty
from configs.vocabulary import Domain as Domain


class Record(BaseModel):
    """Strict and frozen; serialises to JSON and back without loss."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


def unknown_fields(error: ValidationError) -> str:
    """The fields that a record has and this version does not know, for people; empty where anything else is wrong with
    it as well."""
    faults = error.errors()
    return (
        ", ".join(".".join(map(str, fault["loc"])) for fault in faults)
        if all(fault["type"] == "extra_forbidden" for fault in faults)
        else ""
    )


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


Name = Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$")]
"""A kind or digest: it becomes part of a path, so it is a plain word."""

Sha = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 in hexadecimal."""

Bytes = Annotated[int, Field(ge=0, lt=1 << 63, strict=True)]
"""A number of bytes."""


def _printable(text: str) -> str:
    """One line that does nothing to a terminal."""
    if not text.isprintable() or len(text) > 5000:
        raise ValueError("is not one printable line")
    return text


Line = Annotated[str, AfterValidator(_printable)]
Metrics = dict[Line, Annotated[float, Field(allow_inf_nan=False)]]


class Artifact(Record):
    """Reference to an immutable, content-addressed folder. ``bytes`` is the sum of its files; ``metrics`` are the few
    numbers worth showing without opening it; ``account`` is the SHA-256 of what its manifest says of its making and
    gates and bills read (folders.py), which the digest does not cover (None: written before there was such a field). It
    is no part of an artifact's identity."""

    kind: Name
    digest: Name
    uri: Line
    bytes: Bytes
    parents: tuple[Name, ...] = ()
    metrics: Metrics = {}
    account: Sha | None = None

    def __eq__(self, other: object) -> bool:
        """Whether kind, digest, place, bytes, parents and metrics are equal."""
        return isinstance(other, Artifact) and all(
            getattr(self, name) == getattr(other, name) for name in type(self).model_fields if name != "account"
        )

    def __hash__(self) -> int:
        """By content."""
        return hash((self.kind, self.digest))

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
        return {
            ">=": self.value >= self.threshold,
            "<=": self.value <= self.threshold,
            ">": self.value > self.threshold,
            "<": self.value < self.threshold,
            "==": self.value == self.threshold,
        }[self.rule]


class GateReport(Record):
    """Every comparison of one gate, passed or not."""

    gate: str
    checks: tuple[GateCheck, ...]

    @property
    def passed(self) -> bool:
        """Whether every check holds."""
        return all(check.passed for check in self.checks)


def _inside(files: Mapping[str, Any]) -> Mapping[str, Any]:
    """File names that stay below their folder, on any machine, and do not stand in each other's way."""
    seen: set[str] = set()
    folders: set[str] = set()
    for name in files:
        parts, folded = name.split("/"), _folded(name)
        if any(part in {"", ".", ".."} for part in parts) or "\\" in name or not name.isprintable():
            raise ValueError(f"{ascii(name)[:100]} is no name of a file below the artifact's folder")
        if (
            len(parts) > 20
            or len(name.encode()) > 1000
            or any(len(part.encode()) > 255 for part in parts)
            or folded.split("/")[0] == "manifest.json"
        ):
            raise ValueError(f"{ascii(name)[:100]} cannot be the name of an artifact's file")
        if folded in seen:
            raise ValueError(f"{ascii(name)[:100]} is another file's name too")
        seen.add(folded)
        folders.update(folded[:at] for at, letter in enumerate(folded) if letter == "/")
    if both := seen & folders:
        raise ValueError(f"{ascii(min(both))[:100]} is the name of a file and of a folder")
    return files


def _time(text: str) -> str:
    """A time in ISO 8601 with its zone."""
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("has no time zone")
    return text


def _folded(name: str) -> str:
    """What stands for the name where upper and lower case, or Unicode's forms of a letter, are one."""
    return unicodedata.normalize("NFC", name).casefold()


class Manifest(Record):
    """manifest.json of an artifact, written last. ``files`` maps relative path to (SHA-256, bytes); ``seconds``,
    ``peak_memory_bytes`` and ``dollars`` are what making it took."""

    kind: Name
    digest: Sha
    files: Annotated[dict[str, tuple[Sha, Bytes]], AfterValidator(_inside)]
    parents: tuple[Name, ...]
    settings: Any
    step: Line
    code_version: Line
    created: Annotated[str, AfterValidator(_time)]
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    peak_memory_bytes: Bytes
    dollars: Annotated[Decimal, Field(ge=0, lt=10**12)]
    metrics: Metrics
