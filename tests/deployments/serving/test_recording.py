"""What is written down of an answer: as much as the release allows, and never at the price of the answer."""

from pathlib import Path

import pytest

from blocks import store
from blocks.journal import served
from blocks.journal.served import Remark, Served
from blocks.models.sections import Sections
from blocks.models.template import Message
from blocks.records import Artifact, Interval
from deployments.serving.recording import Recorder
from deployments.serving.responder import Reply
from tasks.release.contents import Description
from tasks.routing.decide import Decision

SURE = Interval(mean=0.5, low=0.4, high=0.6, n=10)
ASKED = [
    Message(role="user", content="One?"),
    Message(role="assistant", content="1"),
    Message(role="user", content="Two? \ud800"),
]


def described(**changes: object) -> Description:
    given = {
        "title": "t",
        "profile": "nano",
        "context_tokens": 64,
        "answer_tokens": 8,
        "parameters": 1,
        "modifiers": {},
        "exact_match_base": SURE,
        "exact_match_routed": SURE,
        "routed_minus_base": SURE,
    }
    return Description.model_validate(given | changes)


def reply(choice: str = "code", fallback: str | None = None) -> Reply:
    decision = Decision(choice=choice, confidence=0.25, threshold=0.8, domain="coding", reason="because")
    return Reply(
        sections=Sections(draft="d", thinking=None, response="2"),
        decision=decision,
        seconds=0.123456,
        fallback=fallback,
    )


@pytest.fixture
def release() -> Artifact:
    with store.create("release") as folder:
        (folder.path / "file").write_text("x")
    return folder.artifact


def lines() -> list[Served | Remark]:
    return list(served.read("", "9999"))


def test_a_full_log_holds_question_answer_and_decision(release: Artifact) -> None:
    recorder = Recorder(release, described(log="full"))
    answer = recorder.answer(ASKED, reply())
    assert answer is not None
    assert recorder.remark(answer, good=False)
    first, second = lines()
    assert isinstance(first, Served)
    assert (first.prompt, first.answer, first.turn, first.release) == ("Two? ?", "2", 2, release.digest)
    assert (first.choice, first.escalated, first.fallback, first.confidence, first.domain, first.seconds) == (
        "code",
        True,
        None,
        0.25,
        "coding",
        0.1235,
    )
    assert isinstance(second, Remark)
    assert (second.answer, second.good) == (first.id, False)


def test_numbers_without_text_where_the_release_says_so_and_by_default(release: Artifact) -> None:
    Recorder(release, described(log="numbers")).answer(ASKED, reply("base"))
    Recorder(release, described()).answer(ASKED, reply())
    assert [(line.prompt, line.answer, line.escalated) for line in lines() if isinstance(line, Served)] == [
        (None, None, False),
        (None, None, True),
    ]
    assert "Two" not in "".join(path.read_text() for path in served.folder().iterdir())


def test_nothing_where_the_log_is_off(release: Artifact) -> None:
    assert Recorder(release, described(log="off")).answer(ASKED, reply()) is None
    assert lines() == []


def test_a_fallback_says_who_answered_and_why(release: Artifact) -> None:
    broken = reply(fallback="llama.cpp: it broke")
    Recorder(release, described(log="full")).answer(ASKED, broken)
    (line,) = lines()
    assert isinstance(line, Served)
    assert (line.choice, line.escalated, line.fallback) == ("base", True, "llama.cpp: it broke")
    assert "the base answered after all: llama.cpp: it broke" in broken.why


def test_a_log_that_cannot_be_written_stops_no_answer(
    release: Artifact, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setenv("COGUMI_SERVED", "/proc/served")
    recorder = Recorder(release, described(log="full"))
    assert recorder.answer(ASKED, reply()) is None
    assert recorder.remark("x", good=True) is False
    assert "set COGUMI_SERVED to a writable folder" in caplog.text
