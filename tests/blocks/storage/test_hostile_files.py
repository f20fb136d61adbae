"""Files, links and pipes that others put into a store: one clear line or made again, and what lies outside is not
touched."""

import os
import shutil
from pathlib import Path

import pytest

from blocks import store
from blocks.journal.lineage import Graph
from blocks.storage import pointer, remote
from configs.errors import BadInput, CogumiError, DamagedArtifact
from tests import s3
from tests.blocks.things import change, forget, leftovers, make, put


def test_an_artifact_holds_nothing_that_its_manifest_does_not_list(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.txt").write_text("hello")

    def more(folder: Path) -> None:
        (folder / "more.jsonl").write_text("{}")

    def hidden(folder: Path) -> None:
        (folder / "sub" / ".more").write_text("{}")

    def link(folder: Path) -> None:
        (folder / "sub" / "a.txt").unlink()
        (folder / "sub" / "a.txt").symlink_to(tmp_path / "outside" / "a.txt")

    def inner_link(folder: Path) -> None:
        (folder / "b.txt").symlink_to("sub/a.txt")

    def folder_link(folder: Path) -> None:
        shutil.rmtree(folder / "sub")
        (folder / "sub").symlink_to(tmp_path / "outside")

    def empty_folder_link(folder: Path) -> None:
        (folder / "more").symlink_to(tmp_path / "outside")

    def dangling(folder: Path) -> None:
        (folder / "more").symlink_to(tmp_path / "nothing")

    def pipe(folder: Path) -> None:
        (folder / "sub" / "a.txt").unlink()
        os.mkfifo(folder / "sub" / "a.txt")

    def folder_for_file(folder: Path) -> None:
        (folder / "sub" / "a.txt").unlink()
        (folder / "sub" / "a.txt").mkdir()

    def manifest_link(folder: Path) -> None:
        (folder / "manifest.json").rename(tmp_path / "outside" / "manifest.json")
        (folder / "manifest.json").symlink_to(tmp_path / "outside" / "manifest.json")

    def manifest_pipe(folder: Path) -> None:
        (folder / "manifest.json").unlink()
        os.mkfifo(folder / "manifest.json")

    def manifest_folder(folder: Path) -> None:
        (folder / "manifest.json").unlink()
        (folder / "manifest.json").mkdir()

    def whole_link(folder: Path) -> None:
        folder.rename(tmp_path / "outside" / "whole")
        folder.symlink_to(tmp_path / "outside" / "whole")

    def file_for_folder(folder: Path) -> None:
        shutil.rmtree(folder)
        folder.write_text("x")

    for attack in (more, hidden, link, inner_link, folder_link, empty_folder_link, dangling, pipe, folder_for_file,
        manifest_link, manifest_pipe, manifest_folder,
                   whole_link, file_for_folder):  # fmt: skip
        made = make()
        attack(Path(made.uri))
        for read in (store.open, store.is_there, store.verify):
            with pytest.raises(DamagedArtifact) as told:
                read(made)
            assert len(str(told.value).splitlines()) == 1
        assert make() == made, attack.__name__
        store.verify(made)
        assert (tmp_path / "outside" / "a.txt").read_text() == "hello", "what a link led to is not touched"
        shutil.rmtree(tmp_path / "outside" / "whole", ignore_errors=True)


@pytest.mark.parametrize("name", ["tmp", "locks", "thing"])
def test_nothing_is_written_or_swept_through_a_link_out_of_the_store(name: str, state: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "precious").mkdir(parents=True)
    os.utime(outside / "precious", (0, 0))
    (state / "store").mkdir(parents=True)
    (state / "store" / name).symlink_to(outside)
    with pytest.raises(BadInput, match=r"leads out of .*remove the link"):
        pointer.move("count", lambda content: b"1") if name == "locks" else make()
    assert list(outside.rglob("*")) == [outside / "precious"]


def test_a_link_among_the_work_in_progress_is_not_swept(state: Path, tmp_path: Path) -> None:
    (tmp_path / "precious" / "inner").mkdir(parents=True)
    os.utime(tmp_path / "precious", (0, 0))
    (state / "store" / "tmp").mkdir(parents=True)
    (state / "store" / "tmp" / "work").symlink_to(tmp_path / "precious")
    make()
    assert [path.name for path in (tmp_path / "precious").iterdir()] == ["inner"]


def test_a_link_in_an_artifact_in_the_making_is_told(state: Path, tmp_path: Path) -> None:
    def fail() -> None:
        with store.create("thing") as folder:
            (folder.path / "a").symlink_to(tmp_path)

    with pytest.raises(CogumiError, match="a is no plain file"):
        fail()
    assert leftovers() == []


def test_a_metric_that_is_no_number_is_told_where_it_is_made(state: Path) -> None:
    def fail(value: float) -> None:
        with store.create("thing") as folder:
            folder.metrics["loss"] = value

    for value in (float("nan"), float("inf")):
        with pytest.raises(CogumiError, match=r"thing: its metric loss is (nan|inf)"):
            fail(value)
    assert store.everything() == []


def test_lineage_reads_no_rows_that_the_manifest_does_not_cover(place: str, tmp_path: Path) -> None:
    made = make()
    graph = Graph()
    assert graph.read(made.digest, "sub/a.txt") == b"hello"
    for content in (b"hellO", b"hello, and much more", None):
        change(made, "sub/a.txt", content)
        assert graph.read(made.digest, "sub/a.txt") == b""


def test_the_same_made_again_keeps_the_account_that_references_hold(place: str) -> None:
    """Made a second time it took another time, or cost nothing any more; references to the first stay right."""
    first = make()
    with store.create("thing", settings={}) as folder:
        (folder.path / "sub").mkdir()
        (folder.path / "sub" / "a.txt").write_text("hello")
        folder.metrics["length"] = 7.0
    assert folder.artifact == first
    assert folder.artifact.account == first.account
    forget(first)
    assert store.manifest(first).metrics == {"length": 5.0}
    old = first.model_copy(update={"account": None})
    store.verify(old)


def test_a_copy_that_is_gone_is_not_sent_for_ever(
    moto: tuple[str, int], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.use(monkeypatch, *moto, s3.bucket(*moto))
    made = make()
    forget(made)
    put(str(state / "unsent" / f"{made.kind}-{made.digest}"), made.uri.encode())
    remote.send()
    assert not list((state / "unsent").glob("thing-*"))
    store.verify(made)
