"""The artifact store, as a folder and on S3: whole or not there, verified, content-addressed."""

import os
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from blocks import store
from blocks.storage import places
from configs.errors import BadInput, DamagedArtifact
from tests.blocks.things import change, forget, leftovers, make
from tests.small_disk import mounted


def test_an_artifact_reads_back_with_its_manifest(place: str) -> None:
    parent = make("parent")
    made = make("hello", (parent,), rate=3)
    forget(made)
    manifest = store.verify(made)
    assert (store.open(made) / "sub" / "a.txt").read_text() == "hello"
    assert manifest.parents == (parent.digest,)
    assert manifest.settings == {"rate": 3}
    assert made.bytes == 5
    assert made.uri.startswith(place)
    assert manifest.metrics == {"length": 5}
    assert manifest.peak_memory_bytes > 0
    assert leftovers() == []
    assert store.find(made.digest[:10]) == made
    assert {one.digest for one in store.everything()} == {parent.digest, made.digest}
    store.is_there(made)


def test_the_address_depends_on_content_settings_and_parents_only(place: str) -> None:
    assert make("a").digest == make("a").digest
    assert len({make("a").digest, make("b").digest, make("a", rate=1).digest, make("a", (make("b"),)).digest}) == 4


def test_a_flipped_byte_and_a_missing_file_are_noticed(place: str) -> None:
    made = make()
    change(made, "sub/a.txt", b"hellO")
    with pytest.raises(DamagedArtifact, match=r"a\.txt"):
        store.open(made)
    assert make().digest == made.digest, "a damaged artifact is replaced by the same one made again"
    change(made, "sub/a.txt", None)
    with pytest.raises(DamagedArtifact, match=r"missing|gone"):
        store.open(made)
    with pytest.raises(DamagedArtifact):
        store.is_there(made)
    assert make().digest == made.digest
    forget(made)
    store.verify(made)


def test_a_missing_or_broken_manifest_is_noticed(place: str) -> None:
    made = make()
    change(made, "manifest.json", b'{"kind": "th')
    with pytest.raises(DamagedArtifact, match="manifest"):
        store.open(made)
    change(made, "manifest.json", None)
    with pytest.raises(DamagedArtifact, match=r"manifest|gone"):
        store.is_there(made)
    assert store.everything() == []
    make()
    forget(made)
    store.verify(made)


def test_an_error_inside_leaves_nothing(place: str) -> None:
    def fail() -> None:
        with store.create("thing") as folder:
            (folder.path / "a").write_text("x")
            raise ValueError("halfway")

    with pytest.raises(ValueError, match="halfway"):
        fail()
    assert leftovers() == []
    assert store.everything() == []


def test_a_killed_maker_leaves_no_artifact_and_the_next_one_sweeps(place: str) -> None:
    code = """
        import os, signal
        from blocks import store
        with store.create("thing") as folder:
            (folder.path / "a").write_text("x")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=os.environ, check=False)
    assert done.returncode == -9
    assert len(leftovers()) == 1
    assert store.everything() == []
    make()
    assert leftovers() == []


def test_two_writers_of_the_same_artifact_leave_one_whole(place: str) -> None:
    text = "x" * 300_000
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: make(text), range(8)))
    assert len({one.digest for one in made}) == 1
    assert len(store.everything()) == 1
    forget(made[0])
    assert (store.open(made[0]) / "sub" / "a.txt").read_text() == text
    assert leftovers() == []


def test_a_reference_from_another_machine_is_found_here(place: str) -> None:
    made = make()
    foreign = made.model_copy(update={"uri": f"/mnt/elsewhere/store/{made.kind}/{made.digest}"})
    assert (store.open(foreign) / "sub" / "a.txt").read_text() == "hello"


def test_a_store_that_cannot_be_written_is_one_clear_line(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COGUMI_STORE", "/proc/nowhere")
    with pytest.raises(BadInput, match="cannot write to the artifact store"):
        make()


def test_a_full_disk_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mounted(tmp_path / "small", "64k"):
        monkeypatch.setenv("COGUMI_STORE", str(tmp_path / "small" / "store"))
        with pytest.raises(BadInput, match="No space left"):
            make("x" * 200_000)
        assert store.everything() == []
        assert list((tmp_path / "small" / "store" / "tmp").iterdir()) == []


def test_an_artifact_took_the_time_of_all_the_work_of_its_step(state: Path) -> None:
    """Most steps work before they write: judge stood in the report with 0.0 seconds."""
    with store.within_step("judge"):
        time.sleep(0.03)
        first = store.manifest(make("first"))
        time.sleep(0.05)
        second = store.manifest(make("second"))
    assert (first.step, second.step) == ("judge", "judge")
    assert first.seconds >= 0.03
    assert second.seconds >= 0.05
    assert store.manifest(make("outside")).step == ""


def test_a_reference_leads_to_where_the_store_lies_now(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make()
    moved = tmp_path / "moved"
    Path(places.location()).rename(moved)
    monkeypatch.setenv("COGUMI_STORE", str(moved))
    assert store.here(made).uri == f"{moved}/{made.kind}/{made.digest}"
    assert store.here(made).digest == made.digest
