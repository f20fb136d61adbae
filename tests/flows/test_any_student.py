"""A person's own student, from the hub's cache, a folder or a GGUF file, the whole way from dataset to release to
answer: each architecture once, each kind of tokenizer once.

They are random and know nothing, so whether an answer is right is made up where modifiers and router are judged; all
else is real."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from blocks import store
from blocks.models.template import Message
from configs.phases.training import Local
from deployments.serving.responder import Responder
from flows.pipeline import pipeline
from tasks.compression.export.gguf_write import to_gguf
from tasks.training.students.student import adopt, content_hash
from tests.flows.students import answering
from tests.tiny import TINY
from tests.tokenizers_made import MADE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.usefixtures("prefect_server")]
REVISION = "0123456789abcdef0123456789abcdef01234567"
# These vocabularies have hardly a word, so conversations are longer in tokens than those of nano's own student.
LONGER = [
    "compression.awq.group=64",  # 192 wide
    "modifiers.mixture.validation_share=0.3",
    "evaluation.context=768",
    "release.context_tokens=768",
    "training.merging.max_length=512",
    "training.fine_tuning.max_length=512",
    *(f"modifiers.each.{modifier}.lora.max_length=512" for modifier in range(3)),
]
# architecture, what its configuration says beyond the sizes, tokenizer, source, chat format, closing token
STUDENTS = {
    "mistral": ("mistral", {"sliding_window": None}, "metaspace first", "hub", "own", "</s>"),
    "qwen2": ("qwen2", {"tie_word_embeddings": True}, "qwen2", "folder", "chatml", "<|im_end|>"),
    "qwen3": ("qwen3", {"head_dim": 32}, "qwen3", "folder", "chatml", "<|im_end|>"),
    "smollm2": ("llama", {"tie_word_embeddings": True}, "smollm", "gguf", "chatml", "<|im_end|>"),
    "tinyllama": ("llama", {}, "tinyllama", "gguf", "zephyr", "</s>"),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("students")


@pytest.fixture(autouse=True)
def shared(home: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dataset is the same for all of them."""
    monkeypatch.setenv("COGUMI_HOME", str(home))


def published(kind: str, more: dict[str, Any], words: str, folder: Path) -> Path:
    """A small random student, as its authors would publish it."""
    tokenizer = MADE[words]()
    torch.manual_seed(3)
    config = AutoConfig.for_model(
        kind,
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        rms_norm_eps=1e-5,
        initializer_range=0.08,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **more,
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def settings(source: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """``training.student`` that takes what is in ``folder`` from ``source``."""
    if source == "hub":
        monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(folder.parents[2]))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        return {"source": source, "repository": "someone/tiny", "revision": REVISION, "dtype": "float32"}
    local = {"source": "folder", "path": str(folder), "sha256": content_hash(folder), "dtype": "float32"}
    if source == "folder":
        return local
    file = store.open(to_gguf(adopt(Local.model_validate(local)), "Q8_0")) / "model.gguf"
    return {"source": source, "path": str(file), "sha256": sha256(file.read_bytes()).hexdigest(), "dtype": "float32"}


# One of each source in `make test`; the others are their like.
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.all) if name in ("qwen2", "smollm2") else name for name in STUDENTS]
)
def test_a_student_goes_the_whole_way(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, more, words, source, chat_format, closing = STUDENTS[name]
    place = tmp_path / "models--someone--tiny" / "snapshots" / REVISION
    student = settings(source, published(kind, more, words, place), monkeypatch)
    own = f"training.student={{{', '.join(f'{field}: {value}' for field, value in student.items())}}}"
    answering(monkeypatch, ["flows.modifiers", "flows.routing"], lambda *asked: 0.3)
    built = pipeline("nano", [*(one for one in TINY if "training.student" not in one), *LONGER, own])
    assert built.release is not None
    with Responder(store.open(built.release.release), threads=1) as responder:
        reply = responder.reply([Message(role="user", content="What is 3 plus 4?")])
        engine = responder.description.engine
    assert (engine.template, engine.stop[0]) == (chat_format, closing)
    assert reply.decision.choice in ("base", *responder.description.modifiers)
    assert closing not in reply.text
    assert (store.open(built.release.report) / "report.html").is_file()
