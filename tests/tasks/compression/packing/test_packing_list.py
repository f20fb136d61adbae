"""A packed folder from a stranger: one refusal each, nothing written, nothing allocated that is only declared."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from blocks import store
from blocks.models import packing_list
from blocks.models.unpacking import unpack_to
from blocks.records import Artifact
from configs.errors import BadInput, DamagedArtifact
from configs.phases.compression import Packing
from tasks.compression.packing.zstd import pack, unpack

LEVEL = Packing(level=3, dictionary_kb=0, byte_planes=True, threads=1)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small GGUF, packed."""
    from gguf import GGUFWriter
    from numpy import arange, float32

    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("COGUMI_STORE", str(tmp_path_factory.mktemp("packed")))
    with store.create("gguf") as made:
        writer = GGUFWriter(made.path / "model.gguf", "llama")
        for number in range(3):
            writer.add_tensor(f"t{number}", arange(number * 100, number * 100 + 4096, dtype=float32).reshape(64, 64))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    folder = store.open(pack(artifacts=[made.artifact], settings=LEVEL))
    monkeypatch.undo()
    return folder


@pytest.fixture
def folder(packed: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    shutil.copytree(packed, tmp_path / "packed")
    return tmp_path / "packed"


def entry(**changes: Any) -> Callable[[list[Any]], Any]:
    return lambda entries: [{**entries[0], **changes}]


def run(number: int = 1, **changes: Any) -> Callable[[list[Any]], Any]:
    def change(entries: list[Any]) -> Any:
        entries[0]["runs"][number].update(changes)
        return entries

    return change


ODD: dict[str, Callable[[list[Any]], Any]] = {
    "a name that climbs": entry(name="../../escaped"),
    "an absolute name": entry(name="/tmp/escaped"),
    "the manifest's name": entry(name="manifest.json"),
    "another kind's name": entry(name="adapter.gguf"),
    "no name": entry(name=""),
    "a name with a zero": entry(name="model.gguf\0"),
    "a kind that climbs": entry(kind="../../x"),
    "an unknown kind": entry(kind="model"),
    "bytes of 8 GiB": entry(bytes=8 << 30),
    "bytes of 2^62": entry(bytes=1 << 62),
    "bytes beyond 64 bits": entry(bytes=1 << 80),
    "negative bytes": entry(bytes=-1),
    "bytes as a text": entry(bytes="12"),
    "bytes as a truth": entry(bytes=True),
    "bytes as a fraction": entry(bytes=1.5),
    "no digest": entry(sha256=""),
    "a digest that climbs": entry(sha256="../" * 21 + "x"),
    "runs that are no list": entry(runs={}),
    "no runs": entry(runs=[]),
    "a field more": entry(mode="0777"),
    "a run of 2^62": run(bytes=1 << 62),
    "a run of 2^62 in as many pieces": lambda entries: [{**entries[0], "bytes": 1 << 62, "runs": [{"bytes": 1 << 62,
    "width": 1, "packed": [entries[0]["bytes"]]}]}],
    "a negative run": run(bytes=-4),
    "width 0": run(width=0),
    "a huge width": run(width=1 << 40),
    "a negative width": run(width=-4),
    "packed 0": run(packed=[0]),
    "packed negative": run(packed=[-5]),
    "packed 2^62": run(packed=[1 << 62]),
    "more pieces": run(packed=[1, 1, 1]),
    "a list of lists": lambda entries: [entries],
    "an object": lambda entries: {"0": entries[0]},
    "null": lambda entries: None,
    "two files": lambda entries: entries * 2,
    "none": lambda entries: [],
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_a_list_that_lies_is_refused_and_nothing_is_left(folder: Path, tmp_path: Path, name: str) -> None:
    entries = json.loads((folder / "packing.json").read_text())
    (folder / "packing.json").write_text(json.dumps(ODD[name](entries)))
    refused(folder, tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe[\x00]\x00",
        b"\xef\xbb\xbf[]",
        b"[" * 100_000,
        b"[NaN]",
        b"[1e400]",
        b'[{"name": "model.gguf", "name": "../x"}]',
        b'["\\ud800"]',
        b"[" + b"9" * 5000 + b"]",
    ],
)
def test_a_list_that_is_no_json_is_refused(folder: Path, tmp_path: Path, content: bytes) -> None:
    (folder / "packing.json").write_bytes(content)
    refused(folder, tmp_path)


def frames(plain: bytes, **options: Any) -> bytes:
    return zstandard.ZstdCompressor(**options).compress(plain)


def relist(folder: Path, sizes: list[int]) -> None:
    """The list of one run that agrees with the file."""
    entries = json.loads((folder / "packing.json").read_text())
    total = entries[0]["bytes"]
    entries[0]["runs"] = [{"bytes": total, "width": 1, "packed": sizes}]
    (folder / "packing.json").write_text(json.dumps(entries))


@pytest.mark.parametrize(
    "name",
    ["a bomb", "no size", "a short frame", "two frames", "noise", "a skippable frame", "a declared size of 2^62"],
)
def test_frames_that_are_not_what_the_list_says_are_refused(folder: Path, tmp_path: Path, name: str) -> None:
    size = json.loads((folder / "packing.json").read_text())[0]["bytes"]
    data = {
        "a bomb": frames(bytes(300 << 20)),
        "no size": frames(bytes(size), write_content_size=False),
        "a short frame": frames(bytes(size - 1)),
        "two frames": frames(bytes(size)) + frames(b"more"),
        "noise": b"\x28\xb5\x2f\xfd" + bytes(range(200)),
        "a skippable frame": b"\x50\x2a\x4d\x18" + (1 << 31).to_bytes(4, "little") + b"x" * 40,
        "a declared size of 2^62": b"\x28\xb5\x2f\xfd\xe0" + (1 << 62).to_bytes(8, "little") + bytes(40),
    }[name]
    (folder / "0.zst").write_bytes(data)
    relist(folder, [len(data)])
    refused(folder, tmp_path)


def test_a_folder_with_other_files_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "1.zst").write_bytes(b"x")
    refused(folder, tmp_path)
    (folder / "1.zst").unlink()
    (folder / "dictionary.zst").symlink_to("/etc/passwd")
    refused(folder, tmp_path)
    (folder / "dictionary.zst").unlink()
    kept = (folder / "0.zst").rename(tmp_path / "0.zst")
    refused(folder, tmp_path)
    (folder / "0.zst").symlink_to(kept)
    refused(folder, tmp_path)


def test_a_file_larger_than_the_disk_is_refused_before_it_is_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blocks.models.unpacking.shutil.disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))  # type: ignore[attr-defined]
    with pytest.raises(BadInput, match="free the disk"):
        unpack_to(folder, 0, tmp_path / "model.gguf")
    assert not (tmp_path / "model.gguf").exists()


def test_what_is_whole_still_comes_back(folder: Path, tmp_path: Path) -> None:
    unpack_to(folder, 0, tmp_path / "model.gguf")
    assert packing_list.read(folder)[0].bytes == (tmp_path / "model.gguf").stat().st_size
    with pytest.raises(BadInput, match="no number 1"):
        unpack_to(folder, 1, tmp_path / "other.gguf")


def refused(folder: Path, place: Path) -> None:
    """Unpacking says one line and leaves nothing, by itself and as a step on an artifact of such files."""
    before = names(place)
    with pytest.raises(DamagedArtifact) as error:
        unpack_to(folder, 0, place / "target.gguf")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000
    if not any(path.is_symlink() for path in folder.iterdir()):
        with store.create("packed", settings={"from": str(folder)}) as made:
            for path in folder.iterdir():
                if path.name != "manifest.json":
                    shutil.copyfile(path, made.path / path.name)
        stranger: Artifact = made.artifact
        with pytest.raises(DamagedArtifact):
            unpack.fn(stranger)
    assert names(place) == before


def names(place: Path) -> set[Path]:
    """What lies there, but for the artifact that was made."""
    return {path for path in place.rglob("*") if not path.is_relative_to(place / "home")} | set(
        (place / "home").rglob("model.gguf")
    )
