"""Fields of the training settings that no other file of this folder shows: tokenizer, sources, devices, checkpointing,
the choice."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from blocks import store
from blocks.records import Answered, Artifact
from configs.errors import BadInput, Transient
from configs.phases.training import Hub
from tasks.compression.export.gguf_write import to_gguf
from tasks.training.choose import choose_adapter
from tasks.training.merge import merge
from tasks.training.meta.anil import anil
from tasks.training.sft import sft
from tasks.training.students.student import student
from tasks.training.students.tokenizer import tokenizer
from tests import tiny_llama
from tests.tasks.modifiers.world import evaluation
from tests.tasks.training.conftest import ANIL, LORA, MERGING, SCRATCH, changed
from tests.tasks.training.students.test_from_gguf import pinned
from tests.tasks.training.students.test_student import REVISION, hub, local
from tests.tasks.training.students.test_student import folder as folder


@pytest.mark.parametrize("fields", [{"tokens": 380}, {"examples": 8}])
def test_tokens_and_examples_change_the_vocabulary(tokenizer_artifact: Artifact, fields: dict[str, int]) -> None:
    before, after = (
        json.loads((Path(made.uri) / "tokenizer.json").read_text())["model"]["vocab"]
        for made in (tokenizer_artifact, tokenizer(changed(SCRATCH.vocabulary, **fields), 0))
    )
    assert before != after
    assert len(after) == fields.get("tokens", SCRATCH.vocabulary.tokens) or "examples" in fields


def test_the_vocabulary_is_the_students() -> None:
    short = changed(SCRATCH, tokens=400, vocabulary={"tokens": 380, "examples": 40})
    made = student(short, 0, None)
    assert json.loads((Path(made.uri) / "config.json").read_text())["vocab_size"] == 380


def test_the_source_decides_where_the_student_comes_from(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One and the same phase: made here, out of a folder, a GGUF file, the hub's cache."""
    cache = tmp_path / "cache"
    snapshot = cache / "models--someone--tiny-llama" / "snapshots" / REVISION
    snapshot.parent.mkdir(parents=True)
    snapshot.symlink_to(folder)
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    made = {
        settings.source: student(settings, 0, 16) for settings in (local(folder), hub(), changed(SCRATCH, tokens=400))
    }
    steps = {source: set(store.manifest(one).settings or {}) for source, one in made.items()}
    assert "repository" in steps["hub"]
    assert "sha256" in steps["folder"]
    file = pinned(store.open(to_gguf(made["folder"], "F32")) / "model.gguf")
    assert file.source == "gguf"
    weights = [load_file(store.open(one) / "model.safetensors") for one in (made["folder"], student(file, 0, 16))]
    assert all(torch.equal(weights[1][name], weight) for name, weight in weights[0].items())
    assert "curve.json" in store.manifest(made["scratch"]).files
    with pytest.raises(Transient, match="somebody/else"):
        student(hub(repository="somebody/else"), 0, None)
    for settings in (local(folder), hub()):
        with pytest.raises(
            BadInput, match=r"awq.group 96 does not divide hidden_size, \d+, of this student; choose a divisor"
        ):
            student(settings, 0, 96)
    rough = student(Hub.model_validate(hub().model_dump() | {"dtype": "bfloat16"}), 0, None)
    assert rough.bytes < 0.7 * made["hub"].bytes


def test_another_sha256_than_the_folders_is_refused(folder: Path) -> None:
    with pytest.raises(BadInput, match="not the pinned one"):
        student(local(folder).model_copy(update={"sha256": "0" * 64}), 0, None)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the accelerator that is asked for")
def test_a_device_that_is_not_there_is_refused(model: Artifact, adapter: Artifact, dataset: Artifact) -> None:
    with pytest.raises(BadInput, match='device "cuda" was asked for'):
        sft(model, dataset, changed(LORA, device="cuda"), 0)
    with pytest.raises(BadInput, match='device "cuda" was asked for'):
        merge(model, adapter, dataset, changed(MERGING, device="cuda"))


def test_checkpointing_computes_the_layers_twice(
    model: Artifact, dataset: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tiny_llama.training_passes(monkeypatch)
    found = []
    for checkpointing in (False, True):
        ran.clear()
        sft(model, dataset, changed(LORA, epochs=0.1, evaluations=1, checkpointing=checkpointing), 0)
        found.append(len(ran))
    assert found[1] == 2 * found[0] > 0


def test_meta_training_is_validated_every_so_many_rounds(model: Artifact, adapter: Artifact, dataset: Artifact) -> None:
    for evaluate_every, steps in ((1, [1, 2, 3]), (2, [2, 3])):
        made = anil(
            model=model,
            adapter=adapter,
            dataset=dataset,
            lora=LORA,
            settings=changed(ANIL, rounds=3, evaluate_every=evaluate_every, patience=9),
            seed=0,
        )
        assert [point["step"] for point in json.loads((Path(made.uri) / "curve.json").read_text())] == steps


def graded(name: str, right: int) -> Artifact:
    return evaluation(
        [
            Answered(
                question=str(i),
                domain="math",
                difficulty="easy",
                task_type="t",
                prompt="?",
                text="",
                correct=i < right,
                reason="",
                logprobs=(),
            )
            for i in range(400)
        ],
        name,
    )


@pytest.mark.parametrize(("allowed_loss", "name"), [(0.0, "fine-tuning"), (0.1, "ANIL")])
def test_allowed_loss_decides_which_adapter_is_merged(allowed_loss: float, name: str) -> None:
    """ANIL adapts better than its control, and answers two questions in a hundred worse."""
    surely = {"mean": 0.2, "low": 0.1, "high": 0.3, "n": 9}
    with store.create("adaptation") as folder:
        found = {
            "tasks": ["t"],
            "episodes": ["t"],
            "before": {},
            "after": {},
            "gain": {"control": surely, "tuned": surely},
        }
        (folder.path / "adaptation.json").write_text(json.dumps(found))
    tuned, meta = graded("tuned", 208), graded("meta", 200)
    choice = choose_adapter(
        tuned=tuned,
        tuned_evaluation=tuned,
        meta=meta,
        meta_evaluation=meta,
        adaptation=folder.artifact,
        allowed_loss=allowed_loss,
        resamples=1000,
        seed=0,
    )
    assert (choice.name == "ANIL") == (name == "ANIL")
    assert choice.adapter == (meta if name == "ANIL" else tuned)
