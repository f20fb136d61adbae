"""Archives that unpack to far more than they are, and files that are no files: one line each, within bounds."""

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from configs.errors import BadInput
from tasks.data.collect.reader import local_files
from tasks.data.dedup.files import dedup_files
from tasks.data.plain.files import objects, read, writer
from tasks.data.plain.packing.unpacked import LINE, UNPACKED, pieces
from tasks.data.plain.record import Plain

ROW = b'{"prompt": "Name a hill.", "response": "The Aventine."}\n'
MIB = b"a" * 2**20


def put(path: Path, parts: Iterator[bytes], **settings: int) -> Path:
    with path.open("wb") as file:
        if path.suffix == ".gz":
            with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1) as out:
                out.writelines(parts)
        else:
            chosen = zstandard.ZstdCompressionParameters.from_level(1, **settings)
            with zstandard.ZstdCompressor(compression_params=chosen).stream_writer(file) as out:
                for part in parts:
                    out.write(part)
    return path


def mebibytes(count: int, head: bytes = b"", part: bytes = MIB) -> Iterator[bytes]:
    yield head
    for _ in range(count):
        yield part


@pytest.mark.parametrize("kind", ["zst", "gz"])
def test_a_small_file_does_not_unpack_to_a_large_one(kind: str, tmp_path: Path) -> None:
    bomb = put(tmp_path / f"in.jsonl.{kind}", mebibytes((UNPACKED >> 20) + 40))
    most = 0
    told = r"unpacks to more than 256 MiB and 100 times its own size.*; unpack it yourself"
    with pytest.raises(BadInput, match=told):  # noqa: PT012 - the pieces before it count
        for piece in pieces(bomb):
            most = max(most, len(piece))
    assert most <= 2**25


@pytest.mark.parametrize(
    ("name", "head"), [("in.jsonl.zst", b'{"prompt": "'), ("in.jsonl.gz", b""), ("in.json.zst", b'[{"prompt": "')]
)
def test_a_line_that_does_not_end_is_named(name: str, head: bytes, tmp_path: Path) -> None:
    bomb = put(tmp_path / name, mebibytes((LINE >> 20) + 40, head))
    for command in (lambda: list(read([bomb])), lambda: dedup_files([bomb], tmp_path / "out.jsonl")):
        with pytest.raises(BadInput, match=r"more than 64 MiB, .*; cut it or leave it out"):
            command()
    assert list(tmp_path.iterdir()) == [bomb]


def test_a_repeated_row_is_a_bomb_only_beyond_the_bound(tmp_path: Path) -> None:
    sound = put(tmp_path / "in.jsonl.zst", iter([ROW * 20_000]))
    assert sum(1 for _ in objects(sound)) == 20_000


@pytest.mark.parametrize("window", [27, 28, 31])
def test_a_long_window_is_read_and_damage_in_it_is_noticed(window: int, tmp_path: Path) -> None:
    path = put(tmp_path / "in.jsonl.zst", iter([ROW * 1000]), window_log=window)
    assert zstandard.get_frame_parameters(path.read_bytes()).window_size == 2**window
    assert sum(1 for _ in objects(path)) == 1000
    skippable = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
    path.write_bytes(skippable + path.read_bytes() * 2)
    assert sum(1 for _ in objects(path)) == 2000
    for damaged in (path.read_bytes()[:-4], path.read_bytes() + b"junk", path.read_bytes()[:5], b""):
        path.write_bytes(damaged)
        with pytest.raises(BadInput, match="damaged after line"):
            list(objects(path))


def test_an_empty_gzip_file_is_one_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl.gz"
    path.touch()
    for command in (lambda: list(read([path])), lambda: dedup_files([path], tmp_path / "out.jsonl")):
        with pytest.raises(BadInput, match="empty, not even the beginning of a gzip file"):
            command()
    path.write_bytes(gzip.compress(b""))
    assert list(read([path])) == []


def test_a_window_beyond_what_the_zstd_command_makes_is_named(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes([0, (40 - 10) << 3]) + b"\x01\x00\x00")
    with pytest.raises(BadInput, match="its window takes more than 2 GiB"):
        list(objects(path))


def test_a_parquet_file_that_unpacks_to_too_much_is_one_line(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow.parquet import write_table

    column = pa.DictionaryArray.from_arrays(pa.array([0] * 5000, pa.int32()), pa.array(["a" * 100_000]))
    write_table(pa.table({"prompt": column, "response": column}), tmp_path / "in.parquet", compression="zstd")
    for command in (
        lambda: sum(1 for _ in read([tmp_path / "in.parquet"])),
        lambda: dedup_files([tmp_path / "in.parquet"], tmp_path / "out.jsonl"),
    ):
        with pytest.raises(BadInput, match=r"in.parquet: unpacks to more than 256 MiB"):
            command()
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]


def test_what_is_no_plain_file_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "gone.jsonl").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.jsonl").mkdir()
    for name, fault in (
        ("pipe", "no plain file"),
        ("gone", "no such file"),
        ("folder", "a folder"),
        ("a" * 300, "cannot be looked at|no such file"),
    ):
        path = tmp_path / f"{name}.jsonl"
        for command in (
            lambda path=path: list(read([path])),
            lambda path=path: dedup_files([path], tmp_path / "out.jsonl"),
        ):
            with pytest.raises(BadInput, match=rf"{name}.jsonl: ({fault})"):
                command()
    with pytest.raises(BadInput, match=r"pipe.jsonl: no plain file"):
        local_files([str(tmp_path / "pi*.jsonl")])


def test_a_link_is_written_through_and_a_device_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "target.jsonl").write_text("before")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "target.jsonl")
    with writer(tmp_path / "link.jsonl") as write:
        write(Plain("1", "a", "b", {"id": "1"}))
    assert (tmp_path / "link.jsonl").is_symlink()
    assert (tmp_path / "target.jsonl").read_text() == '{"id":"1"}\n'
    (tmp_path / "null.jsonl").symlink_to("/dev/null")
    source = tmp_path / "target.jsonl"
    source.write_bytes(ROW)
    with pytest.raises(BadInput, match="no plain file"), writer(tmp_path / "null.jsonl"):
        pass
    with pytest.raises(BadInput, match="no plain file"):
        dedup_files([source], tmp_path / "null.jsonl")
    assert Path("/dev/null").is_char_device()
