"""What the compressed student gets wrong, and what it gets right, among fresh questions of a modifier's domains.

The verdicts are the checker's, reached in the evaluation of the served model. Not here: mending the failures
(cascade.py).
"""

from collections import Counter

from blocks import json_lines, store
from blocks.records import Artifact, Question, Record
from configs.errors import BadInput
from tasks.evaluation.evaluate import read_answers, read_left_out
from tasks.evaluation.held_out import read_questions
from tasks.step import step

FAILED, RIGHT = "failures.jsonl", "right.jsonl"


class Tried(Record):
    """A question, the student's whole answer to it, and the checker's reason."""

    question: Question
    answer: str
    reason: str


@step(version=1)
def failures(questions: Artifact, evaluation: Artifact) -> Artifact:
    """Part the student's answers to ``questions`` into failures.jsonl and right.jsonl, in the questions' order. What
    the evaluation left out is in neither.

    Returns:
        Artifact of kind "failures".

    Raises:
        BadInput: a question has no answer in the evaluation.
    """
    answers = {answer.question: answer for answer in read_answers(evaluation)}
    left_out = {one.question for one in read_left_out(evaluation)}
    asked = [question for question in read_questions(questions) if question.id not in left_out]
    missing = [question.id for question in asked if question.id not in answers]
    if missing:
        raise BadInput(
            f"{evaluation.short} lacks {len(missing)} of the {len(asked)} questions of {questions.short}, such as "
            f"{missing[0]}; evaluate exactly these"
        )
    parts: dict[bool, list[Tried]] = {False: [], True: []}
    for question in asked:
        answer = answers[question.id]
        parts[answer.correct].append(Tried(question=question, answer=answer.text, reason=answer.reason))
    with store.create("failures", parents=[questions, evaluation]) as folder:
        for name, correct in ((FAILED, False), (RIGHT, True)):
            json_lines.write(folder.path / name, parts[correct])
        folder.metrics |= {"asked": len(asked), "failed": len(parts[False])} | (
            {"left_out": len(left_out)} if left_out else {}
        )
        folder.metrics |= {
            f"failed_{domain}": count
            for domain, count in sorted(Counter(tried.question.domain for tried in parts[False]).items())
        }
    return folder.artifact


def read_tried(failures: Artifact, name: str) -> list[Tried]:
    """The rows of failures.jsonl or right.jsonl."""
    return json_lines.read(store.open(failures) / name, Tried)
