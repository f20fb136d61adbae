"""Answers scored by a teacher: accuracy 0–3, completeness 0–2, coherence 0–2, helpfulness 0–3. Below the threshold an
example goes.

The judge sees question and response, not draft, thinking or who wrote them. Not here: checks that need no teacher
(filter.py).
"""

from pydantic import Field

from blocks import store
from blocks.records import Artifact, CallRef, Example
from blocks.teachers.calling.all_refused import unless_all_refused
from blocks.teachers.calling.ask import Request, ask_parsed
from blocks.teachers.replies.parsing import Fields, Points
from configs.phases.data import Judging
from configs.phases.teachers import Teachers
from tasks.data import rows
from tasks.data.write import prompts
from tasks.step import step


class Score(Fields):
    """The reply to ``judge``; half points are points."""

    accuracy: Points = Field(ge=0, le=3)
    completeness: Points = Field(ge=0, le=2)
    coherence: Points = Field(ge=0, le=2)
    helpfulness: Points = Field(ge=0, le=3)

    @property
    def total(self) -> float:
        """0–10."""
        return self.accuracy + self.completeness + self.coherence + self.helpfulness


@step(version=1)
def judge(easy: Artifact, hard: Artifact, settings: Judging, teachers: Teachers) -> Artifact:
    """Keep the examples that score well enough, with their score; an artifact of kind "examples"."""
    answered = rows.examples(easy, hard)
    requests = [_request(example, settings) for example in answered]
    kept: list[Example] = []
    rejects: list[rows.Reject] = []
    calls: list[CallRef] = []
    replies = ask_parsed(requests, "judge", teachers, Score, settings.attempts)
    for example, reply in zip(answered, replies, strict=True):
        made_by = tuple(answer.call for answer in reply.answers)
        calls += made_by
        lineage = example.lineage + made_by
        fault = why_not(reply.value, settings)
        if fault is None and reply.value is not None:
            metadata = example.metadata.model_copy(update={"quality_score": reply.value.total})
            kept.append(example.model_copy(update={"metadata": metadata, "lineage": lineage}))
        elif fault is not None:
            rejects.append(
                rows.Reject(
                    id=example.id,
                    stage="judge",
                    reason=fault[0],
                    detail=fault[1],
                    prompt=example.prompt,
                    lineage=lineage,
                )
            )
    if not kept:
        unless_all_refused([reply.answer for reply in replies], "judge")
    with store.create("examples", parents=[easy, hard], settings=settings) as folder:
        rows.record(folder, rows.EXAMPLES, kept, rejects, calls)
        if kept:
            folder.metrics["mean_score"] = sum(example.metadata.quality_score for example in kept) / len(kept)
    return folder.artifact


def why_not(score: Score | None, settings: Judging) -> tuple[str, str] | None:
    """Reason and detail; None where the example stays."""
    if score is None:
        return "not_judged", "no reply that could be read"
    if score.accuracy < settings.minimum_accuracy:
        return "inaccurate", f"accuracy {score.accuracy:g}, minimum {settings.minimum_accuracy}"
    if score.total < settings.threshold:
        return "low_score", f"{score.total:g} of 10, threshold {settings.threshold}"
    return None


def _request(example: Example, settings: Judging) -> Request:
    messages = prompts.judge(example.metadata.domain, example.metadata.difficulty, example.prompt, example.response)
    return Request(purpose="judge", messages=messages, max_tokens=settings.max_tokens, temperature=0.0)
