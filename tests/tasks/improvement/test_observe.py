"""What is read of the serving log and of evaluations: judged, since the last time, about this release alone."""

import json

from blocks import store
from blocks.journal import served
from blocks.journal.served import Remark, Served
from blocks.records import Answered, Artifact, Question
from blocks.rehearsal import world
from tasks.improvement import read_mark as mark
from tasks.improvement.logged_questions import logged_questions
from tasks.improvement.moved_domains import clusters
from tasks.improvement.observe import Observed, observe, place, read_observed
from tests.tasks.improvement.test_moved_domains import COVERS, MOVING
from tests.tasks.modifiers.world import answers as answered

SINCE = "2026-11-20T00:00:00+00:00"
UNTIL = "2099-01-01T00:00:00.000000+00:00"


def artifact(kind: str, name: str = "x", parents: tuple[Artifact, ...] = ()) -> Artifact:
    with store.create(kind, settings={"name": name}, parents=parents) as folder:
        (folder.path / "file").write_text(name)
    return folder.artifact


def evaluation(router: Artifact, rows: list[Answered], name: str) -> Artifact:
    with store.create("evaluation", settings={"name": name}, parents=[router]) as folder:
        (folder.path / "answers.jsonl").write_text("".join(row.model_dump_json() + "\n" for row in rows))
        (folder.path / "choices.json").write_text(
            json.dumps({row.question: "code" if row.domain == "coding" else "base" for row in rows})
        )
    return folder.artifact


def line(prompt: str | None, answer: str | None, release: Artifact, number: int = 0, **changes: object) -> Served:
    given = {
        "id": f"a{number}",
        "time": f"2026-11-21T00:00:00.{number:06d}+00:00",
        "release": release.digest,
        "turn": 1,
        "prompt": prompt,
        "answer": answer,
        "domain": "math",
        "choice": "base",
        "escalated": False,
        "fallback": None,
        "confidence": 0.9,
        "threshold": 0.8,
        "seconds": 0.1,
    }
    return Served.model_validate(given | changes)


def questions(domain: str, count: int, split: world.Split = "train", seed: int = 0) -> list[Question]:
    return world.questions(domain, "easy", split, count, seed)  # type: ignore[arg-type]


def parts() -> tuple[Artifact, Artifact, Artifact]:
    release, router = artifact("release"), artifact("router")
    return release, router, evaluation(router, answered(questions("coding", 3, "held_out"), set()), "at release")


def look(
    release: Artifact, router: Artifact, routed: Artifact, read: dict[str, str] | None = None, until: str = UNTIL
) -> list[Observed]:
    return read_observed(
        observe.fn(release=release, router=router, routed=routed, since=SINCE, read=read or {}, until=until)
    )


def test_answers_are_judged_by_the_checker_where_the_world_knows_the_question() -> None:
    release, router, routed = parts()
    (question,) = questions("reading", 1)
    worked = world.worked(question.prompt)
    assert worked is not None
    served.append(line(question.prompt, worked.response, release, 1))
    served.append(line(question.prompt, "no idea", release, 2))
    served.append(line("How do you do?", "Well.", release, 3, escalated=True, confidence=0.2))
    served.append(line("Who are you?", "Me.", release, 4, escalated=True, fallback="it broke", confidence=0.2))
    served.append(Remark(answer="a3", time="2026-11-21T00:01:00.000000+00:00", good=False))
    served.append(line(None, None, release, 5))
    served.append(line(question.prompt, "no idea", artifact("release", "another"), 6))
    rows = look(release, router, routed)
    assert [(row.id, row.domain, row.right) for row in rows] == [
        ("a1", "reading", True),
        ("a2", "reading", False),
        ("a3", "math", False),
        ("a4", "math", None),
        ("a5", "math", None),
    ]
    assert [row.escalated for row in rows] == [False, False, True, False, False]
    assert [row.fallback for row in rows] == [False, False, False, True, False]
    assert [row.doubted for row in rows] == [False, False, True, True, False]
    assert rows[2].reason == "a person said so"


def test_evaluations_of_this_router_are_read_and_the_one_at_release_is_not() -> None:
    release, router, routed = parts()
    newer = answered(
        questions("coding", 4, "held_out", seed=3),
        {question.task_type for question in questions("coding", 4, "held_out", seed=3)},
    )
    evaluation(router, newer, "later")
    evaluation(artifact("router", "another"), newer, "of another")
    rows = look(release, router, routed)
    assert {row.source for row in rows} == {"evaluation"}
    assert len(rows) == 4
    assert not any(row.right for row in rows)
    assert all(row.escalated for row in rows)


def test_what_was_decided_on_is_not_read_again_and_the_rest_is() -> None:
    release, router, routed = parts()
    for number, question in enumerate([*questions("coding", 12), *questions("reading", 3)]):
        served.append(line(question.prompt, "no idea", release, number))
    before = mark.marker(release.digest)
    assert (before.read, before.nights) == ({}, 0)
    rows = look(release, router, routed, before.read)
    found = clusters(rows, COVERS, {}, {}, MOVING)
    assert [(one.domain, one.decided) for one in found] == [("coding", True), ("reading", False)]
    until = "2026-11-21T12:00:00.000000+00:00"
    mark.move(before, found, until)
    after = mark.marker(release.digest)
    assert after.read == {place("serving", "coding"): until}
    assert after.nights == 1
    assert [row.domain for row in look(release, router, routed, after.read)] == ["reading"] * 3, (
        "too few: they wait for more"
    )
    assert mark.marker("another release").read == {}
    assert mark.marker("another release").nights == 1


def test_what_is_served_while_the_night_runs_is_the_next_nights() -> None:
    release, router, routed = parts()
    served.append(line(questions("reading", 1)[0].prompt, "no idea", release, 1))
    served.append(line(questions("reading", 1)[0].prompt, "no idea", release, 9))
    assert len(look(release, router, routed, until="2026-11-21T00:00:00.000005+00:00")) == 1


def test_failures_become_questions_once_and_held_out_ones_never() -> None:
    release, router, routed = parts()
    learnable, unseen = questions("coding", 6), questions("coding", 3, "held_out", seed=1)
    tested = learnable[0]
    for number, question in enumerate([*learnable, *learnable, *unseen, *questions("reading", 2)]):
        served.append(line(f" {question.prompt}\n", "no idea", release, number))
    worked = world.worked(learnable[1].prompt)
    assert worked is not None
    served.append(line(questions("coding", 7)[6].prompt, "def wrong(): pass", release, 900, domain="reading"))
    with store.create("questions", settings={"name": "test"}) as folder:
        (folder.path / "questions.jsonl").write_text(tested.model_dump_json() + "\n")
    seen = observe.fn(release=release, router=router, routed=routed, since=SINCE, read={}, until=UNTIL)
    made = logged_questions.fn(seen, ["coding"], [folder.artifact], 100, 0)
    rows = [
        Question.model_validate_json(row)
        for row in (store.open(made) / "questions.jsonl").read_text().split("\n")
        if row
    ]
    assert {row.prompt for row in rows} == {question.prompt for question in [*learnable[1:], questions("coding", 7)[6]]}
    assert made.metrics["kept_out"] == 5, "three of the held-out split, and the test question twice"
    fewer = logged_questions.fn(seen, ["coding"], [folder.artifact], 2, 0)
    assert fewer.metrics["questions"] == 2
    assert logged_questions.fn(seen, ["coding"], [folder.artifact], 2, 0) == fewer
