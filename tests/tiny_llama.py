"""A tiny random Llama with a byte-level BPE tokenizer, and a minimal GGUF of it: the smallest real model for tests.

Independent of tasks/training (tokenizer) and tasks/compression (converter), which have golden tests of their own.
"""

from pathlib import Path
from typing import Any

import numpy as np

from blocks.chat_format import BEGIN, END, PAD, SPECIAL_TOKENS, TEMPLATE

LLAMA3_SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEXT = [
    "Sort the words apple, pear and fig. Add 12 and 345. Return the list in reverse order, please.",
    "def add(a, b):\n    return a + b\n\nThe answer is 42. Is Anna taller than Ben? Yes, Anna is taller.",
    "Call the tool weather with city Paris: {\"name\": \"weather\", \"arguments\": {\"city\": \"Paris\"}}",
]


def tokenizer() -> Any:
    """A ``PreTrainedTokenizerFast`` of about 330 tokens with Llama 3's special tokens."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE(ignore_merges=True))
    raw.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3_SPLIT), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(TEXT * 3, trainers.BpeTrainer(vocab_size=330, special_tokens=list(SPECIAL_TOKENS), initial_alphabet=alphabet, show_progress=False))
    fast = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token=BEGIN, eos_token=END, pad_token=PAD, clean_up_tokenization_spaces=False)
    fast.chat_template = TEMPLATE
    return fast


def save(folder: Path, *, seed: int = 0, spread: float = 0.6) -> Path:
    """Write the model and its tokenizer to ``folder``. ``spread`` scales the weights: wide enough for distinct answers."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    words = tokenizer()
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=256, rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, tie_word_embeddings=False,
        bos_token_id=words.bos_token_id, eos_token_id=words.eos_token_id, pad_token_id=words.pad_token_id, initializer_range=spread / 2,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def _permute(weights: np.ndarray, heads: int) -> np.ndarray:
    """Hugging Face's halves-rotary order to llama.cpp's interleaved one. Shape (out, in) stays."""
    return weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:]).swapaxes(1, 2).reshape(weights.shape)


def _tensors(folder: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(folder / "model.safetensors")


NAMES = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip


def write_gguf(folder: Path, target: Path, quantization: str = "F32") -> Path:
    """The model of :func:`save` as GGUF; ``quantization`` of the matrices: F32, F16 or Q8_0."""
    import gguf
    from transformers import AutoConfig, AutoTokenizer

    config, words = AutoConfig.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    writer = gguf.GGUFWriter(target, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    vocabulary = sorted(words.get_vocab().items(), key=lambda item: item[1])
    special = set(words.all_special_tokens) | set(SPECIAL_TOKENS)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types([gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token, _ in vocabulary])
    import json

    merges = json.loads(words.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_bos_token_id(words.bos_token_id)
    writer.add_eos_token_id(words.eos_token_id)
    writer.add_pad_token_id(words.pad_token_id)
    writer.add_chat_template(TEMPLATE)
    kind = gguf.GGMLQuantizationType[quantization]
    for name, weights in _tensors(folder).items():
        if name.endswith("q_proj.weight"):
            weights = _permute(weights, config.num_attention_heads)
        if name.endswith("k_proj.weight"):
            weights = _permute(weights, config.num_key_value_heads)
        kept = weights.ndim == 1 or quantization == "F32"
        data = weights.astype(np.float32) if kept else gguf.quantize(weights.astype(np.float32), kind)
        writer.add_tensor(_gguf_name(name), data, raw_dtype=None if kept or quantization == "F16" else kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def _gguf_name(name: str) -> str:
    flat = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight"}
    if name in flat:
        return flat[name]
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{NAMES[rest.removesuffix('.weight')]}.weight"


def save_adapter(folder: Path, base: Path, *, seed: int, rank: int = 4, alpha: int = 16) -> Path:
    """A random LoRA on q, v and down of every layer, as a PEFT folder."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    wrapped = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=rank, lora_alpha=alpha, target_modules=["q_proj", "v_proj", "down_proj"], task_type="CAUSAL_LM"))
    for name, values in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(values, std=0.3)
    wrapped.save_pretrained(folder)
    return folder


def write_adapter_gguf(folder: Path, base: Path, target: Path) -> Path:
    """The adapter of :func:`save_adapter` as GGUF."""
    import json

    import gguf
    from safetensors.numpy import load_file
    from transformers import AutoConfig

    config, lora = AutoConfig.from_pretrained(base), json.loads((folder / "adapter_config.json").read_text())
    writer = gguf.GGUFWriter(target, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(lora["lora_alpha"]))
    for name, weights in load_file(folder / "adapter_model.safetensors").items():
        inner = name.removeprefix("base_model.model.")
        matrix, side = inner.rsplit(".lora_", 1)
        if side.startswith("B") and matrix.endswith("q_proj"):
            weights = _permute(weights, config.num_attention_heads)
        writer.add_tensor(f"{_gguf_name(matrix + '.weight')}.lora_{side[0].lower()}", weights.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target
