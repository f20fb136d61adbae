"""A disk that fills while something is written by native code, which has errors of its own: one clear line, nothing
stays."""

import errno
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blocks import store
from blocks.storage import disk
from configs.errors import BadInput
from tests.small_disk import mounted

SIZE = 6 << 20  # bytes that each writer wants to write


def safetensors(folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(SIZE // 4)}, folder / "model.safetensors")


def safetensors_numpy(folder: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(SIZE // 4, np.float32)}, folder / "model.safetensors")


def save_pretrained(folder: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=6000,
            hidden_size=128,
            intermediate_size=128,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
        )
    ).save_pretrained(folder)


def tokenizers(folder: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    Tokenizer(WordLevel({f"{number:032}": number for number in range(SIZE // 32)}, unk_token="")).save(
        str(folder / "tokenizer.json")
    )


def torch_save(folder: Path) -> None:
    import torch

    torch.save(torch.rand(SIZE // 4), folder / "state.pt")


def numpy(folder: Path) -> None:
    import numpy as np

    np.savez(folder / "a.npz", a=np.zeros(SIZE, np.int8))


def arrow(folder: Path) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(
        pa.table({"a": np.random.default_rng(0).random(SIZE // 8)}), folder / "a.parquet", compression="none"
    )


def zstd(folder: Path) -> None:
    import numpy as np
    import zstandard

    with zstandard.open(folder / "a.zst", "wb") as stream:
        stream.write(np.random.default_rng(0).bytes(SIZE))


def sqlite(folder: Path) -> None:
    with sqlite3.connect(folder / "a.db") as db:
        db.execute("create table rows (content blob)")
        for _ in range(SIZE >> 16):
            db.execute("insert into rows values (randomblob(65536))")


def gguf(folder: Path) -> None:
    import numpy as np
    from gguf import GGUFWriter

    writer = GGUFWriter(folder / "a.gguf", "llama")
    writer.add_tensor("a", np.zeros(SIZE // 4, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def picture(folder: Path) -> None:
    import numpy as np
    from PIL import Image

    Image.fromarray(np.random.default_rng(0).integers(0, 255, (1500, 1500, 3), np.uint8)).save(folder / "a.png")


WRITERS: list[Callable[[Path], None]] = [
    safetensors, safetensors_numpy, save_pretrained, tokenizers, torch_save, numpy, arrow, zstd, sqlite, gguf, picture,
]  # fmt: skip


@pytest.mark.parametrize("size", ["64k", "5m"])
def test_every_native_writer_on_a_full_disk_is_one_clear_line(
    size: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mounted(tmp_path / "small", size):
        monkeypatch.setenv("COGUMI_STORE", str(tmp_path / "small" / "store"))
        for writer in WRITERS:
            with pytest.raises(BadInput) as told:
                make(writer)
            assert "cannot write artifact thing under" in str(told.value), writer
            assert "No space left on device" in str(told.value), writer
            assert len(str(told.value).splitlines()) == 1
            assert store.everything() == []
            assert list((tmp_path / "small" / "store" / "tmp").iterdir()) == []


def test_a_read_only_disk_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mounted(tmp_path / "small", "20m"):
        monkeypatch.setenv("COGUMI_STORE", str(tmp_path / "small" / "store"))
        make(safetensors)
        subprocess.run(["mount", "-o", "remount,ro", tmp_path / "small"], check=True)
        assert disk.state(tmp_path / "small") == errno.EROFS
        for writer in WRITERS:
            with pytest.raises(BadInput, match=r"cannot write to the artifact store .*Read-only file system"):
                make(writer)
        for writer in (safetensors, tokenizers, sqlite, torch_save, arrow, zstd):
            with pytest.raises(Exception, match=r"\S") as told:  # each has a class of its own
                writer(tmp_path / "small")
            assert disk.refusal(told.value, tmp_path / "small") == "Read-only file system", (writer, told.value)
        assert len(store.everything()) == 1


def make(writer: Callable[[Path], None]) -> None:
    with store.create("thing") as folder:
        writer(folder.path)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no such token"),
        RuntimeError("CUDA out of memory"),
        KeyError("a"),
        OSError(errno.ECONNRESET, "reset"),
        RuntimeError("cannot write gradients"),
        MemoryError(),
    ],
)
def test_what_the_disk_does_not_explain_is_no_fault_of_the_disk(error: Exception, state: Path) -> None:
    def fail() -> None:
        with store.create("thing") as folder:
            assert disk.state(folder.path) is None
            raise error

    with pytest.raises(type(error)) as told:
        fail()
    assert told.value is error


def test_a_file_elsewhere_is_named(state: Path) -> None:
    error = OSError(errno.ENOSPC, "No space left on device", "/dev/shm/torch_1")
    assert disk.refusal(error, state) == "No space left on device (/dev/shm/torch_1)"
    wrapped: Any = RuntimeError("worker died")
    wrapped.__cause__ = error
    assert disk.refusal(wrapped, state) == "No space left on device (/dev/shm/torch_1)"
