"""A student of known failures, and the rehearsal teachers: what the modifiers' steps are given."""

from decimal import Decimal

from blocks import store
from blocks.checkers.judge import check_all
from blocks.models.template import LLAMA
from blocks.records import DOMAINS, Answered, Artifact, Domain, Example, Question
from blocks.rehearsal import world
from configs.phases.modifiers import Cascade, RehearsalSource, coverage
from configs.phases.teachers import Prices, TeacherModel, Teachers
from tasks.evaluation.held_out import read_questions
from tasks.modifiers.failures import failures
from tasks.modifiers.questions import fresh_questions

REHEARSAL = RehearsalSource(kind="rehearsal")
TIERS = ("tier1", "tier2", "tier3")
CASCADE = Cascade(tiers=TIERS, attempts=2, max_tokens=300, temperature=0.0, retry_temperature=0.7)
LICENSES = {f"rehearsal-{size}": "CC0-1.0" for size in ("small", "medium", "large")}


def teachers(cap: str = "10") -> Teachers:
    models = {}
    for size, output in (("small", "0.4"), ("medium", "2"), ("large", "8")):
        prices = Prices(
            input=Decimal("0.1"),
            cached=Decimal("0.1"),
            cache_write=Decimal("0.1"),
            output=Decimal(output),
            batch=Decimal(1),
        )
        models[f"rehearsal-{size}"] = TeacherModel(
            provider="rehearsal",
            model=f"rehearsal-{size}",
            base_url=None,
            options={},
            temperature=True,
            key_env=None,
            block=None,
            prices=prices,
            requests_per_minute=None,
            tokens_per_minute=None,
            timeout_s=60,
            max_retries=1,
            batch=False,
            idempotent_s=0,
        )
    roles = {
        "tier1": ("rehearsal-small",),
        "tier2": ("rehearsal-medium",),
        "tier3": ("rehearsal-large",),
        "questions": ("rehearsal-large",),
    }
    return Teachers(
        account="test",
        cap_dollars=Decimal(cap),
        journal=None,
        concurrency=8,
        limiter="journal",
        batch_poll_s=1,
        models=models,
        roles=roles,
    )


def examples(count: int = 20, domains: tuple[Domain, ...] = DOMAINS) -> list[Example]:
    return [
        row
        for domain in domains
        for difficulty in ("easy", "hard")
        for row in world.examples(domain, difficulty, "train", count, 0)
    ]


def dataset(rows: list[Example]) -> Artifact:
    with store.create("dataset") as folder:
        (folder.path / "train.jsonl").write_text("".join(row.model_dump_json() + "\n" for row in rows))
        (folder.path / "validation.jsonl").write_text("")
    return folder.artifact


def posed(name: str = "reasoning", count: int = 30, seed: int = 0) -> Artifact:
    return fresh_questions.fn(
        avoid=[],
        coverages=[coverage(name)],
        count=count,
        hard_share=0.5,
        source=REHEARSAL,
        teachers=teachers().only(),
        seed=seed,
    )


def answers(questions: list[Question], fails: set[str]) -> list[Answered]:
    """Right answers, worked where the question is hard; another text for the task types in ``fails``. Judged by the
    checker."""
    texts = []
    for question in questions:
        parts = world.worked(question.prompt)
        assert parts is not None
        draft = f"<draft>{parts.draft}</draft><thinking>{parts.thinking}</thinking>" if parts.draft is not None else ""
        texts.append(LLAMA.guard(draft + ("I do not know" if question.task_type in fails else parts.response)))
    verdicts = check_all(
        [(question.expected, text) for question, text in zip(questions, texts, strict=True) if question.expected]
    )
    return [
        Answered(
            question=q.id,
            domain=q.domain,
            difficulty=q.difficulty,
            task_type=q.task_type,
            prompt=q.prompt,
            text=t,
            correct=v.correct,
            reason=v.reason,
            logprobs=(-0.1,),
        )
        for q, t, v in zip(questions, texts, verdicts, strict=True)
    ]


def evaluation(rows: list[Answered], name: str = "base") -> Artifact:
    with store.create("evaluation", settings={"name": name}) as folder:
        (folder.path / "answers.jsonl").write_text("".join(row.model_dump_json() + "\n" for row in rows))
    return folder.artifact


def failed(fails: set[str], name: str = "reasoning", count: int = 30) -> Artifact:
    questions = posed(name, count)
    return failures.fn(questions, evaluation(answers(read_questions(questions), fails)))
