"""What an engine answered: a completion, and the likelihood of a given answer. Not here: who answers (protocol.py)."""

from typing import Any, Literal, NamedTuple

import numpy as np

from blocks.records import Record
from configs.errors import CogumiError


class Completion(Record):
    """One generated text.

    ``text`` has no special tokens. ``tokens`` and ``logprobs`` (natural log, under the model's own distribution before
    sampling) are parallel and include the closing token; in llama.cpp a character made of several tokens is one entry,
    with the id and log-probability of its last token (its server reports no more). Both are empty where they were not
    asked for, and in llama.cpp with a draft model.
    ``finish``: ``stop`` closing token or stop string, ``length`` cut at ``max_tokens`` or the context's end.
    ``seconds``: wall time from request to answer, of the whole batch it was part of. ``drafted``/``accepted``: tokens
    proposed by the draft model and kept, 0 without one.
    """

    text: str
    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish: Literal["stop", "length"]
    prompt_tokens: int
    seconds: float
    drafted: int = 0
    accepted: int = 0


class Scored(NamedTuple):
    """One answer that was given, not generated. ``nll``: natural-log negative likelihood of each answer token, shape
    (tokens,), float64. ``agrees``: whether it is the token the model would have chosen, shape (tokens,), bool."""

    nll: np.ndarray
    agrees: np.ndarray


def scored(logits: np.ndarray, targets: np.ndarray) -> Scored:
    """``targets`` (tokens,) under ``logits`` (tokens, vocabulary), in float64."""
    exact = logits.astype(np.float64)
    top = exact.max(axis=1, keepdims=True)
    nll = np.log(np.exp(exact - top).sum(axis=1)) + top[:, 0] - exact[np.arange(len(targets)), targets]
    return Scored(nll, logits.argmax(axis=1) == targets)


def from_llama_server(reply: dict[str, Any], prompt_tokens: list[int], seconds: float) -> list[Completion]:
    """The completions of one request to llama.cpp's server, in order of its prompts. ``timings`` describe the first
    prompt only."""
    refuse_error(reply)
    timings = reply.get("timings", {})
    found = []
    for choice, length in zip(sorted(reply["choices"], key=lambda one: one["index"]), prompt_tokens, strict=True):
        entries = (choice["logprobs"] or {}).get("content", [])
        alone = len(prompt_tokens) == 1
        found.append(
            Completion(
                text=choice["text"],
                tokens=tuple(entry["id"] for entry in entries),
                logprobs=tuple(entry["logprob"] for entry in entries),
                finish="stop" if choice["finish_reason"] == "stop" else "length",
                prompt_tokens=length,
                seconds=seconds,
                drafted=timings.get("draft_n", 0) if alone else 0,
                accepted=timings.get("draft_n_accepted", 0) if alone else 0,
            )
        )
    return found


def refuse_error(reply: dict[str, Any]) -> None:
    """Raise what llama.cpp says went wrong."""
    if "error" in reply:
        raise CogumiError(f"llama.cpp refused the request: {reply['error'].get('message', reply['error'])}")
