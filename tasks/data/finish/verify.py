"""The finished dataset measured: schema, language, duplicates, shares, disjoint splits; and the checks of its gate.

Language is judged by another identifier (langdetect) than the one that filtered (py3langid), and duplicates are looked
for again under other hash functions, so that a step is not asked about its own work. Not here: what a failed check
stops (flows, gates.py).
"""

import random
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from blocks import store
from blocks.records import Artifact, Example, GateCheck, Interval, Record
from configs.phases.data import Data, NearDuplicates
from tasks.data import rows
from tasks.data.clean.filters.english import JUDGED_CHARACTERS, prose
from tasks.data.clean.near_duplicates import compared, find
from tasks.data.finish.balance import off_balance
from tasks.data.finish.split import TRAIN, VALIDATION
from tasks.data.write.plan import share_out
from tasks.evaluation.statistics import wilson
from tasks.step import step

SURE = 0.9  # langdetect's probability of another language from which a text counts as foreign; see LOG.md


class DatasetReport(Record):
    """What was measured. ``english``: share over ``english.n`` sampled texts long enough to tell; ``undecided``: the
    others' share. ``off_balance``: largest relative deviation of a share from the plan."""

    rows: int
    malformed: int
    english: Interval
    undecided: float
    duplicate_rate: float
    off_balance: float
    shared_prompts: int
    checks: tuple[GateCheck, ...]


@step(version=1)
def verify(dataset: Artifact, settings: Data, seed: int) -> DatasetReport:
    """Measure a dataset; ``checks`` compares with the profile's thresholds."""
    folder = store.open(dataset)
    train, broken_train = parse((folder / TRAIN).read_bytes())
    validation, broken_validation = parse((folder / VALIDATION).read_bytes())
    examples, malformed = train + validation, broken_train + broken_validation
    english, undecided = english_share(
        [f"{e.prompt}\n{e.response}" for e in examples],
        settings.verification.sample,
        settings.filters.english.letters,
        seed,
    )
    cells = share_out(settings.planning)
    counts: Counter[tuple[str, str]] = Counter(
        (example.metadata.domain, example.metadata.difficulty) for example in examples
    )
    shared = {rows.folded(e.prompt) for e in train} & {rows.folded(e.prompt) for e in validation}
    duplicates = duplicate_rate([compared(e.prompt, e.response) for e in examples], settings.near_duplicates, seed + 1)
    off = off_balance(cells, dict(counts))
    wanted = settings.verification
    checks = (
        GateCheck(name="malformed rows", value=malformed, rule="==", threshold=0),
        GateCheck(name="rows", value=len(examples), rule=">=", threshold=wanted.fill * settings.planning.examples),
        GateCheck(name="English, lower end of the interval", value=english.low, rule=">=", threshold=wanted.english),
        GateCheck(name="near-duplicate rate", value=duplicates, rule="<=", threshold=wanted.duplicates),
        GateCheck(
            name="deviation from the planned shares", value=off, rule="<=", threshold=settings.balancing.tolerance
        ),
        GateCheck(name="prompts in both splits", value=len(shared), rule="==", threshold=0),
    )
    return DatasetReport(
        rows=len(examples),
        malformed=malformed,
        english=english,
        undecided=undecided,
        duplicate_rate=duplicates,
        off_balance=off,
        shared_prompts=len(shared),
        checks=checks,
    )


def parse(data: bytes) -> tuple[list[Example], int]:
    """The examples in JSON lines, and how many lines are none."""
    examples, malformed = [], 0
    for line in data.split(b"\n"):
        if not line:
            continue
        try:
            examples.append(Example.model_validate_json(line))
        except ValidationError:
            malformed += 1
    return examples, malformed


def english_share(texts: Sequence[str], sample: int, letters: int, seed: int) -> tuple[Interval, float]:
    """Share of English with its 95% Wilson interval over a random sample, and the share that was too short to tell.

    A text of fewer than ``letters`` letters outside code is undecided. Where none can be decided the interval says
    nothing: the share counts as 1 then, and ``n`` is 0.
    """
    drawn = [texts[i] for i in sorted(random.Random(seed).sample(range(len(texts)), min(sample, len(texts))))]
    judged = [found for text in drawn if (found := _is_english(text, letters)) is not None]
    undecided = 1 - len(judged) / len(drawn) if drawn else 0.0
    if not judged:
        return Interval(mean=1.0, low=1.0, high=1.0, n=0), undecided
    return wilson(sum(judged), len(judged)), undecided


def duplicate_rate(texts: Sequence[str], settings: NearDuplicates, seed: int) -> float:
    """Share of the texts that near-duplicate removal would drop now."""
    if not texts:
        return 0.0
    return 1 - len(find(texts, None, settings, seed).kept) / len(texts)


def _is_english(text: str, letters: int) -> bool | None:
    """None where the text is too short to tell."""
    words = prose(text)
    if sum(map(str.isalpha, words)) < letters:
        return None
    langdetect = _langdetect()
    try:
        best = langdetect.detect_langs(words[:JUDGED_CHARACTERS])[0]
    except langdetect.LangDetectException:
        return None
    return best.lang == "en" or best.prob < SURE


@lru_cache(maxsize=1)
def _langdetect() -> Any:
    import langdetect

    langdetect.DetectorFactory.seed = 0
    return langdetect
