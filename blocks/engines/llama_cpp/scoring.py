"""How likely llama.cpp finds a given answer: per-token negative log-likelihood and greedy agreement, in one pass.

The answer is not generated but given, so every token is judged after the same prefix, whatever the model would have
said. Keys and values are kept in the types that are served. Not here: generation (server.py), perplexity as a number
(tasks/evaluation).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from blocks.engines.completion import Scored, scored
from blocks.engines.llama_cpp.native import Context, Model
from configs.errors import BadInput
from configs.phases.evaluation import CacheType

BATCH = 512


class Scorer:
    """A loaded model that scores answers; a context manager.

    Args:
        gguf: the model.
        adapter: a LoRA GGUF, or None; ``scale`` is what it is multiplied with.
        context: longest prompt and answer together, tokens.
        threads: CPU threads.
        cache_types: of the stored keys and values.
        gpu_layers: as in LlamaCpp (server.py).

    Raises:
        BadInput: a file is missing or damaged.
    """

    def __init__(
        self,
        gguf: Path,
        *,
        adapter: Path | None = None,
        scale: float = 1.0,
        context: int,
        threads: int,
        cache_types: tuple[CacheType, CacheType] = ("f16", "f16"),
        gpu_layers: int = -1,
    ) -> None:
        self._path, self._adapter, self._scale, self._length, self._threads = gguf, adapter, scale, context, threads
        self._cache_types, self._gpu_layers = cache_types, gpu_layers

    def __enter__(self) -> "Scorer":
        self._model = Model(self._path, vocabulary_only=False, gpu_layers=self._gpu_layers)
        try:
            self._context = Context(
                self._model,
                length=self._length,
                batch=BATCH,
                threads=self._threads,
                adapter=self._adapter,
                scale=self._scale,
                cache_types=self._cache_types,
            )
        except BaseException:
            self._model.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.close()
        self._model.close()

    def score(self, pairs: Sequence[tuple[str | Sequence[int], str | Sequence[int]]]) -> Iterator[Scored]:
        """Score each (prompt, answer); both as chat-format text or token ids, tokenised apart.

        Raises:
            BadInput: an empty prompt, or a pair longer than the context.
        """
        for number, (prompt, answer) in enumerate(pairs):
            before, after = self._ids(prompt), self._ids(answer, goes_on=True)
            if not before:
                raise BadInput(f"pair {number}: the prompt is empty; begin it with the chat format's opening token")
            if len(before) + len(after) > self._length:
                raise BadInput(
                    f"pair {number}: {len(before)} + {len(after)} tokens do not fit a context of {self._length}; raise "
                    "the context"
                )
            if not after:
                yield Scored(np.empty(0), np.empty(0, bool))
                continue
            logits = self._context.logits([*before, *after[:-1]], len(before) - 1)
            yield scored(logits, np.asarray(after))

    def _ids(self, text: str | Sequence[int], *, goes_on: bool = False) -> list[int]:
        return self._model.tokenize(text, goes_on=goes_on) if isinstance(text, str) else list(text)
