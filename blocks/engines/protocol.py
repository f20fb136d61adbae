"""The one face of every engine: what evaluation, agreement and serving ask of whatever answers.

Not here: making one (loading.py), the engines themselves (llama_cpp/, transformers.py, openai_http.py).
"""

from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Protocol, Self

from blocks.engines.completion import Completion, Scored
from blocks.engines.description import EngineDescription
from blocks.models.template import Template

Text = str | Sequence[int]
"""A rendered conversation (blocks/models/template.py), or its token ids."""


def unheard(done: int) -> None:
    """Nobody is told how many prompts are answered."""


class Engine(Protocol):
    """A loaded model; a context manager. Adapters are chosen per call, by name."""

    description: EngineDescription

    @property
    def template(self) -> Template:
        """The model's chat format."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def encode(self, texts: Sequence[str], *, goes_on: bool = False) -> list[list[int]]:
        """Token ids of rendered conversations, none added. ``goes_on``: they are answers, which go on where a prompt
        ended."""
        ...

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
        """Answer every prompt, in their order.

        Args:
            prompts: rendered conversations or token ids.
            max_tokens: longest answer, tokens.
            adapter: name of a loaded adapter; None is the base model.
            temperature: 0 is greedy.
            stop: strings that end an answer (not part of it); the model's closing token always does.
            logprobs: report tokens and their log-probabilities.
            seed: of sampling, the same for every prompt.
            advance: told the number of prompts answered since it was last told.

        Raises:
            BadInput: an unknown adapter, an empty or too long prompt.
        """
        ...

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
        """Pieces of one answer as they come. Leaving the loop early stops the generation.

        Raises:
            BadInput: as in :meth:`complete`.
        """
        ...

    def score(self, pairs: Sequence[tuple[Text, Text]], *, adapter: str | None = None) -> Iterator[Scored]:
        """The likelihood of given answers: (prompt, answer) tokenised apart, scored by the same keys and values as
        :meth:`complete` keeps.

        Raises:
            BadInput: an unknown adapter, an empty prompt, a pair longer than the context, or a server that cannot do
                this.
        """
        ...
