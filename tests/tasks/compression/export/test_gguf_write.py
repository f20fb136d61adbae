"""GGUF files against three independent readers: the gguf wheel's dequantisers, transformers, and llama.cpp itself."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader, quants
from safetensors.torch import load_file

from blocks import store
from blocks.models.gguf_layout import permute, rope_frequencies
from blocks.models.template import LLAMA
from blocks.records import Artifact
from configs.errors import BadInput
from tasks.compression.export.gguf_write import to_gguf
from tasks.compression.export.mixtures import KEEPS_ZEROS, QUANTISATIONS, tensor_type
from tests.tasks.compression import served
from tests.tasks.compression.conftest import make_artifact

# Largest error of one weight as a share of the largest weight in its block (half a step of the coarsest scale that
# llama.cpp may pick).
BOUND = {
    "F32": 0.0,
    "F16": 2**-10,
    "Q8_0": 0.0045,
    "Q6_K": 0.033,
    "Q5_K": 0.07,
    "Q4_K": 0.14,
    "Q4_0": 0.13,
    "Q4_1": 0.13,
    "Q3_K": 0.27,
}
PROMPTS = ["Sort these", "def double", "The cat's whiskers", '{"name": "wea', "What is 12", "Reverse the word"]
TRICKY = [
    "",
    " ",
    "\n",
    "\t\t\n\n  x",
    "Hello, world!  Two  spaces",
    "can't WON'T I'LL we'Ve",
    "1 12 123 1234 12345678.90",
    "東京 Köln naïve 👩‍👩‍👧 é",
    "a\u2028b\u0085c\u00a0d",
    "\r\n\r\n mixed \r",
    "<|eot_id|> <|begin_of_text|>x<|start_header_id|>user<|end_header_id|>",
    "def f(x):\n    return x**2  # ok\n",
    "...!!!???---",
    "'s 't 're",
    "\x00\x01\x7f",
    "ﬁ ½ ² Ⅷ ٣٤",
]


def tensors(gguf: Artifact) -> dict[str, Any]:
    return {tensor.name: tensor for tensor in GGUFReader(store.open(gguf) / "model.gguf").tensors}


def dequantised(tensor: Any) -> np.ndarray:
    values = quants.dequantize(tensor.data, tensor.tensor_type)
    return values.reshape([int(size) for size in reversed(tensor.shape)])


def source(model: Artifact) -> dict[str, np.ndarray]:
    """The Hugging Face weights under GGUF names, queries and keys in llama.cpp's row order, written out by hand for
    this shape."""
    found = {}
    names = {
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
    }
    for name, weight in load_file(store.open(model) / "model.safetensors").items():
        values = weight.float().numpy()
        if name.startswith("model.layers."):
            _, _, layer, *middle, _ = name.split(".")
            part = names[".".join(middle)]
            if part in ("attn_q", "attn_k"):
                heads = {"attn_q": 4, "attn_k": 2}[part]
                size = values.shape[0] // heads
                order = [
                    head * size + half * size // 2 + i
                    for head in range(heads)
                    for i in range(size // 2)
                    for half in range(2)
                ]
                values = values[order]
            found[f"blk.{layer}.{part}.weight"] = values
        else:
            found[
                {
                    "model.embed_tokens.weight": "token_embd.weight",
                    "model.norm.weight": "output_norm.weight",
                    "lm_head.weight": "output.weight",
                }[name]
            ] = values
    return found


@pytest.mark.parametrize("quantisation", QUANTISATIONS)
def test_every_weight_is_within_its_types_error(model: Artifact, quantisation: str) -> None:
    written, weights = tensors(to_gguf(model, quantisation)), source(model)
    assert set(written) == set(weights)
    for name, weight in weights.items():
        back, kind = dequantised(written[name]), written[name].tensor_type.name
        assert back.shape == weight.shape
        block = 32 if kind in ("Q8_0", "Q4_0", "Q4_1") else 256
        groups = weight.reshape(-1, block) if weight.size % block == 0 and weight.ndim == 2 else weight.reshape(1, -1)
        allowed = BOUND[kind] * np.abs(groups).max(1, keepdims=True)
        assert (np.abs(back.reshape(groups.shape) - groups) <= allowed).all(), (name, kind)


@pytest.mark.parametrize("quantisation", ["Q8_0", "Q4_0"])
def test_blocks_equal_the_gguf_wheels_own_numpy_quantiser(model: Artifact, quantisation: str) -> None:
    kind = GGMLQuantizationType[quantisation]
    compared = 0
    for name, tensor in tensors(to_gguf(model, quantisation)).items():
        if tensor.tensor_type is kind:
            expected = quants.quantize(source(model)[name], kind)
            assert np.array_equal(expected.reshape(-1), tensor.data.reshape(-1)), name
            compared += 1
    assert compared >= 21


@pytest.mark.parametrize("quantisation", sorted(KEEPS_ZEROS))
def test_types_that_keep_zeros_do(quantisation: str) -> None:
    from tasks.compression.export.quantiser import quantise

    random = np.random.default_rng(0)
    weights = (random.standard_normal((64, 512)) * (random.random((64, 512)) > 0.65)).astype(np.float32)
    kind = tensor_type(quantisation, "blk.1.ffn_up.weight", weights.shape, n_layers=3, tied=True, weighed=False)
    back = quants.dequantize(quantise(weights, kind), kind)
    assert (back[weights == 0] == 0).all()


def test_q5_k_and_q4_k_lose_zeros_which_is_why_a_pruned_model_has_another_file_too() -> None:
    from tasks.compression.export.quantiser import quantise

    random = np.random.default_rng(0)
    weights = (random.standard_normal((64, 512)) * (random.random((64, 512)) > 0.65)).astype(np.float32)
    for kind in (GGMLQuantizationType.Q4_K, GGMLQuantizationType.Q5_K):
        back = quants.dequantize(quantise(weights, kind), kind)
        assert (back[weights == 0] == 0).mean() < 0.5


@pytest.mark.parametrize("quantisation", ["F32", "F16", "Q8_0"])
def test_llama_cpp_says_what_transformers_says(model: Artifact, quantisation: str) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = store.open(model)
    original, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    compared = 0
    with served.llama_cpp(store.open(to_gguf(model, quantisation)) / "model.gguf") as server:
        for prompt in PROMPTS:
            ids = tokenizer(prompt).input_ids
            # llama.cpp keeps keys and values in F16 and rounds activations to 8 bits beside Q8_0 weights: ties may fall
            # either way.
            assert served.chosen(
                original, ids, served.greedy_llama_cpp(server, ids, 16), 0.02 if quantisation != "Q8_0" else 0.15
            ), prompt
            expected = served.next_transformers(original, ids)
            for token, logprob in served.next_llama_cpp(server, ids, 5).items():
                assert logprob == pytest.approx(float(expected[token]), abs=0.01 if quantisation != "Q8_0" else 0.15)
                compared += 1
    assert compared >= 20


def test_llama_cpp_tokenises_like_the_tokenizer(model: Artifact) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(store.open(model))
    with served.llama_cpp(store.open(to_gguf(model, "Q4_0")) / "model.gguf") as server:
        for text in [*TRICKY, *PROMPTS, LLAMA.prompt("What is 12 plus 30?")]:
            assert served.tokenize(server, text, True) == tokenizer(text, add_special_tokens=False).input_ids, text
        rendered = served.ask(server, "/apply-template", {"messages": [{"role": "user", "content": "Hi"}]})["prompt"]
        assert rendered == LLAMA.prompt("Hi")


@pytest.mark.parametrize(
    "options", [{"tied": False, "dtype": "bfloat16"}, {"head_dim": 32}, {"hidden_size": 192, "intermediate_size": 384}]
)
def test_other_shapes_pass_too(options: dict[str, Any]) -> None:
    """An untied head, bf16, heads that do not fill the width, rows that are not whole K-blocks."""
    from transformers import AutoModelForCausalLM

    model = make_artifact(seed=3, steps=15, **options)
    original = AutoModelForCausalLM.from_pretrained(store.open(model), dtype="float32")
    with served.llama_cpp(store.open(to_gguf(model, "F16")) / "model.gguf") as server:
        assert served.chosen(original, [0, 54, 80], served.greedy_llama_cpp(server, [0, 54, 80], 8), 0.02)
    with served.llama_cpp(store.open(to_gguf(model, "Q5_K_M")) / "model.gguf") as server:
        assert len(served.greedy_llama_cpp(server, [0, 54, 80], 4)) == 4


def test_scaled_positions_as_in_llama_3_1() -> None:
    """rope_type llama3 far beyond its original length: without rope_freqs the answers would differ."""
    from transformers import AutoModelForCausalLM

    rope = {
        "rope_type": "llama3",
        "rope_theta": 10000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    }
    model = make_artifact(seed=5, steps=10, rope_parameters=rope)
    original = AutoModelForCausalLM.from_pretrained(store.open(model))
    ids = [0] + [(7 * i) % 400 + 20 for i in range(300)]
    expected = served.next_transformers(original, ids)
    with served.llama_cpp(store.open(to_gguf(model, "F32")) / "model.gguf") as server:
        assert served.chosen(original, ids, served.greedy_llama_cpp(server, ids, 8), 0.02)
        for token, logprob in served.next_llama_cpp(server, ids, 5).items():
            assert logprob == pytest.approx(float(expected[token]), abs=0.02)
    frequencies = rope_frequencies(json.loads((store.open(model) / "config.json").read_text()))
    assert frequencies is not None
    kept = original.model.rotary_emb.inv_freq.numpy()
    plain = 10000.0 ** (-np.arange(0, 64, 2) / 64)
    np.testing.assert_allclose(plain / frequencies, kept, rtol=1e-5)


def test_q5_k_m_of_an_8b_has_the_mixture_and_the_size_that_llama_cpp_publishes() -> None:
    """Llama-3.1-8B in Q5_K_M is 5.33 GiB; every second of its values and down-projections is Q6_K."""
    from tasks.compression.export.quantiser import block_bytes

    shapes = {
        "attn_q": (4096, 4096),
        "attn_k": (1024, 4096),
        "attn_v": (1024, 4096),
        "attn_output": (4096, 4096),
        "ffn_gate": (14336, 4096),
        "ffn_up": (14336, 4096),
        "ffn_down": (4096, 14336),
    }
    named = {f"blk.{i}.{part}.weight": shape for i in range(32) for part, shape in shapes.items()} | {
        "token_embd.weight": (128256, 4096),
        "output.weight": (128256, 4096),
    }
    sizes = {"Q5_K_M": 5.33, "Q4_K_M": 4.58, "Q6_K": 6.14, "Q8_0": 7.95, "Q3_K_M": 3.74, "Q4_0": 4.34}
    for quantisation, gibibytes in sizes.items():
        kinds = {
            name: tensor_type(quantisation, name, shape, n_layers=32, tied=False, weighed=False)
            for name, shape in named.items()
        }
        total = sum(block_bytes(kinds[name], int(np.prod(shape))) for name, shape in named.items())
        assert total / 2**30 == pytest.approx(gibibytes, abs=0.02), quantisation
        if quantisation == "Q5_K_M":
            assert [i for i in range(32) if kinds[f"blk.{i}.attn_v.weight"].name == "Q6_K"] == [
                0,
                1,
                2,
                3,
                6,
                9,
                12,
                15,
                18,
                21,
                24,
                27,
                28,
                29,
                30,
                31,
            ]


def test_the_permutation_loses_nothing() -> None:
    rows = np.arange(8 * 3).reshape(8, 3)
    assert permute(rows, 2)[:, 0].tolist() == [0, 6, 3, 9, 12, 18, 15, 21]


def test_the_file_is_the_same_every_time(model: Artifact) -> None:
    assert to_gguf(model, "Q4_K_M").digest == to_gguf(model, "Q4_K_M").digest


def test_what_cannot_be_written_is_refused(model: Artifact, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="unknown quantisation 'Q9'"):
        to_gguf(model, "Q9")
    with pytest.raises(BadInput, match="is a gguf; give an artifact of kind model"):
        to_gguf(to_gguf(model, "F16"), "F16")
    with store.create("model") as folder:
        for path in store.open(model).iterdir():
            if path.name != "manifest.json":
                (folder.path / path.name).write_bytes(path.read_bytes())
        changed = json.loads((folder.path / "tokenizer.json").read_text())
        changed["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = r"\p{N}{1,2}|\s+"
        (folder.path / "tokenizer.json").write_text(json.dumps(changed))
    with pytest.raises(BadInput, match=r"llama\.cpp has no name for this pre-tokenisation"):
        to_gguf(folder.artifact, "F16")
