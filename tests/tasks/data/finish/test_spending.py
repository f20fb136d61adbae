"""The page of the dataset phase's teachers: every role stands on it, what is made with its figures, the rest with its
plan."""

from decimal import Decimal

import pytest
from prefect import flow

from blocks import store
from blocks.records import Artifact
from tasks.data.estimate import estimate
from tasks.data.finish import spending
from tests.blocks.teachers.paying.test_bill import rows
from tests.blocks.teachers.test_prefect import pages
from tests.tasks.data.conftest import small


def made(role: str, dollars: str, **metrics: float) -> Artifact:
    with store.create("examples", settings={"role": role}) as folder:
        folder.dollars = Decimal(dollars)
        folder.metrics |= metrics
    return folder.artifact


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_the_page_of_the_dataset_tells_rejects_and_projects_the_rest() -> None:
    profile = small()
    planned: dict[str, Decimal] = {}
    for asked in estimate(profile.data, profile.teachers).asked:
        planned[asked.role] = planned.get(asked.role, Decimal(0)) + asked.dollars
    assert min(planned.values()) > 0
    questions = made(
        "questions", str(planned["questions"] * 2), calls=12, rejected_repeated=3, rejected_malformed=1, kept=96
    )
    validate = made("validate", str(planned["validate"] * 2), calls=96, kept=90, rejected_clarity=6)

    @flow
    def phase() -> None:
        spending.show_dataset_spending({"questions": questions, "validate": validate}, profile.data, profile.teachers)

    phase()
    page = pages()
    found = rows(page)
    assert found["questions"][0] == "12"
    assert found["questions"][2:] == [
        f"${planned['questions'] * 2:.4f}",
        f"${planned['questions']:.4f}",
        "repeated 3, malformed 1",
    ]
    assert found["validate"][-1] == "clarity 6"
    assert {role: found[role][1] for role in ("answer_easy", "answer_hard", "judge")} == {
        role: f"${planned[role] * 2:.4f}" for role in ("answer_easy", "answer_hard", "judge")
    }
    assert page.index("## This run") < page.index("## Account"), "the account over all runs stands below"
