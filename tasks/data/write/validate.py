"""Questions rated by a teacher: clarity, relevance, difficulty, quality. Below a minimum a question goes, with its
reason.

Not here: the question's answer, which nobody has seen yet.
"""

from pydantic import Field

from blocks import store
from blocks.records import Artifact, CallRef, Question
from blocks.teachers.calling.all_refused import unless_all_refused
from blocks.teachers.calling.ask import Request, ask_parsed
from blocks.teachers.replies.parsing import Fields, Points
from configs.phases.data import Validating
from configs.phases.teachers import Teachers
from tasks.data import rows
from tasks.data.write import prompts
from tasks.step import step


class Rating(Fields):
    """The reply to ``validate``, 1 (bad) to 10; half points are points."""

    clarity: Points = Field(ge=1, le=10)
    relevance: Points = Field(ge=1, le=10)
    difficulty: Points = Field(ge=1, le=10)
    quality: Points = Field(ge=1, le=10)


_REASONS = {"relevance": "off_topic", "clarity": "unclear", "difficulty": "wrong_difficulty", "quality": "low_quality"}


@step(version=1)
def validate(questions: Artifact, settings: Validating, teachers: Teachers) -> Artifact:
    """Keep the questions whose ratings reach every minimum; an artifact of kind "questions"."""
    asked = rows.questions(questions)
    requests = [
        Request(
            purpose="validate",
            messages=prompts.validate(q.domain, q.difficulty, q.prompt),
            max_tokens=settings.max_tokens,
            temperature=0.0,
        )
        for q in asked
    ]
    kept: list[Question] = []
    rejects: list[rows.Reject] = []
    calls: list[CallRef] = []
    replies = ask_parsed(requests, "validate", teachers, Rating, settings.attempts)
    for question, reply in zip(asked, replies, strict=True):
        made_by = tuple(answer.call for answer in reply.answers)
        calls += made_by
        lineage = question.lineage + made_by
        fault = why_not(reply.value, settings)
        if fault is None:
            kept.append(question.model_copy(update={"lineage": lineage}))
        else:
            rejects.append(
                rows.Reject(
                    id=question.id,
                    stage="validate",
                    reason=fault[0],
                    detail=fault[1],
                    prompt=question.prompt,
                    lineage=lineage,
                )
            )
    if not kept:
        unless_all_refused([reply.answer for reply in replies], "validate")
    with store.create("questions", parents=[questions], settings=settings) as folder:
        rows.record(folder, rows.QUESTIONS, kept, rejects, calls)
    return folder.artifact


def why_not(rating: Rating | None, settings: Validating) -> tuple[str, str] | None:
    """Reason and detail of the scale furthest below its minimum; None where there is none."""
    if rating is None:
        return "not_rated", "no reply that could be read"
    scale = max(_REASONS, key=lambda name: getattr(settings, name) - getattr(rating, name))
    value, minimum = getattr(rating, scale), getattr(settings, scale)
    return (_REASONS[scale], f"{scale} {value:g}, minimum {minimum}") if value < minimum else None
