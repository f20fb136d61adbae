"""An answer that a checker found right, as an example: it scores 10, and its question says the rest. Not here: the
checking (judge.py)."""

from blocks.models.sections import Sections
from blocks.records import CallRef, Example, Metadata, Question


def example_of(
    question: Question, answer: Sections, *, teacher: str, source: str, license: str, lineage: tuple[CallRef, ...] = ()
) -> Example:
    """The example; its tokens are whitespace words, since no tokenizer is at hand."""
    metadata = Metadata(
        domain=question.domain,
        difficulty=question.difficulty,
        task_type=question.task_type,
        complexity="low" if question.difficulty == "easy" else "medium",
        requires_reasoning=question.difficulty == "hard",
        token_count=sum(
            len(part.split()) for part in (question.prompt, answer.draft, answer.thinking, answer.response) if part
        ),
        quality_score=10.0,
        teacher_model=teacher,
        source=source,
        license=license,
    )
    return Example(
        id=question.id,
        prompt=question.prompt,
        draft=answer.draft,
        thinking=answer.thinking,
        response=answer.response,
        metadata=metadata,
        lineage=lineage,
    )
