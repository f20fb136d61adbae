"""Headers from a stranger: GGUF, safetensors, indices and JSON of every odd kind are one line, whatever they
declare."""

import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader, GGUFWriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blocks.models import adapter_folder, gguf_file, json_object, safetensors_file, weights
from configs.errors import BadInput

MB = 1 << 20


def one_line(error: pytest.ExceptionInfo[BadInput]) -> None:
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000


# GGUF


def text(value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(value) if length is None else length) + value


def gguf(
    tensors: bytes = b"",
    pairs: bytes = b"",
    *,
    count: int = 0,
    fields: int = 0,
    magic: bytes = b"GGUF",
    version: int = 3,
    data: bytes = bytes(4096),
) -> bytes:
    head = magic + struct.pack("<IQQ", version, count, fields) + pairs + tensors
    return head + bytes(-len(head) % 32) + data


def info(
    name: bytes = b"t", shape: tuple[int, ...] = (32,), kind: int = 0, offset: int = 0, dimensions: int | None = None
) -> bytes:
    return (
        text(name)
        + struct.pack("<I", len(shape) if dimensions is None else dimensions)
        + struct.pack(f"<{len(shape)}QIQ", *shape, kind, offset)
    )


def pair(key: bytes, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


HOSTILE = {
    "empty": b"",
    "magic only": b"GGUF",
    "another magic": gguf(magic=b"GGML"),
    "big-endian": b"GGUF" + struct.pack(">IQQ", 3, 0, 0) + bytes(64),
    "version 1": gguf(version=1),
    "2^60 tensors": gguf(count=1 << 60),
    "2^60 fields": gguf(fields=1 << 60),
    "a string of 2^60": gguf(pairs=pair(b"a", 8, text(b"x", 1 << 60)), fields=1),
    "a key of 2^60": gguf(pairs=text(b"x", 1 << 60) + bytes(64), fields=1),
    "a name of 2^60": gguf(text(b"x", 1 << 60) + bytes(64), count=1),
    "an array of 2^60 bytes": gguf(pairs=pair(b"a", 9, struct.pack("<IQ", 0, 1 << 60)), fields=1),
    "an array of 2^60 strings": gguf(pairs=pair(b"a", 9, struct.pack("<IQ", 8, 1 << 60)), fields=1),
    "arrays in arrays": gguf(pairs=pair(b"a", 9, struct.pack("<IQ", 9, 1) * 200), fields=1),
    "an unknown value type": gguf(pairs=pair(b"a", 77, bytes(8)), fields=1),
    "a field twice": gguf(pairs=pair(b"a", 4, bytes(4)) * 2, fields=2),
    "alignment 0": gguf(pairs=pair(b"general.alignment", 4, struct.pack("<I", 0)), fields=1),
    "alignment 2^31": gguf(pairs=pair(b"general.alignment", 4, struct.pack("<I", 1 << 31)), fields=1),
    "alignment as a text": gguf(pairs=pair(b"general.alignment", 8, text(b"32")), fields=1),
    "dimensions 0": gguf(info(shape=()), count=1),
    "dimensions 2^31": gguf(info(dimensions=1 << 31), count=1),
    "a size of 0": gguf(info(shape=(32, 0)), count=1),
    "a size of 2^60": gguf(info(shape=(1 << 60, 1 << 60)), count=1),
    "a row that is no block": gguf(info(shape=(33,), kind=8), count=1),
    "an unknown type": gguf(info(kind=4711), count=1),
    "an offset outside": gguf(info(offset=1 << 60), count=1),
    "an offset that is not aligned": gguf(info(offset=7), count=1),
    "an end outside": gguf(info(shape=(4096,)), count=1),
    "two of one name": gguf(info() + info(offset=128), count=2),
    "two at one place": gguf(info() + info(b"u"), count=2),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_gguf_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "model.gguf").write_bytes(HOSTILE[name])
    with pytest.raises(BadInput) as error:
        gguf_file.tensors(tmp_path / "model.gguf")
    one_line(error)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GGUF with every kind of field and three tensors."""
    path = tmp_path_factory.mktemp("real") / "model.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_token_list(["a", "b", "cc"])
    writer.add_float32("x.y", 1.5)
    writer.add_bool("x.z", True)
    writer.add_array("x.a", [1, 2, 3])
    for number, kind in enumerate((np.float32, np.float16, np.float32)):
        writer.add_tensor(f"t{number}", np.arange(6 * 40, dtype=kind).reshape(6, 40))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_what_is_whole_is_read_as_the_gguf_wheel_reads_it(real: Path) -> None:
    found = gguf_file.tensors(real)
    theirs = sorted(GGUFReader(real).tensors, key=lambda one: int(one.data_offset))
    assert [(one.name, one.kind, one.shape, one.start, one.bytes) for one in found] == [
        (one.name, one.tensor_type, tuple(map(int, one.shape)), int(one.data_offset), int(one.n_bytes))
        for one in theirs
    ]
    for one, other in zip(found, theirs, strict=True):
        np.testing.assert_array_equal(gguf_file.values(real, one), np.asarray(other.data, np.float32))


def test_a_gguf_that_is_cut_anywhere_is_refused(real: Path, tmp_path: Path) -> None:
    whole = real.read_bytes()
    for length in range(0, len(whole) - 32, 7):
        (tmp_path / "cut.gguf").write_bytes(whole[:length])
        with pytest.raises(BadInput):
            gguf_file.tensors(tmp_path / "cut.gguf")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(at=st.integers(4, 500), values=st.binary(min_size=1, max_size=8))
def test_a_gguf_with_any_bytes_changed_is_read_or_refused(real: Path, tmp_path: Path, at: int, values: bytes) -> None:
    data = bytearray(real.read_bytes())
    data[at : at + len(values)] = values
    (tmp_path / "changed.gguf").write_bytes(bytes(data))
    try:
        gguf_file.tensors(tmp_path / "changed.gguf")
    except BadInput:
        pass


# safetensors


def safetensors(header: Any, data: bytes = bytes(64), length: int | None = None) -> bytes:
    plain = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(plain) if length is None else length) + plain + data


def tensor(shape: Any = (4, 4), dtype: Any = "F32", offsets: Any = (0, 64), **more: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}


LYING = {
    "empty": b"",
    "seven bytes": bytes(7),
    "a header of 2^60": safetensors({"a": tensor()}, length=1 << 60),
    "a header of all bits": safetensors({"a": tensor()}, length=(1 << 64) - 1),
    "a header beyond the file": safetensors({"a": tensor()}, length=500),
    "a list": safetensors([1]),
    "nested": safetensors(b'{"a":' * 5000 + b"1" + b"}" * 5000),
    "UTF-16": safetensors(json.dumps({"a": tensor()}).encode("utf-16")),
    "a name twice": safetensors(b'{"a":{"dtype":"F32","shape":[4,4],"data_offsets":[0,64]},"a":{"dtype":"F32","shape":[4,4],"data_offsets":[0,64]}}'),  # noqa: E501
    "an unknown dtype": safetensors({"a": tensor(dtype="F128")}),
    "a dtype as a list": safetensors({"a": tensor(dtype=["F32"])}),
    "a shape as a text": safetensors({"a": tensor(shape="4")}),
    "a negative size": safetensors({"a": tensor(shape=[-4, -4])}),
    "a size of 2^60": safetensors({"a": tensor(shape=[1 << 60, 1 << 60])}),
    "a size as a truth": safetensors({"a": tensor(shape=[True, 16])}),
    "offsets outside": safetensors({"a": tensor(offsets=[0, 1 << 60])}),
    "offsets backwards": safetensors({"a": tensor(offsets=[64, 0])}),
    "one offset": safetensors({"a": tensor(offsets=[64])}),
    "overlap": safetensors({"a": tensor(), "b": tensor()}),
    "a gap": safetensors({"a": tensor((2, 4), offsets=[0, 32]), "b": tensor((2, 3), offsets=[40, 64])}),
    "bytes left": safetensors({"a": tensor((2, 4), offsets=[0, 32])}),
    "bytes missing": safetensors({"a": tensor()}, data=bytes(10)),
    "a field more": safetensors({"a": tensor(code="x")}),
    "metadata as numbers": safetensors({"__metadata__": {"a": 1}, "a": tensor()}),
    "a pickle": b"\x80\x04\x95" + bytes(100),
}  # fmt: skip


@pytest.mark.parametrize("name", LYING)
def test_a_lying_safetensors_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "model.safetensors").write_bytes(LYING[name])
    for read in (safetensors_file.header, safetensors_file.load, safetensors_file.opened):
        with pytest.raises(BadInput) as error:
            read(tmp_path / "model.safetensors")
        one_line(error)


def test_what_is_whole_is_read(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(safetensors({"__metadata__": {"format": "pt"}, "a": tensor()}))
    assert safetensors_file.header(tmp_path / "model.safetensors") == {"a": safetensors_file.Tensor("F32", (4, 4))}
    assert safetensors_file.load(tmp_path / "model.safetensors")["a"].shape == (4, 4)


def test_neither_a_pipe_nor_a_folder_is_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", tmp_path, tmp_path / "nothing"):
        for read in (safetensors_file.header, gguf_file.tensors, json_object.read):
            with pytest.raises(BadInput):
                read(place)


# Indices, JSON, adapters


@pytest.mark.parametrize(
    "index",
    [
        {"weight_map": {"a": "../../etc/passwd"}}, {"weight_map": {"a": "/etc/passwd"}},
        {"weight_map": {"a": "sub/model.safetensors"}}, {"weight_map": {"a": "other.bin"}},
        {"weight_map": {"a": "missing.safetensors"}}, {"weight_map": {"b": "one.safetensors"}},
        {"weight_map": {"a": "one.safetensors", "b": "one.safetensors"}},
        {"weight_map": {"a": "two.safetensors", "b": "one.safetensors"}}, {"weight_map": {}}, {"weight_map": ["a"]},
        {"weight_map": {"a": 1}}, {}, [],
    ],
)  # fmt: skip
def test_an_index_that_names_files_elsewhere_or_other_tensors_is_refused(tmp_path: Path, index: Any) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.safetensors").write_bytes(safetensors({"a" if name == "one" else "b": tensor()}))
    (tmp_path / weights.INDEX).write_text(json.dumps(index))
    with pytest.raises(BadInput) as error:
        weights.headers(tmp_path)
    one_line(error)
    (tmp_path / weights.INDEX).write_text(json.dumps({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}))
    assert weights.files(tmp_path) == {"a": "one.safetensors", "b": "two.safetensors"}


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"null", '{"a": 1}'.encode("utf-16"), b'{"a": "\xe9"}', b'\xef\xbb\xbf{"a": '
    b'1}', b'{"a": NaN}', b'{"a": '
    b'-Infinity}', b'{"a": '
    b'1e999}',
     b'{"a": ' + b"9" * 100 + b"}",
     b'{"a": 1, "a": 2}', b'{"a": ' + b"[" * 70 + b"]" * 70 + b"}", b'{"a": ' * 9000, b'{"a": '
     b'"\\udc00"}', b"{'a': "
     b"1}", b'{"a": 1} '
     b'trailing',
     b"{" + b" " * (5 * MB) + b"}"],
)  # fmt: skip
def test_json_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(BadInput) as error:
        json_object.read(tmp_path / "config.json")
    one_line(error)


LORA = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"peft_type": "LOHA"}, "peft_type"), ({"r": 0}, "r"), ({"r": 1 << 60}, "r"), ({"r": "4"}, "r"), ({"r": True},
        "r"), 
        ({"lora_alpha": -1}, "lora_alpha"), ({"lora_alpha": None}, "lora_alpha"),
        ({"target_modules": "(a+)+$"}, "target_modules"), ({"target_modules": ["(a+)+$"]}, "target_modules"),
        ({"target_modules": []}, "target_modules"),
        ({"alpha_pattern": {"(a|a)*$": 4}}, "alpha_pattern"), ({"rank_pattern": [1]}, "rank_pattern"),
        ({"alpha_pattern": {"q_proj": "4"}}, "alpha_pattern"),
        ({"auto_map": {"AutoModel": "x.Y"}}, "auto_map"),
    ],
)  # fmt: skip
def test_an_adapter_of_another_kind_is_refused_by_field(tmp_path: Path, change: dict[str, Any], field: str) -> None:
    (tmp_path / adapter_folder.WEIGHTS).write_bytes(safetensors({"a": tensor()}))
    (tmp_path / adapter_folder.CONFIG).write_text(json.dumps(LORA | change))
    with pytest.raises(BadInput, match=rf"adapter_config\.json: {field} is ") as error:
        adapter_folder.read(tmp_path)
    one_line(error)


def test_an_adapters_pickle_is_never_read(tmp_path: Path) -> None:
    (tmp_path / adapter_folder.CONFIG).write_text(json.dumps(LORA))
    (tmp_path / "adapter_model.bin").write_bytes(b"\x80\x04cposix\nsystem\n(S'touch ran'\ntR.")
    with pytest.raises(BadInput, match=r"adapter_model\.safetensors: missing"):
        adapter_folder.read(tmp_path)
