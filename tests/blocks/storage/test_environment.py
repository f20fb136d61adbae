"""Environment variables that say something odd: one clear line, no password, nothing written in a surprising place."""

import json
import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from blocks import store
from blocks.journal.journal import Journal
from blocks.journal.lineage import Graph
from blocks.records import Artifact
from blocks.storage import folders, objects, places, pointer, remote
from blocks.storage.home import home
from configs.errors import BadInput, CogumiError, DamagedArtifact, Transient
from tasks.release.current import promote, releases, rollback
from tests import s3
from tests.places import ROOT


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_process_that_runs_tests_has_a_prefect_of_its_own() -> None:
    mine = f"cogumi-tests-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}-"
    assert mine in os.environ["PREFECT_HOME"]
    assert mine in os.environ["PREFECT_RESULTS_LOCAL_STORAGE_PATH"]


def test_an_empty_home_is_the_default_and_not_the_current_folder(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COGUMI_HOME", "")
    assert home() == elsewhere / ".cogumi"


def test_an_unknown_user_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, read in (("COGUMI_HOME", home), ("COGUMI_STORE", places.location)):
        with monkeypatch.context() as patch:
            patch.setenv(variable, "~nobodyofthisname/x")
            with pytest.raises(BadInput, match=f"{variable} '~nobodyofthisname/x' begins with a user who is not known"):
                read()


@pytest.mark.parametrize("store_", ["s3://", "s3:///prefix", "file://"])
def test_a_store_without_bucket_or_folder_is_refused(store_: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COGUMI_STORE", store_)
    with pytest.raises(BadInput, match=r"COGUMI_STORE .* names no"):
        places.location()


def test_a_password_in_the_store_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COGUMI_STORE", "sftp://me:verysecret@host/store")
    with pytest.raises(BadInput, match="contains a password") as told:
        places.location()
    assert "verysecret" not in str(told.value)
    monkeypatch.setenv("COGUMI_STORE", "abfs://container@account.dfs.core.windows.net/x/")
    assert places.location() == "abfs://container@account.dfs.core.windows.net/x"


@pytest.mark.parametrize("place", ["cloud://x/y", "github://a/b"])
def test_a_store_that_no_driver_takes_is_one_clear_line_at_once(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COGUMI_STORE", place)
    for read in (releases, Graph, store.everything):
        with pytest.raises(BadInput, match="see COGUMI_STORE"):
            read()


def test_a_store_that_cannot_be_reached_is_one_clear_line_in_lineage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "PATIENCE", 0.0)
    s3.use(monkeypatch, "127.0.0.1", 9, "s3://bucket/store")
    with pytest.raises(Transient, match="cannot reach s3://bucket/store"):
        Graph()


def test_a_file_in_place_of_the_store_is_one_clear_line(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (elsewhere / "afile").touch()
    monkeypatch.setenv("COGUMI_STORE", str(elsewhere / "afile"))
    with pytest.raises(BadInput, match=r"cannot read .*afile/releases.json: Not a directory; see COGUMI_STORE"):
        pointer.read("releases.json")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql+psycopg://me:verysecret@h:port/d", "is not a database URL"),
        ("postgresql+psycopg://me:verysecret@[::1/d", "is not a database URL"),
        ("me:verysecret@h/d", "is not a database URL"),
        ("postgresql+asyncpg://me:verysecret@h/d", "not asynchronous"),
        ("sqlite+aiosqlite:////tmp/x.db", "not asynchronous"),
        ("mysql://me:verysecret@h/d", "in SQLite or in PostgreSQL"),
        ("sqlite://", "forgets what was paid for"),
        ("sqlite:///:memory:", "forgets what was paid for"),
        ("postgresql+psycopg://me@127.0.0.1:9/d?password=verysecret", "refused"),
    ],
)
def test_a_journal_that_cannot_be_is_one_line_that_names_the_variable_and_no_password(
    url: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COGUMI_JOURNAL", url)
    with pytest.raises(CogumiError, match=said) as told:
        Journal(None)
    assert "verysecret" not in str(told.value)
    assert "COGUMI_JOURNAL" in str(told.value) or isinstance(told.value, Transient)
    assert "\n" not in str(told.value)


def a_release(name: str) -> Artifact:
    with store.create("release", settings={"name": name}) as folder:
        (folder.path / "base.gguf").write_text(name)
    return folder.artifact


def change(path: Path, **fields: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_what_a_newer_version_made_is_not_called_damaged_nor_made_again() -> None:
    made = a_release("a")
    change(Path(made.uri) / folders.MANIFEST, carbon_grams=3)
    for read in (
        lambda: store.open(made),
        Graph,
        store.everything,
        lambda: remote.manifest_of((Path(made.uri) / folders.MANIFEST).read_bytes(), made.uri),
    ):
        with pytest.raises(
            BadInput, match=r"made by a newer version of Cogumi \(its manifest.json has carbon_grams\); update this one"
        ) as told:
            read()
        assert not isinstance(told.value, DamagedArtifact), "what is damaged is made again"


def test_a_list_of_releases_of_a_newer_version_is_not_called_damaged() -> None:
    promote(a_release("a"), a_release("report"), 3)
    change(Path(pointer.place("releases.json")), canary="x")
    with pytest.raises(BadInput, match=r"written by a newer version of Cogumi \(it has canary\)"):
        releases()


def test_a_damaged_manifest_is_one_clear_line_in_lineage() -> None:
    made = a_release("a")
    (Path(made.uri) / folders.MANIFEST).write_bytes(b"\xff{")
    with pytest.raises(DamagedArtifact, match=r"no readable manifest.json"):
        Graph()


def test_a_home_that_was_moved_still_rolls_back(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = a_release("a"), a_release("b")
    for one in (first, second):
        promote(one, a_release("report"), 3)
    moved = state.rename(state.with_name("moved [home] *"))
    monkeypatch.setenv("COGUMI_HOME", str(moved))
    assert rollback().release == first
    assert set(Graph().manifests) >= {first.digest, second.digest}
    (moved / "store" / "release" / second.digest / folders.MANIFEST).write_text("{")
    with pytest.raises(BadInput, match="is not whole"):
        rollback()


def test_the_beginning_of_two_releases_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ab":
        promote(a_release(name), a_release("report"), 3)
    with pytest.raises(
        BadInput, match=r"'release-' is the beginning of release-\w{12}, release-\w{12}; give more of it"
    ):
        rollback("release-")


def test_two_that_open_a_new_journal_at_once_both_get_it(tmp_path: Path) -> None:
    def opened(number: int) -> None:
        Journal(f"sqlite:///{tmp_path / str(number // 2)}.db").close()

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(opened, range(2 * 150)))


ODD = "a?b#c%20d e'f\"g é$h{i}[j]*&k=l;m"


def test_a_home_of_any_letters_holds_its_own_journal_store_and_pointer(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        ODD,
        *(f"x{letter}y" for letter in "?#%&=;+:@[]*'\"\\ ~$é"),
        "?",
        "#",
        "%3F",
        "file:x?mode=memory",
        "?mode=memory&uri=true",
    ):
        monkeypatch.setenv("COGUMI_HOME", str(elsewhere / "homes" / name))
        Journal(None).close()
        promote(a_release("a"), a_release("report"), 3)
        assert {"journal.db", "store"} <= {path.name for path in (elsewhere / "homes" / name).iterdir()}
        assert releases().entries[-1].release == a_release("a")
        assert set(Graph().manifests) == {a_release("a").digest, a_release("report").digest}
    assert {path.name for path in elsewhere.iterdir()} == {"homes"}
    assert len(list((elsewhere / "homes").iterdir())) == len(
        {path.parent for path in (elsewhere / "homes").glob("*/journal.db")}
    )


@pytest.mark.parametrize("name", [ODD, "plain"])
def test_prefect_keeps_its_database_in_a_home_of_any_letters(name: str, elsewhere: Path) -> None:
    """As a process finds it that begins with nothing but the variable."""
    code = """
        from blocks.storage.home import configure_prefect, home
        configure_prefect()
        (home() / "prefect").mkdir()
        import asyncio
        from prefect.settings import get_current_settings
        from sqlalchemy import text
        from sqlalchemy.ext.asyncio import create_async_engine
        url = get_current_settings().server.database.connection_url.get_secret_value()
        async def write():
            async with create_async_engine(url).begin() as db:
                await db.execute(text("create table rows (number int)"))
        asyncio.run(write())
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "COGUMI_"))}
    environment |= {"COGUMI_HOME": str(elsewhere / name), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (elsewhere / name / "prefect" / "prefect.db").stat().st_size > 0
    assert {path.name for path in elsewhere.iterdir()} == {name}


def test_a_home_that_cannot_be_shown_is_one_clear_line(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, read in (("COGUMI_HOME", home), ("COGUMI_STORE", places.location)):
        for name in ("a\nb", "\x1b[2J", "a\udcffb", "\u202eb"):
            with monkeypatch.context() as patch:
                patch.setenv(variable, str(elsewhere / name))
                with pytest.raises(
                    BadInput, match=rf"^{variable}: .* has a character that cannot be shown; name another folder$"
                ):
                    read()
    assert not list(elsewhere.iterdir())
