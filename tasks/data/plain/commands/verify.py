"""``cogumi data verify``: what the dataset phase measures of its result, measured of plain files."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from blocks.records import GateCheck, Interval, Record
from configs.phases.data import Data
from tasks.data import rows
from tasks.data.clean.near_duplicates import compared
from tasks.data.finish.verify import duplicate_rate, english_share
from tasks.data.plain.commands.clock import Clock
from tasks.data.plain.files import read


class VerifyReport(Record):
    """``data verify``. ``repeated_ids`` and ``shared_prompts`` (prompts in more than one of the files) count distinct
    ones."""

    records: int
    repeated_ids: int
    shared_prompts: int
    english: Interval
    undecided: float
    duplicate_rate: float
    checks: tuple[GateCheck, ...]
    passed: bool
    seconds: float


def verify_files(inputs: Sequence[Path], settings: Data, seed: int) -> VerifyReport:
    """Measure files as the dataset phase measures its result, against the same thresholds. Several files must share no
    prompt."""
    clock = Clock()
    ids: Counter[str] = Counter()
    texts: list[str] = []
    prompts: list[set[str]] = []
    for path in inputs:
        mine: set[str] = set()
        for _, record in read([path]):
            ids[record.id] += record.named  # a place is no id of its own
            mine.add(rows.folded(record.prompt))
            texts.append(compared(record.prompt, record.response))
        prompts.append(mine)
    appearances = Counter(prompt for mine in prompts for prompt in mine)
    shared = sum(count > 1 for count in appearances.values())
    repeated = sum(count > 1 for count in ids.values())
    english, undecided = english_share(texts, settings.verification.sample, settings.filters.english.letters, seed)
    duplicates = duplicate_rate(texts, settings.near_duplicates, seed + 1)
    checks = (
        GateCheck(name="records", value=len(texts), rule=">", threshold=0),
        GateCheck(name="repeated ids", value=repeated, rule="==", threshold=0),
        GateCheck(name="prompts in several files", value=shared, rule="==", threshold=0),
        GateCheck(
            name="English, lower end of the interval",
            value=english.low,
            rule=">=",
            threshold=settings.verification.english,
        ),
        GateCheck(name="near-duplicate rate", value=duplicates, rule="<=", threshold=settings.verification.duplicates),
    )
    return VerifyReport(
        records=len(texts),
        repeated_ids=repeated,
        shared_prompts=shared,
        english=english,
        undecided=undecided,
        duplicate_rate=duplicates,
        checks=checks,
        passed=all(check.passed for check in checks),
        seconds=clock.seconds(),
    )
