"""The page of the modifiers phase's teachers, of a real cascade: its figures are the journal's own."""

import pytest
from prefect import flow
from sqlalchemy import func, select

from blocks import store
from blocks.estimates.calls import together
from blocks.journal.journal import Journal, calls
from blocks.records import Artifact
from configs.phases.modifiers import Modifiers, TeacherSource, coverage
from configs.schema import load
from tasks.modifiers.cascade import cascade
from tasks.modifiers.estimate import mending
from tasks.modifiers.questions import fresh_questions
from tasks.modifiers.spending import show_modifiers_spending
from tests.blocks.teachers.paying.test_bill import rows
from tests.blocks.teachers.test_prefect import pages
from tests.tasks.modifiers.world import CASCADE, LICENSES, TIERS, failed, teachers

SOURCE = TeacherSource(kind="teachers", role="questions", batch=10, max_tokens=1000, temperature=0.7, attempts=2)
NAMES = ("reasoning", "automation")


@pytest.fixture
def settings() -> Modifiers:
    nano = load("nano").modifiers
    return nano.model_copy(
        update={
            "cascade": CASCADE,
            "source": SOURCE,
            "questions": 16,
            "each": tuple(one for one in nano.each if one.name in NAMES),
        }
    )


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_a_cascade_is_billed_by_step_and_teacher_and_the_rest_is_projected(settings: Modifiers) -> None:
    known, covers, found = teachers(), coverage("reasoning"), failed({"order_of_five", "arithmetic"}, count=10)

    @flow
    def phase() -> tuple[Artifact, Artifact]:
        asked = fresh_questions(
            avoid=[],
            coverages=[covers],
            count=settings.questions,
            hard_share=settings.hard_share,
            source=SOURCE,
            teachers=known.only("questions"),
            seed=0,
        )
        mended = cascade(
            name="reasoning",
            failures=found,
            coverage=covers,
            roles=list(TIERS),
            settings=CASCADE,
            teachers=known.only(*TIERS),
            licenses=LICENSES,
        )
        show_modifiers_spending({"reasoning: questions": asked, "reasoning: answers": mended}, settings, known)
        return asked, mended

    asked, mended = phase()
    page = pages()
    told = rows(page.split("## This run")[0])
    journal = Journal(None)
    with journal.reading() as db:
        counted = {
            (role, teacher): count
            for role, teacher, count in db.execute(
                select(calls.c.role, calls.c.teacher, func.count()).group_by(calls.c.role, calls.c.teacher)
            )
        }
    journal.close()
    written = sum(count for (role, _), count in counted.items() if role == "questions")
    assert told["reasoning: questions"][0] == str(written) != "0"
    assert told["reasoning: answers"][0] == str(sum(counted.values()) - written)
    assert told["reasoning: questions"][2] == f"${store.manifest(asked).dollars:.4f}"
    assert told["reasoning: answers"][2] == f"${store.manifest(mended).dollars:.4f}"
    planned = together(mending(settings, "reasoning", covers, settings.questions * len(covers.domains), known))
    assert told["reasoning: answers"][1::2] == [str(round(planned.calls)), f"${planned.dollars:.4f}"]
    wrong = int(mended.metrics["rejected_wrong"])
    assert f"wrong {wrong}" in told["reasoning: answers"][-1]
    assert (
        sum(int(value) for name, value in mended.metrics.items() if name.startswith("rejected_"))
        == mended.metrics["calls"] - mended.metrics["solved"]
    )
    assert {"automation: questions", "automation: answers"} < set(told)
    assert float(told["automation: answers"][1].lstrip("$")) > 0
    ran = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in page.split("## This run")[1].split("## Account")[0].split("\n")
        if line.startswith("| ")
    ]
    assert {(role, teacher): int(new) for role, teacher, new, *_ in ran[1:-1]} == counted
    phase()
    assert "No teacher was asked: what is made came from the cache." in pages()
    assert rows(pages().split("## This run")[0]) == told, "figures of what is made stay the same"
