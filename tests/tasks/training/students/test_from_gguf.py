"""A student out of a GGUF file: its tokenizer of every kind, and what is refused before any tensor is turned back."""

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGUFReader
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

from blocks import store
from blocks.models import architecture, gguf_file, gguf_tokenizer
from blocks.models.checkpoint import Checkpoint
from blocks.models.encoding import load_tokenizer
from blocks.records import Artifact
from configs.errors import BadInput
from configs.phases.training import GgufStudent
from tasks.compression.export.gguf_write import to_gguf, write
from tasks.training.students import from_gguf
from tasks.training.students.student import student, unpack
from tests.tiny_llama import tokenizer
from tests.tokenizers_made import MADE, TEXTS

SHAPE: dict[str, Any] = {
    "hidden_size": 96,
    "intermediate_size": 160,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-5,
}


def save(folder: Path, words: Any, **changes: Any) -> None:
    """A random Llama with the tokenizer ``words``."""
    torch.manual_seed(0)
    shape = {"model_type": "llama", **SHAPE, **changes}
    AutoModelForCausalLM.from_config(AutoConfig.for_model(vocab_size=len(words), **shape)).save_pretrained(folder)
    words.save_pretrained(folder)


def pinned(path: Path, dtype: str = "float32") -> GgufStudent:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return GgufStudent.model_validate({"source": "gguf", "path": str(path), "sha256": digest, "dtype": dtype})


@pytest.fixture
def model() -> Artifact:
    with store.create("model") as folder:
        save(folder.path, tokenizer())
    return folder.artifact


@pytest.fixture
def file(model: Artifact) -> Path:
    return store.open(to_gguf(model, "Q8_0")) / "model.gguf"


@pytest.mark.parametrize("kind", MADE)
def test_the_tokenizer_of_a_file_reads_as_the_one_it_was_written_from(kind: str, tmp_path: Path) -> None:
    words, path = MADE[kind](), tmp_path / "model.gguf"
    save(tmp_path, words)
    with Checkpoint(tmp_path) as checkpoint:
        write(checkpoint, path, "F16", {})
    (tmp_path / "back").mkdir()
    gguf_tokenizer.write(path, gguf_file.read(path), tmp_path / "back")
    back = load_tokenizer(tmp_path / "back")
    for text in [*TEXTS, "", "  ", "a\u0308 12345"]:
        for split in (True, False):
            ids = words(text, add_special_tokens=False, split_special_tokens=split).input_ids
            assert back(text, add_special_tokens=False, split_special_tokens=split).input_ids == ids, text
            assert back.decode(ids) == words.decode(ids)
        assert back(text).input_ids == words(text).input_ids, "the beginning of a text"
    assert back.get_vocab() == words.get_vocab()
    assert (back.chat_template, back.eos_token) == (words.chat_template, words.eos_token)


def test_what_it_was_rounded_to_is_on_record(file: Path) -> None:
    made = unpack.fn(pinned(file))
    kinds = {name: count for name, count in made.metrics.items() if name.startswith("stored_")}
    assert kinds == {"stored_F32": 5, "stored_Q8_0": 16}
    assert (store.manifest(made).settings or {})["stored"] == {"F32": 5, "Q8_0": 16}
    assert made.metrics["parameters"] == architecture.of_student(pinned(file)).parameters


def test_the_dtype_is_that_of_the_weights(file: Path, tmp_path: Path) -> None:
    """And where the file lies is no part of what is made."""
    made = student(pinned(file, "bfloat16"), 0, None)
    assert {one.dtype for one in load_file(store.open(made) / "model.safetensors").values()} == {torch.bfloat16}
    moved = file.rename(tmp_path / "moved.gguf")
    assert student(pinned(moved, "bfloat16"), 0, None).digest == made.digest
    with pytest.raises(BadInput, match=r"awq\.group 64 does not divide hidden_size, 96"):
        student(pinned(moved), 0, 64)


def test_weights_are_the_same_in_several_files(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = unpack.fn(pinned(file))
    monkeypatch.setattr(from_gguf, "SHARD", 100_000)
    several = unpack.fn(pinned(file))
    assert len(list(store.open(several).glob("*.safetensors"))) > 2
    with Checkpoint(store.open(whole)) as one, Checkpoint(store.open(several)) as other:
        assert one.names() == other.names()
        assert all(torch.equal(one.read(name), other.read(name)) for name in one.names())


def test_a_file_of_another_content_is_refused(file: Path) -> None:
    with pytest.raises(BadInput, match=r"training\.student\.sha256: .*not the pinned one"):
        unpack.fn(pinned(file).model_copy(update={"sha256": "0" * 64}))
    with pytest.raises(BadInput, match="cannot read the GGUF file"):
        unpack.fn(pinned(file).model_copy(update={"path": str(file.parent / "nowhere.gguf")}))


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        (b"\5\0\0\0\0\0\0\0llama", b"\5\0\0\0\0\0\0\0bloom", "general.architecture is 'bloom'; .*llama, qwen2, qwen3"),
        (b"blk.1.ffn_up.weight", b"blk.1.ffn_xx.weight", "the tensor blk.1.ffn_up.weight is missing"),
        (b"token_embd.weight", b"token_xxxx.weight", "the tensor token_embd.weight is missing"),
        (b"tokenizer.ggml.tokens", b"tokenizer.ggml.xxxxxx", "there is no tokenizer in it"),
        (b"tokenizer.ggml.merges", b"tokenizer.ggml.xxxxxx", "tokenizer.ggml.merges are missing"),
        (b"\x09\0\0\0\0\0\0\0llama-bpe", b"\x09\0\0\0\0\0\0\0llama-xxx", "tokenizer.ggml.pre is 'llama-xxx'"),
        (b"llama.attention.head_count_kv", b"llama.expert_count_xxxxxxxxxx", "has shape"),
        (b"llama.embedding_length", b"llama.embedding_xxxxxx", "hidden_size is None"),
    ],
)
def test_what_is_no_student_is_one_line(file: Path, old: bytes, new: bytes, match: str) -> None:
    content = file.read_bytes()
    assert len(old) == len(new)
    assert old in content
    file.chmod(0o644)
    file.write_bytes(content.replace(old, new))
    with pytest.raises(BadInput, match=match) as refused:
        unpack.fn(pinned(file))
    assert "\n" not in str(refused.value)


def test_positions_scaled_as_llama_3_1_does_come_back(tmp_path: Path) -> None:
    rope = {
        "rope_type": "llama3",
        "rope_theta": 10000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    }
    with store.create("model") as folder:
        save(folder.path, tokenizer(), rope_parameters=rope)
    path = store.open(to_gguf(folder.artifact, "F16")) / "model.gguf"
    back = json.loads((store.open(unpack.fn(pinned(path))) / "config.json").read_text())
    assert back["rope_parameters"] == rope
    tensor = next(one for one in GGUFReader(path).tensors if one.name == "rope_freqs.weight")
    content = bytearray(path.read_bytes())
    content[tensor.data_offset : tensor.data_offset + 4] = struct.pack("<f", 3.0)
    path.chmod(0o644)
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"rope_freqs\.weight scales positions in another way"):
        unpack.fn(pinned(path))
