"""What later phases cannot work with is refused when the student is adopted: one line with file, field, value, and
nothing in the store."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from blocks.models.template import BEGIN, END, PAD
from blocks.storage.home import home
from configs.errors import BadInput
from configs.phases.training import Hub, Local
from tasks.training.students.student import adopt, content_hash, download
from tests.tiny_llama import tokenizer


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Llama in Hugging Face's layout, untrained."""
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("whole")
    words = tokenizer()
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=128,
        tie_word_embeddings=True,
        rms_norm_eps=1e-5,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    shutil.copytree(whole, tmp_path / "theirs")
    return tmp_path / "theirs"


def take(folder: Path) -> None:
    pinned = Local.model_validate(
        {"source": "folder", "path": str(folder), "sha256": content_hash(folder), "dtype": "float32"}
    )
    adopt.fn(pinned)


def refused(folder: Path, match: str) -> None:
    with pytest.raises(BadInput, match=match) as error:
        take(folder)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000
    assert not list(home().rglob("model/*")), "nothing is in the store"


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    plain = json.loads(path.read_text())
    path.write_text(json.dumps(change(plain) or plain))


def test_what_is_whole_is_adopted(folder: Path) -> None:
    take(folder)


ROPE = {
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"auto_map": {"AutoModelForCausalLM": "model.Evil"}}, "auto_map is .* never run"),
        ({"architectures": ["GPT2LMHeadModel"]}, "architectures is .*LlamaForCausalLM, MistralForCausalLM"),
        ({"model_type": "mistral"},
        "model_type is 'mistral'"),
        ({"model_type": ["llama"]}, "model_type is"),
        ({"is_causal": False}, "is_causal is False; .* looks back only"), ({"partial_rotary_factor": 0.5},
        "partial_rotary_factor is 0.5; positions turn whole heads"),
        ({"layer_types": ["sliding_attention"]}, "layer_types is .*; every layer of a llama attends"),
        ({"pretraining_tp": "x"}, "config.json: transformers cannot load it .*pretraining_tp"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu'; .* silu"), ({"hidden_act": "gelu"}, "hidden_act is 'gelu'"),
        ({"hidden_act": None},
        "hidden_act is None"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantization_config is"),
        *[({"rope_parameters": ROPE | {"rope_type": kind}}, "rope_parameters is .*default and "
                                                            "llama3") for kind in ("linear", "yarn", "dynamic",
                                                            "longrope", "su", None, [])],
        ({"rope_parameters": None, "rope_scaling": {"type": "linear", "factor": 2.0}},
        "rope_scaling is .*default and llama3"),
        ({"rope_parameters": None, "rope_scaling": {"rope_type": "llama3"}}, "rope_scaling is .*llama3 has factor"),
        ({"rope_parameters": ROPE | {"rope_type": "llama3", "factor": 0.5}}, "rope_parameters is .*at least 1"),
        ({"rope_parameters": ROPE | {"rope_type": "llama3", "high_freq_factor": 1.0}},
        "rope_parameters is .*below its high_freq_factor"),
        ({"rope_parameters": ROPE | {"rope_type": "llama3"}, "rope_scaling": {"rope_type": "default"}},
        "rope_scaling is .*the same"),
        ({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}}, "partial_rotary_factor 1"),
        ({"rope_parameters": "linear"},
        "rope_parameters is 'linear'"),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 0}}, "rope_theta is a number above 0"),
        ({"rope_theta": "x"}, "rope_theta is 'x'"),
        ({"rms_norm_eps": ...}, "rms_norm_eps is missing"), ({"rms_norm_eps": 0}, "rms_norm_eps is 0"),
        ({"rms_norm_eps": "1e-5"},
        "rms_norm_eps is '1e-5'"),
        *[({field: value}, f"{field} is ") for field in ("vocab_size", "hidden_size", "intermediate_size",
        "num_hidden_layers", "num_attention_heads", "max_position_embeddings")
          for value in (0, -1, 1 << 60, 1.5, "8", True, None, [8], ...)],
        ({"num_key_value_heads": 0}, "num_key_value_heads is 0"), 
        ({"head_dim": None, "num_attention_heads": 3}, "num_attention_heads is 3"), ({"head_dim": None,
        "num_attention_heads": 5}, "num_attention_heads is 5"),
        ({"num_attention_heads": 3, "num_key_value_heads": 2}, "num_key_value_heads is 2"), ({"head_dim": 15},
        "head_dim is 15; .*even"), ({"head_dim": 0}, "head_dim is 0"),
        ({"num_hidden_layers": 513}, "num_hidden_layers is 513"), ({"attention_bias": "yes"},
        "attention_bias is 'yes'"),
        ({"tie_word_embeddings": 1}, "tie_word_embeddings is 1"),
        ({"pad_token_id": 4000}, "pad_token_id is 4000"), ({"eos_token_id": [1, 1 << 60]}, "eos_token_id is"),
        ({"bos_token_id": "1"},
        "bos_token_id is '1'"),
        ({"head_dim": 32}, "has shape"), ({"intermediate_size": 64}, "has shape .*by config.json"),
        ({"num_hidden_layers": 3}, "the weights lack model.layers.2"),
        ({"num_hidden_layers": 1}, "the weights hold 'model.layers.1"), ({"attention_bias": True},
        "the weights lack model.layers.0.self_attn.k_proj.bias"),
        ({"tie_word_embeddings": False}, "the weights lack lm_head.weight .*tie_word_embeddings is "
                                         "false"), ({"vocab_size": 280}, "does not fit an embedding of 280 rows"),
        ({"vocab_size": 300}, "has shape"),
    ],
)  # fmt: skip
def test_a_field_that_later_phases_cannot_do_is_named(folder: Path, change: dict[str, Any], match: str) -> None:
    edit(
        folder / "config.json",
        lambda plain: {name: value for name, value in (plain | change).items() if value is not ...},
    )
    refused(folder, match)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff\xfe{\x00}\x00",
        b"\xef\xbb\xbf{}",
        b"{" * 9000,
        b'{"a":' * 9000,
        b'{"a": NaN}',
        b'{"a": "\xe9"}',
    ],
)
def test_json_of_another_kind_is_refused_by_name(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    refused(folder, name.replace(".", r"\."))


VOCABULARY: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no model": (lambda plain: plain.pop("model") and plain, "byte-level BPE"),
    "a Unigram": (lambda plain: plain["model"].update(type="Unigram"), "byte-level BPE"),
    "byte fallback": (lambda plain: plain["model"].update(byte_fallback=True), "ignore_merges is true"),
    "a vocab as a list": (lambda plain: plain["model"].update(vocab=["a"]), "model.vocab"),
    "ids as texts": (lambda plain: plain["model"]["vocab"].update(a="1"), "model.vocab"),
    "a negative id": (lambda plain: plain["model"]["vocab"].update(zzz=-1), "no ids of their own"),
    "an id twice": (lambda plain: plain["model"]["vocab"].update(zzz=7), "no ids of their own"),
    "an id of 2^60": (lambda plain: plain["model"]["vocab"].update(zzz=1 << 60), "does not fit an embedding"),
    "a token beyond the embedding": (lambda plain: plain["added_tokens"].append(plain["added_tokens"][0] | {"id": 290,
    "content": "<|more|>"}), r"'<\|more\|>' has id 290"),
    "merges of three": (lambda plain: plain["model"].update(merges=[["a", "b", "c"]]), "model.merges"),
    "merges as an object": (lambda plain: plain["model"].update(merges={}), "model.merges"),
    "dropout": (lambda plain: plain["model"].update(dropout=0.1), "model.dropout"),
    "another splitting": (lambda plain: plain["pre_tokenizer"]["pretokenizers"][0].update(pattern={"Regex": r"\s+"}),
    "no name for this pre-tokenisation"),
    "a splitting as a list": (lambda plain: plain.update(pre_tokenizer=[1]), "no name for this pre-tokenisation"),
    "a normalizer": (lambda plain: plain.update(normalizer={"type": "NFC"}), "no name for this pre-tokenisation"),
    "an added token without id": (lambda plain: plain["added_tokens"][0].pop("id") and None, "added_tokens has"),
    "a token that takes spaces": (lambda plain: plain["added_tokens"][0].update(rstrip=True), "takes the spaces"),
    "a control token that is none": (lambda plain: plain["added_tokens"][4].update(special=False), "special true"),
}  # fmt: skip


@pytest.mark.parametrize("name", VOCABULARY)
def test_a_tokenizer_that_llama_cpp_would_read_otherwise_is_refused(folder: Path, name: str) -> None:
    change, match = VOCABULARY[name]
    edit(folder / "tokenizer.json", change)
    refused(folder, match)


def test_code_that_comes_with_a_tokenizer_is_never_run_or_asked_about(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("a person was asked"))
    (folder / "evil.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\nclass Evil: pass\n")
    edit(
        folder / "tokenizer_config.json",
        lambda plain: plain | {"tokenizer_class": "Evil", "auto_map": {"AutoTokenizer": [None, "evil.Evil"]}},
    )
    refused(folder, "tokenizer_config.json: auto_map is")
    edit(
        folder / "tokenizer_config.json",
        lambda plain: {name: value for name, value in plain.items() if name != "auto_map"} | {"eos_token": 5},
    )
    refused(folder, "eos_token is 5")
    assert not (folder / "ran").exists()


def test_weights_that_are_not_those_of_the_configuration_are_refused(folder: Path) -> None:
    path, head = folder / "model.safetensors", "lm_head.weight"
    tensors = load_file(path)
    embedding = tensors["model.embed_tokens.weight"]

    def save(changed: dict[str, torch.Tensor]) -> None:
        save_file(changed, path, metadata={"format": "pt"})

    save(tensors | {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(8), head: embedding.clone()})
    take(folder)
    shutil.rmtree(home(), ignore_errors=True)
    for changed, match in (
        (tensors | {head: embedding + 1}, "tie_word_embeddings is true .* lm_head.weight is not the embedding"),
        (tensors | {"score.weight": torch.ones(2, 32)}, "the weights hold 'score.weight'"),
        (
            {name: value for name, value in tensors.items() if name != "model.norm.weight"},
            "the weights lack model.norm.weight",
        ),
        (tensors | {"model.norm.weight": torch.ones(32, dtype=torch.int64)}, "is stored in I64"),
        (
            tensors | {"model.norm.weight": torch.full((32,), float("nan"))},
            "model.norm.weight holds values that are not finite",
        ),
        (
            tensors | {"model.norm.weight": torch.ones(16)},
            r"model.norm.weight has shape \[16\]; by config.json it is \[32\]",
        ),
    ):
        save(changed)
        refused(folder, match)
    path.write_bytes(path.read_bytes()[:-100])
    refused(folder, "not readable as safetensors")
    path.rename(folder / "pytorch_model.bin")
    refused(folder, "no safetensors weights")


def test_links_that_lead_out_and_an_index_that_climbs_are_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").rename(tmp_path / "model.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../model.safetensors"}}))
    refused(folder, "weight_map names")
    (folder / "model.safetensors.index.json").unlink()
    (folder / "model.safetensors").symlink_to(tmp_path / "model.safetensors")
    pinned = {"source": "folder", "path": str(folder), "sha256": "0" * 64, "dtype": "float32"}
    with pytest.raises(BadInput, match=r"model\.safetensors is a link that leads out of the folder"):
        adopt.fn(Local.model_validate(pinned))
    (folder / "model.safetensors").unlink()
    (tmp_path / "model.safetensors").rename(folder / "inner.safetensors")
    (folder / "model.safetensors").symlink_to(folder / "inner.safetensors")
    take(folder)


def test_a_hub_student_is_looked_over_alike(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the hub's cache the files are links to its blobs, which is well; a blob elsewhere is not."""
    revision = "0123456789abcdef0123456789abcdef01234567"
    place = tmp_path / "cache" / "models--someone--tiny"
    (place / "blobs").mkdir(parents=True)
    (place / "snapshots" / revision).mkdir(parents=True)
    for path in folder.iterdir():
        path.rename(place / "blobs" / path.name)
        (place / "snapshots" / revision / path.name).symlink_to(f"../../blobs/{path.name}")
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    named = Hub.model_validate(
        {"source": "hub", "repository": "someone/tiny", "revision": revision, "dtype": "float32"}
    )
    download.fn(named)
    edit(place / "blobs" / "config.json", lambda plain: plain | {"hidden_act": "gelu"})
    with pytest.raises(BadInput, match="hidden_act is 'gelu'"):
        download.fn(named)
    (place / "blobs" / "config.json").rename(tmp_path / "config.json")
    (place / "blobs" / "config.json").symlink_to(tmp_path / "config.json")
    with pytest.raises(BadInput, match="leads out of the folder"):
        download.fn(named)


@pytest.mark.parametrize(("token", "name"), [(END, "eos_token"), (PAD, "pad_token"), (BEGIN, "bos_token")])
def test_a_token_that_the_student_needs_and_lacks_is_named(folder: Path, token: str, name: str) -> None:
    words = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(words.replace(token, token.replace("_", "-")))
    refused(folder, rf"{name} is '<\|.*\|>', which is no token of tokenizer.json")
