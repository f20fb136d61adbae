"""A GGUF file answered by llama.cpp itself, and the same model by transformers, both greedily from token ids."""

import json
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from blocks.models import template

END_TOKENS = [
    template.SPECIAL_TOKENS.index(token) for token in (template.END, template.END_TEXT)
]  # special tokens come first in the vocabulary


@contextmanager
def llama_cpp(gguf: Path, adapters: Sequence[Path] = ()) -> Iterator[Any]:
    """A llama.cpp server on ``gguf`` with ``adapters`` at full scale."""
    import xllamacpp as x

    params = x.CommonParams()
    params.model.path = str(gguf)
    params.n_ctx, params.n_parallel, params.verbosity, params.warmup = 512, 1, -1, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 2
    params.cache_ram_mib = 0
    params.hostnames, params.port = ["127.0.0.1"], 0
    if adapters:
        params.lora_adapters = [x.CommonAdapterLoraInfo(str(path), 1.0) for path in adapters]
    server = x.Server(params)
    yield server
    del server


def ask(server: Any, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """POST to the server's own HTTP interface."""
    request = urllib.request.Request(
        server.listening_address + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read())


def greedy_llama_cpp(server: Any, prompt: list[int], count: int) -> list[int]:
    """The next ``count`` greedy token ids."""
    body = {
        "prompt": prompt,
        "n_predict": count,
        "temperature": 0,
        "top_k": 1,
        "return_tokens": True,
        "ignore_eos": True,
        "cache_prompt": False,
    }
    return ask(server, "/completion", body)["tokens"]


def next_llama_cpp(server: Any, prompt: list[int], count: int) -> dict[int, float]:
    """Log-probabilities of the ``count`` likeliest next tokens; empty where the likeliest is half a character
    (llama.cpp then reports none)."""
    found = ask(
        server,
        "/completion",
        {"prompt": prompt, "n_predict": 1, "temperature": 0, "n_probs": count, "cache_prompt": False},
    )
    return {
        entry["id"]: entry["logprob"]
        for entry in next(iter(found.get("completion_probabilities", [])), {"top_logprobs": []})["top_logprobs"]
    }


def tokenize(server: Any, text: str, special: bool) -> list[int]:
    """llama.cpp's token ids of ``text``; ``special`` reads special tokens in it as such."""
    return ask(server, "/tokenize", {"content": text, "add_special": False, "parse_special": special})["tokens"]


def next_transformers(model: Any, prompt: list[int]) -> Any:
    """Log-probabilities of every next token (vocabulary,)."""
    import torch

    with torch.no_grad():
        return model(torch.tensor([prompt])).logits[0, -1].float().log_softmax(-1)


def greedy_transformers(model: Any, prompt: list[int], count: int) -> list[int]:
    """The next ``count`` greedy token ids."""
    ids = list(prompt)
    for _ in range(count):
        ids.append(int(next_transformers(model, ids).argmax()))
    return ids[len(prompt) :]


def chosen(model: Any, prompt: list[int], answer: list[int], tie: float) -> bool:
    """Whether every token of ``answer`` is transformers' own choice after what comes before it, or within ``tie`` nats
    of it. Tokens that end an answer are left out of the choice, as llama.cpp was told (``ignore_eos``)."""
    for i, token in enumerate(answer):
        expected = next_transformers(model, prompt + answer[:i])
        expected[END_TOKENS] = float("-inf")
        if expected[token] < expected.max() - tie:
            return False
    return True
