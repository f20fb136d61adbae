"""``cogumi releases`` and ``cogumi rollback`` as a person meets them."""

import getpass
import socket
import time
from pathlib import Path

import pytest

from blocks import store
from blocks.journal import history
from blocks.journal.journal import Journal
from blocks.records import Artifact
from tasks.release.current import current, promote
from tests.deployments.test_start import cogumi


def made(name: str, kind: str = "release") -> Artifact:
    with store.create(kind, settings={"name": name}) as folder:
        (folder.path / "base.gguf").write_text(name)
    return folder.artifact


def test_back_and_back_again(state: Path) -> None:
    first, second = made("first"), made("second")
    for release in (first, second):
        promote(release, made("report", "report"), 3)
    assert [line[:14] for line in cogumi("releases", home=state).stdout.split("\n") if line] == [
        f"  {first.digest[:12]}",
        f"* {second.digest[:12]}",
    ]
    assert f"current  {first.digest[:12]}  in place of {second.digest[:12]}" in cogumi("rollback", home=state).stdout
    assert current().release == first
    assert "rolled back, in place of" in cogumi("releases", home=state).stdout
    assert cogumi("rollback", second.digest[:9], home=state).returncode == 0
    assert current().release == second


def test_a_rollback_stands_in_the_history_and_in_the_metrics_as_nobodys_run(state: Path) -> None:
    first, second = made("first"), made("second")
    for release in (first, second):
        promote(release, made("report", "report"), 3)
    assert history.read() == [], "what is promoted outside of runs is nobody's history"
    before = time.time()
    cogumi("rollback", home=state)
    (row,) = history.read()
    assert (row.what, row.name, row.outcome, row.run) == ("release", first.short, "rolled back", "")
    assert before <= row.at <= time.time()
    assert row.detail == {
        "release": first.digest,
        "report": current().report.digest,
        "replaced": second.digest,
        "who": f"{getpass.getuser()}@{socket.gethostname()}",
    }
    assert history.last_run() is None, "a rollback is no run that could be reported"
    assert 'cogumi_releases_total{outcome="rolled back"} 1.0' in cogumi("metrics", "--once", home=state).stdout
    refused = cogumi("rollback", first.digest, home=state)
    assert refused.returncode == 2
    assert len(history.read()) == 1, "what was refused is not noted"


def test_a_journal_that_is_held_delays_no_rollback_and_leaves_no_half_row(state: Path) -> None:
    first, second = made("first"), made("second")
    for release in (first, second):
        promote(release, made("report", "report"), 3)
    cogumi("rollback", home=state)
    journal = Journal(None)
    with journal.writing():
        done = cogumi("rollback", home=state)
        assert (done.returncode, current().release) == (0, second)
        assert "may not be noted" in done.stderr
    journal.close()
    assert [row.name for row in history.read()] == [first.short]
    assert cogumi("rollback", home=state).returncode == 0
    assert [row.name for row in history.read()] == [first.short, first.short]


NONE = "there is no release here yet"


@pytest.mark.parametrize(
    ("arguments", "said"), [(["rollback"], NONE), (["nightly"], NONE), (["rollback", "abc"], "no release 'abc'")]
)
def test_without_a_release_it_is_one_clear_line(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = cogumi(*arguments, home=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.strip().split("\n")) == 1
