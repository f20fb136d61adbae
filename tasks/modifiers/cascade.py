"""Three tiers of teachers mend the student's failures; the checker judges; each tier sees only what the tier before
failed.

(After FrugalGPT's cascade, 2305.05176, with an exact checker in place of a learned scorer.) What nobody solved is kept
with the reason. Not here: what a modifier is trained on besides (mixture.py).
"""

import json
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

from blocks import json_lines, store
from blocks.checkers.example import example_of
from blocks.checkers.judge import check_all
from blocks.records import Artifact, CallRef, Example, Question, Record, Verdict
from blocks.teachers.calling.ask import Answer, Request, ask
from configs.phases.modifiers import Cascade, Coverage
from configs.phases.teachers import Teachers
from tasks.modifiers.failures import FAILED, read_tried
from tasks.modifiers.prompts import mend, taken_apart
from tasks.step import step

SOLVED, REJECTED, STATS = "solved.jsonl", "rejected.jsonl", "tiers.json"


class Rejected(Record):
    """A failure that no tier solved; ``reasons`` in the order of the calls in ``lineage``."""

    question: Question
    reasons: tuple[str, ...]
    lineage: tuple[CallRef, ...]


class Tier(Record):
    """What a tier was asked, solved and cost. ``calls`` counts attempts; ``reasons`` why answers were not taken:
    refused, cut_off, malformed (a section is missing), wrong."""

    tier: int
    role: str
    asked: int
    solved: int
    calls: int
    dollars: Decimal
    reasons: dict[str, int]


class Case:
    """A failure on its way through the tiers."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.lineage: list[CallRef] = list(question.lineage)
        self.reasons: list[str] = []
        self.example: Example | None = None


@step(version=4)
def cascade(
    name: str,
    failures: Artifact,
    coverage: Coverage,
    roles: list[str],
    settings: Cascade,
    teachers: Teachers,
    licenses: dict[str, str],
) -> Artifact:
    """Have every failure of ``failures`` answered rightly, as cheaply as the tiers ``roles`` allow. ``licenses``: by
    teacher name.

    Returns:
        Artifact of kind "mended": solved.jsonl (examples), rejected.jsonl, tiers.json; dollars are what this modifier's
        calls cost.

    Raises:
        BudgetSpent: the cap is reached; what was answered stays in the journal and is not paid again.
    """
    cases = [Case(tried.question) for tried in read_tried(failures, FAILED)]
    waiting, tiers = cases, []
    for number, role in enumerate(roles, start=1):
        tiers.append(
            _tier(
                number=number,
                role=role,
                name=name,
                cases=waiting,
                coverage=coverage,
                settings=settings,
                teachers=teachers,
                licenses=licenses,
            )
        )
        waiting = [case for case in waiting if case.example is None]
    solved = [case.example for case in cases if case.example is not None]
    rejected = [
        Rejected(question=case.question, reasons=tuple(case.reasons), lineage=tuple(case.lineage)) for case in waiting
    ]
    used = {
        "modifier": name,
        "roles": roles,
        "cascade": settings.identity(),
        "coverage": coverage.identity(),
        "teachers": teachers.identity(),
        "licenses": licenses,
    }
    with store.create("mended", parents=[failures], settings=used) as folder:
        json_lines.write(folder.path / SOLVED, solved)
        json_lines.write(folder.path / REJECTED, rejected)
        (folder.path / STATS).write_text(json.dumps([tier.model_dump(mode="json") for tier in tiers], indent=1) + "\n")
        folder.dollars = sum((tier.dollars for tier in tiers), Decimal(0))
        folder.metrics |= {
            "failures": len(cases),
            "solved": len(solved),
            "rejected": len(rejected),
            "dollars": float(folder.dollars),
        }
        folder.metrics["calls"] = sum(tier.calls for tier in tiers)
        folder.metrics |= {
            f"rejected_{reason}": count
            for reason, count in sum((Counter(tier.reasons) for tier in tiers), Counter[str]()).items()
        }
        folder.metrics |= {
            f"tier{tier.tier}_{what}": getattr(tier, what) for tier in tiers for what in ("asked", "solved")
        }
    return folder.artifact


def _tier(
    number: int,
    role: str,
    name: str,
    cases: Sequence[Case],
    coverage: Coverage,
    settings: Cascade,
    teachers: Teachers,
    licenses: dict[str, str],
) -> Tier:
    """Let one tier answer the cases; a solved case gets its example."""
    waiting, reasons, dollars, calls = list(cases), Counter[str](), Decimal(0), 0
    for attempt in range(settings.attempts):
        if not waiting:
            break
        temperature = settings.retry_temperature if attempt else settings.temperature
        purpose = f"modifiers.{name}.tier{number}"
        asked = [
            Request(
                purpose=purpose,
                messages=tuple(mend(case.question, coverage)),
                max_tokens=settings.max_tokens,
                temperature=temperature,
                attempt=attempt,
            )
            for case in waiting
        ]
        answers = ask(asked, role, teachers)
        for case, answer, verdict in zip(waiting, answers, _judge(waiting, answers), strict=True):
            case.lineage.append(answer.call)
            dollars += answer.call.dollars
            calls += 1
            if verdict.correct:
                case.example = _example(case, answer, name, licenses)
            else:
                case.reasons.append(verdict.reason)
                reasons[_kind(answer, case.question)] += 1
        waiting = [case for case in waiting if case.example is None]
    return Tier(
        tier=number,
        role=role,
        asked=len(cases),
        solved=len(cases) - len(waiting),
        calls=calls,
        dollars=dollars,
        reasons=dict(sorted(reasons.items())),
    )


def _kind(answer: Answer, question: Question) -> str:
    """Why an answer was not taken, as one of a few kinds that are counted."""
    if answer.reject:
        return "cut_off" if answer.cut_off else "refused"
    return "malformed" if taken_apart(answer.text, question) is None else "wrong"


def _judge(cases: Sequence[Case], answers: Sequence[Answer]) -> list[Verdict]:
    """The checker's verdicts; an answer that was refused, cut or misshapen fails with that reason."""
    verdicts: list[Verdict | None] = []
    checkable = []
    for case, answer in zip(cases, answers, strict=True):
        parts = None if answer.reject else taken_apart(answer.text, case.question)
        if parts is None:
            verdicts.append(Verdict(correct=False, reason=answer.reject or "the answer lacks a section"))
        else:
            assert case.question.expected is not None  # fresh_questions keeps checkable ones only
            checkable.append((case.question.expected, parts.response))
            verdicts.append(None)
    judged = iter(check_all(checkable))
    return [verdict if verdict is not None else next(judged) for verdict in verdicts]


def _example(case: Case, answer: Answer, name: str, licenses: dict[str, str]) -> Example:
    parts = taken_apart(answer.text, case.question)
    assert parts is not None  # judged right, so it has every section
    source, license = f"{case.question.source}/modifiers/{name}", licenses.get(answer.call.teacher, "unknown")
    return example_of(
        case.question, parts, teacher=answer.model, source=source, license=license, lineage=tuple(case.lineage)
    )
