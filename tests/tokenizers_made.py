"""Small tokenizers of every kind that a student may bring, trained here, with chat templates of real models."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blocks.models.sentencepiece import BYTES, SPACE
from blocks.models.template import SPECIAL_TOKENS, TEMPLATE

GPT2_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
SMOLLM2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
QWEN2 = SMOLLM2.replace("AI assistant named SmolLM, trained by Hugging Face", "assistant.")
CHATML = "{% for message in messages %}" + SMOLLM2[SMOLLM2.index("{{'<|im_start|>' +") :]
# Qwen 3's, without its tools: the assistant's last turn has a thinking block, earlier ones have none.
QWEN3 = (
    "{%- set ns = namespace(last_query_index=messages|length - 1) %}"
    "{%- for message in messages[::-1] %}{%- set index = (messages|length - 1) - loop.index0 %}"
    "{%- if message.role == 'user' and ns.last_query_index == messages|length - 1 and message.content is string %}"
    "{%- set ns.last_query_index = index %}{%- endif %}{%- endfor %}"
    "{%- for message in messages %}{%- if message.role == 'user' or message.role == 'system' %}"
    "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}"
    "{%- elif message.role == 'assistant' %}{%- set content = message.content %}{%- set reasoning_content = '' %}"
    "{%- if '</think>' in message.content %}{%- set content = message.content.split('</think>')[-1].lstrip('\\n') %}"
    "{%- endif %}{%- if loop.index0 > ns.last_query_index and loop.last %}"
    "{{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content + '\\n</think>\\n\\n' + content }}"
    "{%- else %}{{- '<|im_start|>' + message.role + '\\n' + content }}{%- endif %}{{- '<|im_end|>\\n' }}{%- endif %}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}"
    "{%- endif %}"
)
ZEPHYR = (
    "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' + message['content'] + "
    "eos_token }}\n{% elif message['role'] == 'system' %}\n{{ '<|system|>\n' + message['content'] + eos_token }}\n"
    "{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n"
    "{% endif %}\n{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}"
)
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}{% endif %}{% endfor %}"
)
TEXTS = [
    *("Say apple pear", "What is 12 plus 345?", "def add(a, b):\n    return a + b  # adds", "user assistant system\n"),
    *("It's the cat's, they'll say; I'd've known.", "Äpfel über alles, naïve café", "日本語のテキスト", "Привет, мир"),
    *(
        "<draft>one</draft><thinking>two</thinking>three",
        "  spaces   and\ttabs\n\n\nlines",
        "🙂 🙃 👨‍👩‍👧",
        "x = [1, 2, {3: 4}]",
    ),
]
_BASE = r"[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|" + _BASE


def byte_level(kind: str, template: str | None, special: dict[str, str], tokens: tuple[str, ...]) -> Any:
    """A byte-level BPE with the pre-tokenisation that llama.cpp calls ``kind``."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    raw = Tokenizer(models.BPE(ignore_merges=kind == "llama-bpe"))
    split = {
        "llama-bpe": [pre_tokenizers.Split(Regex(_WORDS + r"\p{N}{1,3}|" + _REST), "isolated")],
        "qwen2": [pre_tokenizers.Split(Regex(_WORDS + r"\p{N}|" + _REST), "isolated")],
        "smollm": [pre_tokenizers.Digits(individual_digits=True)],
        "gpt-2": [],
    }[kind]
    by_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind in ("smollm", "gpt-2"))
    raw.pre_tokenizer = pre_tokenizers.Sequence([*split, by_level]) if split else by_level
    if kind == "qwen2":
        raw.normalizer = normalizers.NFC()
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(tokens),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(TEXTS, trainer)
    return _finished(raw, template, special)


def sentence_piece(template: str | None, scheme: str) -> Any:
    """A SentencePiece BPE with byte fallback.

    ``scheme``: who puts a space before a text: legacy (a normaliser), always, first, never.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    spaced = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    metaspace = None if scheme == "legacy" else pre_tokenizers.Metaspace(SPACE, prepend_scheme=scheme, split=False)
    learned = Tokenizer(models.BPE())
    learned.normalizer, learned.pre_tokenizer = spaced, pre_tokenizers.Metaspace(SPACE, split=True)
    plain = [text for text in TEXTS if text.isascii()]
    learned.train_from_iterator(plain, trainers.BpeTrainer(vocab_size=160, show_progress=False))
    pieces = [
        text for text, _ in sorted(learned.get_vocab().items(), key=lambda one: one[1]) if not {*text} & {"\n", "\t"}
    ]
    runs = [SPACE * length for length in (2, 3, 4, 8)]  # real ones have runs of spaces, all of one score
    ids = {text: number for number, text in enumerate(["<unk>", "<s>", "</s>", *BYTES, *dict.fromkeys(pieces), *runs])}
    merges = [  # as transformers makes them of a SentencePiece model: all splits of a token, best token first
        (text[:at], text[at:]) for text in pieces for at in range(1, len(text)) if text[:at] in ids and text[at:] in ids
    ]
    halves = [(run[:at], run[at:]) for run in runs for at in range(1, len(run)) if {run[:at], run[at:]} <= ids.keys()]
    merges += sorted(halves, key=lambda pair: (len(pair[0]), len(pair[1])), reverse=True)
    raw = Tokenizer(models.BPE(ids, merges, fuse_unk=True, byte_fallback=True, unk_token="<unk>"))
    if metaspace is None:
        raw.normalizer = spaced
    else:
        raw.pre_tokenizer = metaspace
    raw.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    raw.add_special_tokens(["<unk>", "<s>", "</s>"])
    return _finished(raw, template, {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"})


def _finished(raw: Any, template: str | None, special: dict[str, str]) -> Any:
    from transformers import PreTrainedTokenizerFast

    fast = PreTrainedTokenizerFast(tokenizer_object=raw, **special, clean_up_tokenization_spaces=False)
    fast.chat_template = template
    return fast


_LLAMA3 = {"bos_token": SPECIAL_TOKENS[0], "eos_token": SPECIAL_TOKENS[4], "pad_token": SPECIAL_TOKENS[5]}
_SMOL = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "unk_token": "<|endoftext|>"}
_QWEN = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
MADE: dict[str, Callable[[], Any]] = {
    "llama-bpe": lambda: byte_level("llama-bpe", TEMPLATE, _LLAMA3, SPECIAL_TOKENS),
    "smollm": lambda: byte_level("smollm", SMOLLM2, _SMOL, GPT2_TOKENS),
    "qwen2": lambda: byte_level("qwen2", QWEN2, _QWEN, GPT2_TOKENS),
    "qwen3": lambda: byte_level("qwen2", QWEN3, _QWEN, GPT2_TOKENS),
    "gpt-2": lambda: byte_level("gpt-2", CHATML, _SMOL, GPT2_TOKENS),
    "tinyllama": lambda: sentence_piece(ZEPHYR, "legacy"),
    "metaspace": lambda: sentence_piece(ZEPHYR, "always"),
    "metaspace first": lambda: sentence_piece(MISTRAL, "first"),
}


def folder_of(name: str, folder: Path, tokenizer_class: str | None = None) -> Path:
    """A folder with the tokenizer, as its model's authors would publish it: ``tokenizer_class`` is what they name."""
    MADE[name]().save_pretrained(folder)
    if tokenizer_class:
        path = folder / "tokenizer_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"tokenizer_class": tokenizer_class}))
    return folder
