"""The artifact store: whole or not there, verified, content-addressed."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from blocks import store
from blocks.errors import BadInput, DamagedArtifact
from blocks.records import Artifact


def make(text: str = "hello", parents: tuple[Artifact, ...] = (), **settings: object) -> Artifact:
    with store.create("thing", parents=parents, settings=settings) as folder:
        (folder.path / "sub").mkdir()
        (folder.path / "sub" / "a.txt").write_text(text)
        folder.metrics["length"] = len(text)
    return folder.artifact


def leftovers(home: Path) -> list[Path]:
    return list((home / "store" / "tmp").iterdir())


def test_an_artifact_reads_back_with_its_manifest(state: Path) -> None:
    parent = make("parent")
    made = make("hello", (parent,), rate=3)
    manifest = store.verify(made)
    assert (store.open(made) / "sub" / "a.txt").read_text() == "hello"
    assert manifest.parents == (parent.digest,)
    assert manifest.settings == {"rate": 3}
    assert made.bytes == 5
    assert manifest.metrics == {"length": 5}
    assert manifest.peak_memory_bytes > 0
    assert leftovers(state) == []
    assert store.find(made.digest[:10]) == made


def test_the_address_depends_on_content_settings_and_parents_only() -> None:
    assert make("a").digest == make("a").digest
    assert len({make("a").digest, make("b").digest, make("a", rate=1).digest, make("a", (make("b"),)).digest}) == 4


def test_a_flipped_byte_and_a_missing_file_are_noticed() -> None:
    made = make()
    path = Path(made.uri) / "sub" / "a.txt"
    path.write_text("hellO")
    with pytest.raises(DamagedArtifact, match=r"a\.txt"):
        store.open(made)
    path.unlink()
    with pytest.raises(DamagedArtifact, match="missing"):
        store.open(made)
    assert make().digest == made.digest, "a damaged artifact is replaced by the same one made again"
    store.verify(made)


def test_an_error_inside_leaves_nothing(state: Path) -> None:
    def fail() -> None:
        with store.create("thing") as folder:
            (folder.path / "a").write_text("x")
            raise ValueError("halfway")

    with pytest.raises(ValueError, match="halfway"):
        fail()
    assert leftovers(state) == []
    assert store.everything() == []


def test_a_killed_maker_leaves_no_artifact_and_the_next_one_sweeps(state: Path) -> None:
    code = """
        import os, signal
        from blocks import store
        with store.create("thing") as folder:
            (folder.path / "a").write_text("x")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=os.environ, check=False)
    assert done.returncode == -9
    assert len(leftovers(state)) == 1
    assert store.everything() == []
    make()
    assert leftovers(state) == []


def test_a_store_that_cannot_be_written_is_one_clear_line(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COGUMI_STORE", "/proc/nowhere")
    with pytest.raises(BadInput, match="cannot write to the artifact store"):
        make()


def test_a_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", mount], capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        os.environ["COGUMI_STORE"] = str(mount / "store")
        with pytest.raises(BadInput, match="No space left"):
            make("x" * 200_000)
        assert store.everything() == []
        assert list((mount / "store" / "tmp").iterdir()) == []
    finally:
        del os.environ["COGUMI_STORE"]
        subprocess.run(["umount", mount], check=True)
