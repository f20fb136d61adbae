"""Where a student comes from: a folder with pinned content, the hub's local cache at a pinned commit."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from blocks import store
from blocks.models import template
from blocks.models.encoding import load_tokenizer
from blocks.models.load import load_model
from blocks.models.template import LLAMA
from blocks.records import Artifact
from configs.errors import BadInput, Transient
from configs.phases.training import Hub, Local
from tasks.training.students.student import content_hash, student
from tests.tasks.training.conftest import SCRATCH

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def folder(model: Artifact, tmp_path: Path) -> Path:
    """A Llama as somebody else saved it: other template, other end token, no padding token, a pickle beside it."""
    path = tmp_path / "theirs"
    shutil.copytree(
        store.open(model), path, ignore=shutil.ignore_patterns("manifest.json", "curve.json", "chat_template.jinja")
    )
    config = json.loads((path / "tokenizer_config.json").read_text())
    config.pop("pad_token")
    (path / "tokenizer_config.json").write_text(
        json.dumps(config | {"eos_token": template.END_TEXT, "chat_template": "{{ messages }}"})
    )
    (path / "pytorch_model.bin").write_bytes(b"never read")
    return path


def local(path: Path, dtype: str = "float32") -> Local:
    return Local.model_validate({"source": "folder", "path": str(path), "sha256": content_hash(path), "dtype": dtype})


def test_a_folder_becomes_a_model_artifact_in_the_projects_chat_format(folder: Path, model: Artifact) -> None:
    made = student(local(folder), 0, None)
    names = {path.name for path in Path(made.uri).iterdir()}
    assert "pytorch_model.bin" not in names
    tokenizer = load_tokenizer(Path(made.uri))
    assert (tokenizer.eos_token, tokenizer.pad_token, tokenizer.chat_template) == (
        template.END,
        template.PAD,
        template.TEMPLATE,
    )
    ids = tokenizer(LLAMA.prompt("What is 3 plus 4?"), return_tensors="pt", add_special_tokens=False)["input_ids"]
    ours, theirs = (
        load_model(path, device="cpu", dtype="float32")(input_ids=ids).logits
        for path in (Path(made.uri), store.open(model))
    )
    assert torch.equal(ours, theirs)
    assert made.metrics["parameters"] == model.metrics["parameters"]


def test_weights_are_stored_in_the_wanted_type(folder: Path) -> None:
    made = student(local(folder, "bfloat16"), 0, None)
    assert {tensor.dtype for tensor in load_file(Path(made.uri) / "model.safetensors").values()} == {torch.bfloat16}
    assert load_model(Path(made.uri), device="cpu", dtype="bfloat16").config.dtype == torch.bfloat16


def test_the_same_content_elsewhere_is_the_same_artifact(folder: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    first = student(local(folder), 0, None)
    shutil.move(folder, moved)
    assert student(local(moved), 0, None).digest == first.digest


def test_other_content_than_the_pinned_is_refused(folder: Path) -> None:
    pinned = local(folder)
    (folder / "generation_config.json").write_text("{}")
    with pytest.raises(BadInput, match=content_hash(folder)):
        student(pinned, 0, None)
    with pytest.raises(BadInput, match=r"holds no config\.json"):
        student(pinned.model_copy(update={"path": str(folder / "nowhere")}), 0, None)


def test_what_is_no_llama_or_has_no_safetensors_or_no_end_token_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["GPT2LMHeadModel"]}))
    with pytest.raises(BadInput, match="GPT2LMHeadModel"):
        student(local(folder), 0, None)
    (folder / "config.json").write_text(json.dumps(config))
    words = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(words.replace("<|start_header_id|>", "<|head|>"))
    with pytest.raises(BadInput, match="does not begin with an end token"):
        student(local(folder), 0, None)
    (folder / "tokenizer.json").write_text(words)
    (folder / "model.safetensors").unlink()
    with pytest.raises(BadInput, match="no safetensors weights"):
        student(local(folder), 0, None)


def hub(repository: str = "someone/tiny-llama", revision: str = REVISION) -> Hub:
    return Hub.model_validate({"source": "hub", "repository": repository, "revision": revision, "dtype": "float32"})


def test_a_hub_model_is_taken_at_its_commit(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(folder, cache / "models--someone--tiny-llama" / "snapshots" / REVISION)
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    made = student(hub(), 0, None)
    assert made.metrics["parameters"] == student(local(folder), 0, None).metrics["parameters"]
    with pytest.raises(Transient, match=r"someone/tiny-llama@ffffffffffff is not in the local cache"):
        student(hub(revision="f" * 40), 0, None)


def test_a_branch_is_no_revision() -> None:
    with pytest.raises(ValueError, match="revision"):
        hub(revision="main")


def test_without_a_source_the_student_is_made_here(model: Artifact) -> None:
    assert student(SCRATCH, 0, None).digest == model.digest
