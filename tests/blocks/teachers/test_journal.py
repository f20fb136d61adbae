"""The journal's database: clear errors, PostgreSQL, group commit, secrets, and the summary."""

import logging
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from blocks.journal.journal import Journal
from blocks.teachers.calling.ask import ask, dollars
from blocks.teachers.reporting.summary import markdown, summary
from configs.errors import BadInput
from tests.blocks.teachers.conftest import requests, settings, teacher
from tests.blocks.teachers.server import KEY, Running
from tests.blocks.teachers.workers import asking, code
from tests.postgres import running as postgresql
from tests.small_disk import mounted


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("not a url", "teachers.journal is not a database URL"),
        ("nosuch://x/y", "its driver is not installed"),
        ("sqlite:////nowhere/at/all/journal.db", "cannot use the journal sqlite:////nowhere"),
        ("postgresql+psycopg://me:verysecret@127.0.0.1:9/x", r"postgresql\+psycopg://me:\*\*\*@"),
    ],
)
def test_a_database_that_cannot_be_used_is_one_clear_line(url: str, line: str) -> None:
    pytest.importorskip("psycopg", reason="the PostgreSQL driver is not installed")
    with pytest.raises(Exception, match=line) as error:
        Journal(url)
    assert "verysecret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_database_is_told(state: Path) -> None:
    state.mkdir(parents=True)
    (state / "journal.db").write_text("something else " * 100)
    with pytest.raises(BadInput, match="file is not a database"):
        Journal(None)


def test_the_environment_names_the_journal(tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COGUMI_JOURNAL", f"sqlite:///{tmp_path / 'other.db'}")
    Journal(None).close()
    assert (tmp_path / "other.db").exists()
    assert not (state / "journal.db").exists()


def test_no_key_is_in_anything_written(
    server: Running, state: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The server repeats the key in its error messages, as some providers do."""
    caplog.set_level(logging.DEBUG)
    server.plan(shares={"500": 0.3, "cut": 0.2}, modes={"strict": "400"}, code={"400": "string_above_max_length"})
    teachers = settings(teacher(server.url), teacher(server.url, "strict"))
    ask(requests(30), "questions", teachers)
    strict = settings(teacher(server.url, "strict"))
    (refused,) = ask(requests(1), "questions", strict)
    server.plan(modes={"m2": "404"})
    with pytest.raises(BadInput) as error:
        ask(requests(1), "questions", settings(teacher(server.url, "m2")))
    said = [
        caplog.text,
        str(error.value),
        str(refused),
        markdown(summary(teachers)),
        str(strict),
        strict.model_dump_json(),
    ]
    assert "made to fail" in said[1] + said[2], "the messages themselves were kept"
    written = [path.read_bytes() for path in state.rglob("*") if path.is_file()]
    assert written
    for text in [*(line.encode() for line in said), *written]:
        assert KEY.encode() not in text


def test_the_summary_tells_what_happened(server: Running) -> None:
    server.plan(shares={"500": 0.3}, modes={"strict": "400"}, code={"400": "string_above_max_length"})
    teachers = settings(teacher(server.url, "strict"), teacher(server.url))
    answers = ask(requests(20), "questions", teachers)
    ask(requests(20), "questions", teachers)
    strict, m = summary(teachers)
    assert (strict.teacher, strict.calls, strict.spent) == ("t0", 20, 0)
    assert list(strict.rejects.values()) == [20]
    assert (m.calls, m.journal_hits, m.lost, m.rejects, m.reserved) == (20, 20, 0, {}, 0)
    assert m.retries == server.counts()["statuses"]["500"]
    assert m.spent == dollars(answers)
    table = markdown(summary(teachers))
    assert "| t1 | 20 | 20 |" in table
    assert "bad request" in table


def test_many_calls_share_a_transaction(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    server.plan(latency_s=0.02)
    written: list[int] = []
    from blocks.teachers.paying import claims, writer

    def counted(journal: Journal, operations: list[claims.Operation]) -> list[claims.Result]:
        written.append(len(operations))
        return claims.apply(journal, operations)

    monkeypatch.setattr(writer, "apply", counted)
    ask(requests(200), "questions", settings(teacher(server.url), concurrency=64))
    assert sum(written) == 400, "an intent and an end for each"
    assert len(written) < 200


def test_a_full_disk_is_one_clear_line_and_keeps_what_was_answered(server: Running, tmp_path: Path) -> None:
    disk = tmp_path / "small"
    with mounted(disk, "250k") as grow:
        teachers = settings(teacher(server.url), journal=f"sqlite:///{disk}/journal.db")
        with pytest.raises(BadInput, match="disk is full"):
            ask(requests(500), "questions", teachers)
        tries = server.counts()["tries"]
        assert 0 < len(tries) < 500
        grow("20m")
        ask(requests(500), "questions", teachers)
        again = server.counts()["tries"]
        assert len(again) == 500
        assert sum(again.values()) - 500 <= 16, "only what was in flight when the disk was full"


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgresql() as url:
        yield url


def test_postgresql_serves_several_processes_under_one_cap(server: Running, postgres: str) -> None:
    cost = dollars(ask(requests(1), "questions", settings(teacher(server.url), journal=postgres)))
    cap = cost * 90
    running = [asking(server.url, 120, start=start, cap=cap, journal=postgres) for start in (1000, 2000)]
    assert [code(process) for process in running] == [4, 4]
    spent = Decimal(server.counts()["nano"]).scaleb(-9)
    assert cap * Decimal("0.9") < spent <= cap
    (told,) = summary(settings(teacher(server.url), journal=postgres))
    assert (told.spent, told.reserved) == (spent, 0)


def test_postgresql_survives_a_kill_and_shares_answers(server: Running, postgres: str) -> None:
    server.reset()
    server.plan(latency_s=0.05, shares={"twice": 0.1, "cut": 0.1})
    process = asking(server.url, 100, start=5000, journal=postgres)
    while len(server.counts()["tries"]) < 30:
        time.sleep(0.01)
    process.kill()
    process.join()
    running = [asking(server.url, 100, start=5000, journal=postgres) for _ in range(2)]
    assert [code(process) for process in running] == [0, 0]
    counts = server.counts()
    assert len(counts["tries"]) == 100
    again = sum(counts["tries"].values()) - 100
    assert again <= 16 + counts["statuses"].get("cut", 0), "only what was in flight at the kill, and what was cut"
