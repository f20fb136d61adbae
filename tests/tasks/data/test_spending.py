"""The page of the teachers in Prefect: what was made and paid, why rows were rejected, and what the rest will cost."""

import re
from decimal import Decimal

import pytest
from prefect import flow

from blocks import store
from blocks.records import Artifact
from tasks.data import spending
from tasks.data.estimate import estimate
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
    questions = made("questions", str(planned["questions"] * 2), calls=12, rejected_repeated=3, rejected_malformed=1, kept=96)
    validate = made("validate", str(planned["validate"] * 2), calls=96, kept=90, rejected_clarity=6)

    @flow
    def phase() -> None:
        spending.show_dataset_spending({"questions": questions, "validate": validate}, profile.data, profile.teachers)

    phase()
    page = pages()
    assert f"| questions | 12 | {planned['questions'] * 2:.4f} | {planned['questions']:.4f} | repeated 3, malformed 1 |" in page
    assert "| clarity 6 |" in page
    rest = dict(re.findall(r"^\| (answer_easy|answer_hard|judge) \| \d+ \| ([\d.]+) \|", page, re.MULTILINE))
    assert {role: Decimal(dollars) for role, dollars in rest.items()} == {role: (planned[role] * 2).quantize(spending.PLACES) for role in ("answer_easy", "answer_hard", "judge")}
    assert "## Account" in page, "the account over all runs stands below"


def test_equal_parts_that_wait_cost_what_the_parts_so_far_did() -> None:
    shown: list[str] = []
    paid = {"code: questions": made("a", "0.10", calls=5), "code: answers": made("b", "0.30"), "reasoning: questions": made("c", "0.20")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spending, "leave_page", lambda page, _: shown.append(page))
        spending.show_spending("modifiers", paid, ["automation"], small().teachers)
    assert "$0.6000 for what is made, about $0.3000 for the rest." in shown[0]
    assert "| automation |  | 0.3000 |  |" in shown[0]
    assert "| code: answers |  | 0.3000 |  |  |" in shown[0]
