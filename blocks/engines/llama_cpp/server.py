"""llama.cpp's server inside this process: answers many prompts at once, switches adapters per request, drafts ahead.

What is guarded here: adapters load at scale 0 and every request names every scale (an empty list would mean the scale
at load); the server's prompt cache is off for :meth:`LlamaCpp.complete`, whose answers then do not depend on what was
asked before, and wherever adapters are loaded, since not every version of llama.cpp knows which adapter filled it;
prompts are tokenised here, so that no opening token is added twice and a prompt that is too long is named.
Not here: HTTP (deployments/serving), scoring of given answers (scoring.py).
"""

import logging
import queue
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from blocks.engines.completion import Completion, Scored, from_llama_server, refuse_error
from blocks.engines.description import EngineDescription
from blocks.engines.llama_cpp.native import Model, check, library
from blocks.engines.llama_cpp.scoring import Scorer
from blocks.engines.protocol import Text, unheard
from blocks.models.template import Template
from configs.errors import BadInput, CogumiError

log = logging.getLogger("cogumi.llama_cpp")
DRAFT_TOKENS = 5  # longest proposal of a draft model where the description says none


class LlamaCpp:
    """A loaded GGUF model (blocks/engines/protocol.py). Calls may come from several threads.

    Args:
        gguf: the model.
        description: context, cache types, adapters' scales, longest proposal of the draft model. A quantised cache of
            values needs flash attention, which llama.cpp then turns on.
        adapters: LoRA GGUF files by name; a request names the one it wants.
        draft: a small GGUF model with the same vocabulary, for speculative decoding: another speed, and the same greedy
            answers but for ties that rounding decides. It drafts for the base; under an adapter few of its tokens are
            kept.
        threads: CPU threads.
        slots: prompts answered at the same time; further ones wait.
        gpu_layers: layers on the GPU; 0 none, -1 all that fit. Nothing where llama.cpp was built without one.

    Raises:
        BadInput: a file is missing, damaged, or does not fit the model.
    """

    def __init__(
        self,
        gguf: Path,
        description: EngineDescription,
        *,
        adapters: Mapping[str, Path] | None = None,
        draft: Path | None = None,
        threads: int,
        slots: int,
        gpu_layers: int = -1,
    ) -> None:
        self._gguf, self.description, self._adapters, self._draft = gguf, description, dict(adapters or {}), draft
        self.context, self._threads, self._slots, self._gpu_layers = description.context, threads, slots, gpu_layers
        self._cache_types = (description.cache_type_k, description.cache_type_v)
        self._ids = {name: number for number, name in enumerate(self._adapters)}

    def __enter__(self) -> "LlamaCpp":
        for path in [self._gguf, *self._adapters.values(), *([self._draft] if self._draft else [])]:
            check(path)
        self._vocabulary = Model(self._gguf, vocabulary_only=True)
        try:
            self._server = self._start()
        except RuntimeError:
            self._vocabulary.close()
            what = " and ".join(
                str(path) for path in [self._gguf, *self._adapters.values(), *([self._draft] if self._draft else [])]
            )
            quantised = [kind for kind in self._cache_types if kind.startswith("q")]
            cache = (
                f", or too narrow for a {quantised[0]} cache (heads must be a multiple of 32 wide)" if quantised else ""
            )
            raise BadInput(
                f"llama.cpp cannot load {what}: damaged, not made for each other{cache}; export again"
            ) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server = None
        self._vocabulary.close()

    def _start(self) -> Any:
        import xllamacpp

        library()  # silences the log before anything speaks
        params = xllamacpp.CommonParams()
        params.verbosity = -1
        params.model.path = str(self._gguf)
        params.n_parallel, params.n_ctx = self._slots, self.context * self._slots
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = self._threads
        params.cache_type_k, params.cache_type_v = (
            xllamacpp.ggml_type[f"GGML_TYPE_{kind.upper()}"] for kind in self._cache_types
        )
        params.n_gpu_layers = params.speculative.draft.n_gpu_layers = self._gpu_layers
        params.fit_params = params.warmup = params.ui = False
        params.cache_ram_mib = params.n_ctx_checkpoints = 0
        params.cache_idle_slots = False
        params.slot_prompt_similarity = 0.0
        params.endpoint_slots = False
        params.api_keys = [secrets.token_hex(16)]  # the server also listens on 127.0.0.1: closed to everyone
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(path), 0.0) for path in self._adapters.values()]
        if self._draft is not None:
            params.speculative.types = [xllamacpp.common_speculative_type.COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE]
            params.speculative.draft.mparams.path = str(self._draft)
            params.speculative.draft.n_max = self.description.draft_tokens or DRAFT_TOKENS
            params.speculative.draft.cpuparams.n_threads = params.speculative.draft.cpuparams_batch.n_threads = (
                self._threads
            )
        server = xllamacpp.Server(params)
        # A server that is stopped before its loop has begun never ends; one answer shows that it has.
        server.handle_completions({"prompt": [0], "n_predict": 1})
        return server

    @property
    def template(self) -> Template:
        """The model's chat format."""
        return self._vocabulary.template

    def tokenize(self, text: str) -> list[int]:
        """Token ids of chat-format text, none added."""
        return self._vocabulary.tokenize(text)

    def encode(self, texts: Sequence[str], *, goes_on: bool = False) -> list[list[int]]:
        """See the protocol."""
        return [self._vocabulary.tokenize(text, goes_on=goes_on) for text in texts]

    def complete(
        self,
        prompts: Sequence[Text],
        *,
        max_tokens: int,
        adapter: str | None = None,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
        logprobs: bool = True,
        seed: int = 0,
        advance: Callable[[int], None] = unheard,
    ) -> list[Completion]:
        """See the protocol; as many at a time as there are slots, in one request, whose batches are the same every
        time. No log-probabilities with a draft model, for which llama.cpp reports zeros."""
        ids = [self._prompt(number, prompt) for number, prompt in enumerate(prompts)]
        if not ids:
            return []
        request = self._request(
            prompt=ids if len(ids) > 1 else ids[0],
            max_tokens=max_tokens,
            adapter=adapter,
            temperature=temperature,
            stop=stop,
            seed=seed,
        )
        if logprobs and self._draft is None:
            request["n_probs"] = request["logprobs"] = 1
        started = time.monotonic()
        reply = self._server.handle_completions(request)
        found = from_llama_server(reply, [len(one) for one in ids], time.monotonic() - started)
        advance(len(found))
        return found

    def stream(
        self,
        prompt: Text,
        *,
        max_tokens: int,
        adapter: str | None = None,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
        seed: int = 0,
    ) -> Iterator[str]:
        """See the protocol."""
        request = self._request(
            prompt=self._prompt(0, prompt),
            max_tokens=max_tokens,
            adapter=adapter,
            temperature=temperature,
            stop=stop,
            seed=seed,
        )
        request |= {"stream": True, "cache_prompt": not self._adapters}
        pieces: queue.SimpleQueue[str | BaseException | None] = queue.SimpleQueue()
        left = threading.Event()

        def take(chunk: dict[str, Any]) -> bool:
            try:
                refuse_error(chunk)
                pieces.put("".join(choice["text"] for choice in chunk["choices"]))
            except CogumiError as error:
                pieces.put(error)
            return left.is_set()

        def run() -> None:
            try:
                self._server.handle_completions(request, take)
                pieces.put(None)
            except BaseException as error:
                pieces.put(error)

        worker = threading.Thread(target=run, name="llama-cpp-stream", daemon=True)
        worker.start()
        try:
            while (piece := pieces.get()) is not None:
                if isinstance(piece, BaseException):
                    raise piece
                if piece:
                    yield piece
        finally:
            left.set()
            worker.join()

    def score(self, pairs: Sequence[tuple[Text, Text]], *, adapter: str | None = None) -> Iterator[Scored]:
        """See the protocol. The file is loaded a second time (mapped, so that the pages are shared)."""
        self._refuse_unknown(adapter)
        with Scorer(
            self._gguf,
            adapter=self._adapters[adapter] if adapter is not None else None,
            scale=self._scale(adapter),
            context=self.context,
            threads=self._threads,
            cache_types=self._cache_types,
            gpu_layers=self._gpu_layers,
        ) as scorer:
            yield from scorer.score(pairs)

    def _scale(self, adapter: str | None) -> float:
        return self.description.scales.get(adapter, 1.0) if adapter is not None else 1.0

    def _refuse_unknown(self, adapter: str | None) -> None:
        if adapter is not None and adapter not in self._ids:
            raise BadInput(f"unknown adapter {adapter!r}; loaded are: {', '.join(self._ids) or 'none'}")

    def _prompt(self, number: int, prompt: Text) -> list[int]:
        ids = self.tokenize(prompt) if isinstance(prompt, str) else list(prompt)
        if not ids:
            raise BadInput(f"prompt {number} is empty")
        if len(ids) >= self.context:
            raise BadInput(
                f"prompt {number} has {len(ids)} tokens, which leaves no room for an answer in a context of "
                f"{self.context}; shorten it or raise the context"
            )
        return ids

    def _request(
        self, prompt: Any, max_tokens: int, adapter: str | None, temperature: float, stop: Sequence[str], seed: int
    ) -> dict[str, Any]:
        self._refuse_unknown(adapter)
        return {
            "prompt": prompt,
            "n_predict": max_tokens,
            "temperature": temperature,
            "top_k": 0,
            "top_p": 1.0,
            "min_p": 0.0,
            "seed": seed,
            "stop": list(stop),
            "cache_prompt": False,
            "lora": [
                {"id": number, "scale": self._scale(name) if name == adapter else 0.0}
                for name, number in self._ids.items()
            ],
        }
