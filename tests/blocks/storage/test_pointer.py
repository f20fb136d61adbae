"""A pointer in a folder and on S3: moved as one, by several at once, through broken connections."""

import threading
from pathlib import Path

import pytest

from blocks import store
from blocks.records import Artifact
from blocks.storage import objects, pointer
from configs.errors import BadInput, Transient
from tasks.release.current import Overtaken, current, promote, releases, rollback
from tests import s3


@pytest.fixture(params=["folder", "s3"])
def where(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    if request.param == "folder":
        monkeypatch.setenv("COGUMI_STORE", str(tmp_path / "store"))
    else:
        address = request.getfixturevalue("moto")
        s3.use(monkeypatch, *address, s3.bucket(*address))
    return str(request.param)


on_s3 = pytest.mark.parametrize(
    "where", ["s3"], indirect=True
)  # a folder's lock covers everybody who moves the pointer


def add(content: bytes | None) -> bytes:
    return str(int(content or b"0") + 1).encode()


def test_it_holds_what_it_was_moved_to(where: str) -> None:
    assert pointer.read("count") is None
    pointer.move("count", add)
    pointer.move("count", add)
    assert pointer.read("count") == b"2"
    pointer.move("count", lambda content: None)
    assert pointer.read("count") == b"2"


@on_s3
def test_a_move_of_another_machine_in_between_is_not_lost(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another machine has no part in this one's lock; on S3 the put is refused and the change is made of what is there
    by then."""
    pointer.move("count", add)
    others = [b"10", b"20"]

    def change(content: bytes | None) -> bytes:
        if others:
            objects.write(pointer.place("count"), others.pop(0))
        return add(content)

    pointer.move("count", change)
    assert pointer.read("count") == b"21"
    with pytest.raises(Transient, match="is being changed all the time"):
        pointer.move(
            "count", lambda content: (objects.write(pointer.place("count"), (content or b"") + b"0"), b"mine")[1]
        )


@on_s3
def test_the_first_to_set_it_wins(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert objects.swap(pointer.place("count"), b"1", None)
    assert not objects.swap(pointer.place("count"), b"2", None)
    assert not objects.swap(pointer.place("count"), b"2", '"0123"')
    assert pointer.read("count") == b"1"


def test_several_at_once_are_all_counted(where: str) -> None:
    threads = [threading.Thread(target=lambda: [pointer.move("count", add) for _ in range(5)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pointer.read("count") == b"20"


@on_s3
def test_a_put_whose_answer_was_lost_is_not_made_twice(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a rollback would take itself back."""
    real = objects.swap
    monkeypatch.setattr(objects, "swap", lambda url, content, version: (real(url, content, version), False)[1])
    pointer.move("count", add)
    assert pointer.read("count") == b"1"


def test_releases_are_promoted_and_rolled_back_on_either(where: str) -> None:
    def made(name: str) -> Artifact:
        with store.create("release", settings={"name": name}) as folder:
            (folder.path / "base.gguf").write_text(name)
        return folder.artifact

    first, second = made("first"), made("second")
    promote(first, first, 3)
    promote(second, second, 3, compared_with=first.digest)
    with pytest.raises(Overtaken):
        promote(made("third"), first, 3, compared_with=first.digest)
    assert rollback().release == first
    assert current().release == first
    assert rollback().release == second
    assert [entry.release for entry in releases().entries] == [first, second]
    gone = f"{first.uri}/base.gguf"
    objects.remove(gone) if where == "s3" else Path(gone).unlink()
    with pytest.raises(BadInput, match="is not whole"):
        rollback()
