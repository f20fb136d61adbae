"""How likely llama.cpp finds a given answer: per-token negative log-likelihood and greedy agreement, in one pass.

The answer is not generated but given, so every token is judged after the same prefix, whatever the model would have
said. Keys and values are float16, llama.cpp's default. Not here: generation (server.py), perplexity as a number
(tasks/evaluation).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from blocks.engines.llama_cpp.native import Context, Model
from configs.errors import BadInput

BATCH = 512


class Scored:
    """One answer. ``nll``: natural-log negative likelihood of each answer token, shape (tokens,), float64. ``agrees``:
    whether it is the token the model would have chosen, shape (tokens,), bool."""

    def __init__(self, logits: np.ndarray, targets: np.ndarray) -> None:
        exact = logits.astype(np.float64)
        top = exact.max(axis=1, keepdims=True)
        self.nll: np.ndarray = (
            np.log(np.exp(exact - top).sum(axis=1)) + top[:, 0] - exact[np.arange(len(targets)), targets]
        )
        self.agrees: np.ndarray = logits.argmax(axis=1) == targets


class Scorer:
    """A loaded model that scores answers; a context manager.

    Args:
        gguf: the model.
        adapter: a LoRA GGUF at full scale, or None.
        context: longest prompt and answer together, tokens.
        threads: CPU threads.

    Raises:
        BadInput: a file is missing or damaged.
    """

    def __init__(self, gguf: Path, *, adapter: Path | None = None, context: int, threads: int) -> None:
        self._path, self._adapter, self._length, self._threads = gguf, adapter, context, threads

    def __enter__(self) -> "Scorer":
        self._model = Model(self._path, vocabulary_only=False)
        try:
            self._context = Context(
                self._model, length=self._length, batch=BATCH, threads=self._threads, adapter=self._adapter
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
                yield Scored(np.empty((0, self._model.n_vocab), np.float32), np.empty(0, np.int64))
                continue
            logits = self._context.logits([*before, *after[:-1]], len(before) - 1)
            yield Scored(logits, np.asarray(after))

    def _ids(self, text: str | Sequence[int], *, goes_on: bool = False) -> list[int]:
        return self._model.tokenize(text, goes_on=goes_on) if isinstance(text, str) else list(text)
