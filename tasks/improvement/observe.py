"""What serving and evaluation wrote down about the current release since they were last read, judged where the answer
can be checked.

An answer is judged by the checker where the rehearsal world knows the question, else by what a person said of it;
otherwise it counts as unjudged. Not here: what follows from it (moved_domains.py).
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Literal

from blocks import json_lines, store
from blocks.checkers.judge import check_all
from blocks.journal import served
from blocks.records import Artifact, Record
from blocks.rehearsal import world
from tasks.evaluation.evaluate import read_answers
from tasks.step import step

Source = Literal["serving", "evaluation"]
RECORDS = "records.jsonl"


class Observed(Record):
    """One answer of the release. ``right`` is None where nobody judged it; ``doubted``: the router took the base's
    answer for too unsure; ``escalated``: a modifier answered; ``fallback``: one should have and could not. ``prompt``
    is None where none is kept."""

    id: str
    source: Source
    time: str
    prompt: str | None
    domain: str
    task_type: str | None
    right: bool | None
    reason: str
    doubted: bool
    escalated: bool
    fallback: bool


@step(version=1, cache=False)
def observe(
    release: Artifact, router: Artifact, routed: Artifact, since: str, read: dict[str, str], until: str
) -> Artifact:
    """Read what was written down about ``release`` and its ``router`` after ``since`` and up to ``until``. ``read``: by
    :func:`place`, up to when it was read before. ``routed``: the evaluation that the release was published with, which
    is no news.

    Returns:
        Artifact of kind "observed": records.jsonl (Observed, by time).
    """
    since = _precise(since)
    found = [*_serving(release, since, until), *_evaluations(router, routed, since, until)]
    kept = sorted(
        (one for one in found if one.time > read.get(place(one.source, one.domain), "")),
        key=lambda one: (one.time, one.id),
    )
    with store.create(
        "observed", parents=[release, router, routed], settings={"since": since, "read": read, "until": until}
    ) as folder:
        json_lines.write(folder.path / RECORDS, kept)
        folder.metrics |= {
            "records": len(kept),
            "judged": sum(one.right is not None for one in kept),
            "failed": sum(one.right is False for one in kept),
        }
    return folder.artifact


def place(source: str, domain: str) -> str:
    """The name under which it is remembered up to when a source's answers in a domain were read."""
    return f"{source} {domain}"


def read_observed(observed: Artifact) -> list[Observed]:
    """The rows of an "observed" artifact."""
    return json_lines.read(store.open(observed) / RECORDS, Observed)


def _serving(release: Artifact, since: str, until: str) -> Iterator[Observed]:
    """The serving log. What the world knows is filed under its own domain, not the one the router took it for."""
    answers: list[served.Served] = []
    remarks: dict[str, bool] = {}
    for line in served.read(since, until):
        if isinstance(line, served.Remark):
            remarks[line.answer] = line.good
        elif line.release == release.digest:
            answers.append(line)
    checks = [
        (number, world.expected(line.prompt))
        for number, line in enumerate(answers)
        if line.prompt is not None and line.answer is not None
    ]
    checkable = [(number, expected) for number, expected in checks if expected is not None]
    verdicts = check_all([(expected, answers[number].answer or "") for number, expected in checkable])
    judged = {
        number: (verdict.correct, verdict.reason) for (number, _), verdict in zip(checkable, verdicts, strict=True)
    }
    for number, line in enumerate(answers):
        known = world.classify(line.prompt) if line.prompt is not None else None
        right, reason = judged.get(number) or (remarks.get(line.id), "a person said so" if line.id in remarks else "")
        yield Observed(
            id=line.id,
            source="serving",
            time=line.time,
            prompt=line.prompt,
            domain=known[0] if known else line.domain,
            task_type=known[2] if known else None,
            right=right,
            reason=reason,
            doubted=line.confidence < line.threshold,
            escalated=line.escalated and line.fallback is None,
            fallback=line.fallback is not None,
        )


def _evaluations(router: Artifact, routed: Artifact, since: str, until: str) -> Iterator[Observed]:
    """Evaluations of the whole release, with all its modifiers, that were made since."""
    for one in store.everything():
        if one.kind != "evaluation" or router.digest not in one.parents or one.digest == routed.digest:
            continue
        time = _precise(store.manifest(one).created)
        if not since < time <= until:
            continue
        choices = read_choices(one)
        for answer in read_answers(one):
            escalated = choices[answer.question] != "base"
            yield Observed(
                id=f"{one.digest[:12]}-{answer.question}",
                source="evaluation",
                time=time,
                prompt=answer.prompt,
                domain=answer.domain,
                task_type=answer.task_type,
                right=answer.correct,
                reason=answer.reason,
                doubted=escalated,
                escalated=escalated,
                fallback=False,
            )


def _precise(time: str) -> str:
    """A time as the serving log writes it, so that texts sort as times: what was made in the second of ``since`` is not
    news."""
    return datetime.fromisoformat(time).isoformat(timespec="microseconds")


def read_choices(routed: Artifact) -> Mapping[str, str]:
    """Who answered each question of a routed evaluation: "base" or a modifier."""
    choices: dict[str, str] = json.loads((store.open(routed) / "choices.json").read_text())
    return choices
