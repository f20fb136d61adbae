"""The login of a server: made where none is named, its owner's only, the environment's first; and who can read the rest
of the state folder."""

import os
import stat
from pathlib import Path

import pytest

from blocks.journal import served
from blocks.journal.journal import Journal
from blocks.storage.home import home
from configs.errors import BadInput
from deployments.up.orphans import remember
from deployments.up.processes import start, stop
from deployments.up.servers import login
from deployments.up.state_file import note, only_one


@pytest.fixture(autouse=True)
def unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a person's environment is at first."""
    for name in (login.SERVER, login.CLIENT):
        monkeypatch.delenv(name, raising=False)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_one_is_made_once_and_for_its_owner_only() -> None:
    made = login.made()
    user, _, password = made.partition(":")
    assert (user, len(password)) == ("cogumi", 32)
    assert login.made() == made == login.kept()
    assert mode(login.file()) == 0o600
    assert login.random() != login.random()


def test_one_that_others_could_read_or_that_is_torn_is_mended() -> None:
    made = login.made()
    login.file().chmod(0o644)
    assert login.made() == made
    assert mode(login.file()) == 0o600
    login.file().write_text("")
    assert login.made() != made


@pytest.mark.parametrize("name", [login.SERVER, login.CLIENT])
def test_the_environments_wins_and_none_is_made(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "me:secret")
    assert login.made() == "me:secret"
    assert not login.file().exists()
    monkeypatch.setenv(login.SERVER, "me:secret")
    monkeypatch.setenv(login.CLIENT, "")
    assert login.given() == "me:secret", "set to nothing is not set"


@pytest.mark.parametrize("value", ["me", ":secret", "me:", "me:se cret", "mé:secret", "me:secret\n", "me:sec\x1bret"])
def test_what_is_no_login_is_told_and_not_repeated(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(login.CLIENT, value)
    with pytest.raises(BadInput, match="PREFECT_API_AUTH_STRING is no login; write user:password") as told:
        login.made()
    assert "secret" not in str(told.value)


def test_two_that_differ_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(login.SERVER, "me:one")
    monkeypatch.setenv(login.CLIENT, "me:two")
    with pytest.raises(BadInput, match="differ, so nothing could log in here") as told:
        login.given()
    assert "me:" not in str(told.value)


def test_what_is_made_in_the_state_folder_is_its_owners_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        login.made()
        note("mark", "http://127.0.0.1:1/api", None)
        with only_one():
            pass
        remember("cpu-here")
        stop([start("part", ["-c", "pass"], os.environ)])
        Journal(None).close()
        served.append(served.Remark(answer="a", time=served.now(), good=True))
        (shared := tmp_path / "shared").mkdir()
        monkeypatch.setenv("COGUMI_SERVED", str(shared))
        served.append(served.Remark(answer="a", time=served.now(), good=True))
        monkeypatch.setenv("COGUMI_JOURNAL", f"sqlite:///{shared}/journal.db")
        Journal(None).close()
    finally:
        os.umask(before)
    assert mode(home()) == 0o700
    made = [path for path in home().rglob("*") if path.is_file()]
    assert {path.name for path in made} >= {"login", "up.json", "up.lock", "part.log", "cpu-here", "journal.db"}
    assert [path for path in made if mode(path) != 0o600] == []
    assert {mode(path) for path in shared.iterdir()} == {0o644}, "what a person shares keeps that person's umask"


def test_what_an_older_version_left_open_is_closed() -> None:
    for name in ("journal.db", "logs/part.log"):
        path = home() / name
        path.parent.mkdir(exist_ok=True)
        path.touch(0o644)
        path.chmod(0o644)
    Journal(None).close()
    stop([start("part", ["-c", "pass"], os.environ)])
    assert mode(home() / "journal.db") == mode(home() / "logs" / "part.log") == 0o600
