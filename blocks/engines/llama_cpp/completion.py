"""What llama.cpp answered: one completion, read from the server's JSON."""

from typing import Any, Literal

from blocks.records import Record
from configs.errors import CogumiError


class Completion(Record):
    """One generated text.

    ``text`` has no special tokens. ``tokens`` and ``logprobs`` (natural log, under the model's own distribution before
    sampling) are parallel and include the closing token; a character made of several tokens is one entry, with the id
    and log-probability of its last token (llama.cpp's server reports no more). Both are empty where they were not asked
    for, and with a draft model.
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


def read(reply: dict[str, Any], prompt_tokens: list[int], seconds: float) -> list[Completion]:
    """The completions of one request, in order of its prompts. ``timings`` describe the first prompt only."""
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
