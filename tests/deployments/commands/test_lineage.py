"""Lineage, both ways, on a dataset that teachers really wrote, against the journal's own figures."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from blocks import store
from blocks.journal import served
from blocks.journal.journal import FINAL, Journal, calls
from blocks.records import Answered, Artifact, CallRef
from configs.errors import BadInput
from deployments.commands import lineage_page
from deployments.commands.lineage import trace, trace_teacher
from tasks.release.current import promote
from tests.deployments.conftest import Asked


@pytest.fixture(autouse=True)
def here(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COGUMI_HOME", str(asked.home))


def made(kind: str, *parents: Artifact, **files: str) -> Artifact:
    with store.create(kind, parents=parents) as folder:
        for name, text in files.items():
            (folder.path / name.replace("_", ".")).write_text(text)
    return folder.artifact


def rows(dataset: Artifact) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(dataset.uri) / "train.jsonl").read_bytes().split(b"\n") if line]


@pytest.fixture(scope="module")
def release(asked: Asked) -> Artifact:
    """A release made of a model that learned the dataset, and promoted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COGUMI_HOME", str(asked.home))
        found = made("release", made("model", asked.dataset, weights="none"), text="a release")
        promote(found, made("report", found, text="its report"), keep=1)
    return found


def test_a_release_goes_back_to_every_call_and_cent(asked: Asked, release: Artifact) -> None:
    found = trace(release.digest[:12], forward=False)
    assert found.artifacts[-1].digest == release.digest
    assert found.artifacts[-1].current
    steps = [one.kind for one in found.artifacts]
    assert steps.index("plan") < steps.index("dataset") < steps.index("model") < steps.index("release")
    journal = Journal(None)
    with journal.reading() as db:
        query = (
            select(calls.c.teacher, func.count(), func.sum(calls.c.price))
            .where(calls.c.state.in_(FINAL))
            .group_by(calls.c.teacher)
        )
        paid = {row[0]: (row[1], Decimal(int(row[2])).scaleb(-9)) for row in db.execute(query)}
    journal.close()
    assert {one.teacher: (one.asked_calls, one.asked_dollars) for one in found.teachers} == paid
    learned = {call["call"] for row in [*rows(asked.dataset), *_validation(asked)] for call in row["lineage"]}
    assert sum(one.calls for one in found.teachers) == len(learned)
    assert sum(one.dollars for one in found.teachers) < sum(one.asked_dollars for one in found.teachers), (
        "what was dropped was paid for too"
    )


def _validation(asked: Asked) -> list[dict[str, Any]]:
    return [
        json.loads(line) for line in (Path(asked.dataset.uri) / "validation.jsonl").read_bytes().split(b"\n") if line
    ]


def test_a_row_goes_back_to_its_calls_with_tokens_and_date(asked: Asked) -> None:
    row = rows(asked.dataset)[0]
    found = trace(row["id"], forward=False)
    assert found.row is not None
    assert found.row["prompt"] == row["prompt"]
    assert [call.call for call in found.calls] == [call["call"] for call in row["lineage"]]
    assert {call.purpose for call in found.calls} >= {"write_questions", "validate", "judge"}
    assert sum(call.dollars for call in found.calls) == sum(Decimal(call["dollars"]) for call in row["lineage"])
    assert all(call.tokens_in and call.when and call.when.startswith("20") for call in found.calls)
    assert asked.dataset.digest in {one.digest for one in found.artifacts}


def test_a_row_and_a_call_go_forward_to_the_release(asked: Asked, release: Artifact) -> None:
    row = rows(asked.dataset)[0]
    for identity in (row["id"], row["lineage"][-1]["call"]):
        found = trace(identity, forward=True)
        direct = {one.digest for one in found.artifacts if one.rows}
        assert asked.dataset.digest in direct
        assert release.digest in {one.digest for one in found.artifacts} - direct
        assert [one.digest for one in found.artifacts if one.current] == [release.digest]
    assert release.digest in {one.digest for one in trace(asked.dataset.short, forward=True).artifacts}


def test_a_teacher_goes_forward_to_every_artifact_with_its_rows(asked: Asked, release: Artifact) -> None:
    found = trace_teacher("rehearsal-small")
    by_digest = {one.digest: one for one in found.artifacts}
    mine = [
        row
        for row in [*rows(asked.dataset), *_validation(asked)]
        if any(call["teacher"] == "rehearsal-small" for call in row["lineage"])
    ]
    assert by_digest[asked.dataset.digest].rows == len(mine) > 0
    assert by_digest[release.digest].current
    with pytest.raises(
        BadInput,
        match="no row here was made by teacher 'nobody'; there are: rehearsal-large, rehearsal-medium, rehearsal-small",
    ):
        trace_teacher("nobody")


def test_an_answer_goes_back_to_what_its_model_learned(asked: Asked, release: Artifact) -> None:
    answer = Answered(
        question="feedfacefeedface",
        domain="math",
        difficulty="easy",
        task_type="sum",
        prompt="1+1",
        text="2",
        correct=True,
        reason="",
        logprobs=(0.0,),
    )
    model = made("model", asked.dataset, weights="other")
    evaluation = made("evaluation", model, answers_jsonl=answer.model_dump_json() + "\n")
    found = trace("feedface", forward=False)
    assert [(one.evaluation, one.models, one.correct) for one in found.answers] == [
        (evaluation.digest, (model.short,), True)
    ]
    assert sum(one.calls for one in found.teachers) > 0
    line = served.Served(
        id="ab12" * 8,
        time=served.now(),
        release=release.digest,
        turn=1,
        prompt="hi",
        answer="ho",
        domain="math",
        choice="base",
        escalated=False,
        fallback=None,
        confidence=0.9,
        threshold=0.8,
        seconds=0.1,
    )
    served.append(line)
    back = trace("ab12", forward=False)
    assert back.what == "served answer"
    assert back.artifacts[-1].digest == release.digest
    assert back.teachers == trace(release.digest, forward=False).teachers


@pytest.mark.parametrize(
    ("identity", "said"),
    [
        ("zzzz", "nothing in .* begins with 'zzzz'"),
        ("", "give an id"),
        ("e", "is the beginning of .* and .* more; give more of it"),
        ("%", "nothing"),
        ("\udcff", "is no id"),
        ("a\nb", "is no id"),
    ],
)
def test_what_is_unknown_or_ambiguous_is_said(identity: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        trace(identity, forward=False)


def test_a_text_that_poses_as_a_call_is_no_call(asked: Asked) -> None:
    fake = CallRef(call="0" * 32, teacher="impostor", purpose="judge", dollars=Decimal(1)).model_dump_json()
    made("examples", train_jsonl=json.dumps({"id": "imp0stor", "prompt": f"[{fake}]", "lineage": []}) + "\n")
    with pytest.raises(BadInput, match="no row here was made by teacher 'impostor'"):
        trace_teacher("impostor")


def test_without_a_journal_rows_still_name_their_calls(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine that shares the store alone."""
    monkeypatch.setenv("COGUMI_HOME", str(tmp_path))
    monkeypatch.setenv("COGUMI_STORE", str(asked.home / "store"))
    row = rows(asked.dataset)[0]
    found = trace(row["id"], forward=False)
    assert [(call.call, call.tokens_in) for call in found.calls] == [(call["call"], None) for call in row["lineage"]]
    assert trace(row["lineage"][0]["call"], forward=False).calls[0].teacher == row["lineage"][0]["teacher"]
    assert not (tmp_path / "journal.db").exists()


def test_traces_are_shown_whole(asked: Asked, release: Artifact, capsys: pytest.CaptureFixture[str]) -> None:
    lineage_page.show(trace(release.digest, forward=False))
    shown = capsys.readouterr().out
    assert "current" in shown
    assert "rehearsal-large" in shown
    row = rows(asked.dataset)[0]
    lineage_page.show(trace(row["id"], forward=False))
    shown = capsys.readouterr().out
    assert all(call["call"] in shown for call in row["lineage"])
