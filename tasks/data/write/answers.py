"""Direct answers to easy questions, and what both kinds of answer share: who answers which question, and the example
that results.

Who answers follows from the question's id alone, so that another question more or less changes nobody else's teacher.
Not here: answers with a draft (drafts.py), and their scores (judge.py).
"""

import hashlib
from collections.abc import Callable, Sequence

from blocks import store
from blocks.models.reasoning import answer_of
from blocks.progress import progress
from blocks.records import Artifact, CallRef, Difficulty, Example, Metadata, Question
from blocks.teachers.calling.all_refused import unless_all_refused
from blocks.teachers.calling.ask import Answer, Request, ask
from configs.errors import BadInput
from configs.phases.data import Answering, Answers
from configs.phases.teachers import Teachers
from tasks.data import rows
from tasks.data.tokens import counter
from tasks.data.write import prompts
from tasks.step import step

LEADS = 100  # numbers of attempts that each teacher who is asked first has for itself
Parts = tuple[str | None, str | None, str]  # draft, thinking, response


class Malformed(ValueError):
    """An answer without the shape that was asked for; the message is the reason."""


@step(version=1)
def answer_easy(questions: Artifact, settings: Answering, tokenizer: str, teachers: Teachers) -> Artifact:
    """Ask for a direct answer to every easy question; an artifact of kind "examples"."""
    return answer_all(
        questions=questions,
        difficulty="easy",
        settings=settings,
        tokenizer=tokenizer,
        teachers=teachers,
        take_apart=direct,
    )


def direct(text: str) -> Parts:
    """A direct answer is its text, without the reasoning that some models put before it.

    Raises:
        Malformed: it is empty, or reasoning alone.
    """
    answer = answer_of(text).strip()
    if not answer:
        raise Malformed("reasoning without an answer" if text.strip() else "empty")
    return None, None, answer


def answer_all(
    questions: Artifact,
    difficulty: Difficulty,
    settings: Answering,
    tokenizer: str,
    teachers: Teachers,
    take_apart: Callable[[str], Parts],
) -> Artifact:
    """Ask the questions of one difficulty and take the answers apart; a malformed one is asked again up to ``attempts``
    times.

    Raises:
        BadInput: the mix names a teacher outside the role, a teacher has no licence in ``settings.licenses``, or every
            question was refused.
    """
    how = settings.easy if difficulty == "easy" else settings.hard
    _check(settings, difficulty, how, teachers)
    asked = [question for question in rows.questions(questions) if question.difficulty == difficulty]
    parts: dict[str, Parts] = {}
    answers: dict[str, list[Answer]] = {question.id: [] for question in asked}
    faults: dict[str, str] = {}
    with progress(f"{difficulty} answers", len(asked)) as advance:
        for attempt in range(how.attempts):
            open_ones = [question for question in asked if question.id not in parts]
            for question, answer in _ask_shared(open_ones, difficulty, how, teachers, attempt):
                answers[question.id].append(answer)
                try:
                    if answer.reject:
                        raise Malformed(answer.reject)
                    parts[question.id] = take_apart(answer.text)
                    advance()
                except Malformed as fault:
                    faults[question.id] = str(fault)
    if not parts:
        unless_all_refused([answers[question.id][-1] for question in asked], f"{difficulty} answers")
    kept = _examples([question for question in asked if question.id in parts], parts, answers, settings, tokenizer)
    rejects = [
        rows.Reject(
            id=question.id,
            stage="answer",
            reason="malformed",
            detail=faults[question.id],
            prompt=question.prompt,
            lineage=question.lineage + _calls(answers[question.id]),
        )
        for question in asked
        if question.id not in parts
    ]
    with store.create(
        "examples",
        parents=[questions],
        settings={"difficulty": difficulty, "answering": settings.identity(), "tokenizer": tokenizer},
    ) as folder:
        rows.record(
            folder, rows.EXAMPLES, kept, rejects, [answer.call for group in answers.values() for answer in group]
        )
    return folder.artifact


def first_teacher(identity: str, mix: dict[str, float]) -> str:
    """Who is asked first: the question's id as a number in [0, 1) against the cumulative shares."""
    place = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8]) / 2**64 * sum(mix.values())
    for teacher, share in mix.items():
        place -= share
        if place < 0:
            return teacher
    return list(mix)[-1]


def led_by(teacher: str, role: str, teachers: Teachers) -> Teachers:
    """The teachers with one of the role's chain moved to its front; the others stand in for it in their order."""
    chain = (teacher, *(other for other in teachers.roles[role] if other != teacher))
    return teachers.model_copy(update={"roles": {**teachers.roles, role: chain}})


def _ask_shared(
    questions: Sequence[Question], difficulty: Difficulty, how: Answers, teachers: Teachers, attempt: int
) -> list[tuple[Question, Answer]]:
    purpose, ask_for = (
        ("answer", prompts.answer) if difficulty == "easy" else ("answer_with_draft", prompts.answer_with_draft)
    )
    role = f"answer_{difficulty}"
    answered = []
    for teacher in how.mix:
        # Teachers stand in for each other, so their requests must differ: otherwise a changed mix would find the old
        # answers in the journal.
        own = LEADS * teachers.roles[role].index(teacher) + attempt
        mine = [question for question in questions if first_teacher(question.id, how.mix) == teacher]
        requests = [
            Request(
                purpose=purpose,
                messages=ask_for(q.domain, q.difficulty, q.prompt),
                max_tokens=how.max_tokens,
                temperature=how.temperature,
                attempt=own,
            )
            for q in mine
        ]
        answered += list(zip(mine, ask(requests, role, led_by(teacher, role, teachers)), strict=True))
    return answered


def _examples(
    questions: list[Question],
    parts: dict[str, Parts],
    answers: dict[str, list[Answer]],
    settings: Answering,
    tokenizer: str,
) -> list[Example]:
    """Examples without a score yet (0)."""
    texts = [" ".join(part for part in (question.prompt, *parts[question.id]) if part) for question in questions]
    counts = counter(tokenizer)(texts)
    made = []
    for question, tokens in zip(questions, counts, strict=True):
        draft, thinking, response = parts[question.id]
        hard = question.difficulty == "hard"
        long = thinking is not None and len(thinking.split()) >= settings.high_complexity_words
        last = answers[question.id][-1]
        metadata = Metadata(
            domain=question.domain,
            difficulty=question.difficulty,
            task_type=question.task_type,
            complexity="high" if long else "medium" if hard else "low",
            requires_reasoning=hard,
            token_count=tokens,
            quality_score=0.0,
            teacher_model=last.call.teacher,
            source=question.source,
            license=settings.licenses[last.call.teacher],
        )
        lineage = question.lineage + _calls(answers[question.id])
        made.append(
            Example(
                id=question.id,
                prompt=question.prompt,
                draft=draft,
                thinking=thinking,
                response=response,
                metadata=metadata,
                lineage=lineage,
            )
        )
    return made


def _calls(answers: list[Answer]) -> tuple[CallRef, ...]:
    return tuple(answer.call for answer in answers)


def _check(settings: Answering, difficulty: Difficulty, how: Answers, teachers: Teachers) -> None:
    """Before anything is paid for: the mix names teachers of the role, and each of them has a licence for the card."""
    chain = teachers.roles[f"answer_{difficulty}"]
    for teacher in how.mix:
        if teacher not in chain:
            raise BadInput(
                f"data.answering.{difficulty}.mix: teacher {teacher!r} is not in teachers.roles.answer_{difficulty} "
                f"({', '.join(chain)})"
            )
    for teacher in chain:
        if teacher not in settings.licenses:
            raise BadInput(f"data.answering.licenses: no licence for what teacher {teacher!r} writes; add it")
