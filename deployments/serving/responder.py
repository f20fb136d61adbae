"""Answer a conversation from a release folder: the base first, the router decides, then perhaps one modifier.

Not here: the router's decision (tasks/routing/decide.py), HTTP and terminals.
"""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from blocks.cores import at_most, cores
from blocks.engines.loading import Files, Running, load
from blocks.models.sections import Sections, sections
from blocks.models.template import Message
from blocks.records import Record
from configs.errors import BadInput, CogumiError
from tasks.release import contents
from tasks.routing.decide import BASE, Decision, Router


class Reply(Record):
    """An answer: its sections as written, the router's decision, the seconds it took, and why the base answered
    although a modifier was chosen (None: it did not)."""

    sections: Sections
    decision: Decision
    seconds: float
    fallback: str | None = None

    @property
    def text(self) -> str:
        """What the person asked for, without draft and thinking."""
        return self.sections.shown

    @property
    def why(self) -> str:
        """The decision in one line for people."""
        failed = f"; the base answered after all: {self.fallback}" if self.fallback else ""
        return f"{self.decision.choice}: {self.decision.reason}{failed}; {self.seconds:.2f} s"


class Responder:
    """A release, loaded; a context manager. ``threads`` defaults to the processors this process may use."""

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        self.description = contents.describe(folder)
        self._router = Router.load(folder / contents.ROUTER)
        adapters = {name: folder / part.path for name, part in self.description.modifiers.items()}
        threads = at_most(threads) if threads else cores()
        base = contents.base_file(folder, self.description)
        self._model = load(self.description.engine, Files(base, adapters), Running(threads=threads))

    def __enter__(self) -> "Responder":
        self._model.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._model.__exit__(kind, error, trace)

    def reply(self, messages: Sequence[Message]) -> Reply:
        """Answer the last message of a conversation. Old turns are left out, oldest first, where the context is too
        short.

        Raises:
            BadInput: the last message alone does not fit the context.
        """
        prompt = self._fitting(messages)
        first = self._model.complete([prompt], max_tokens=self.description.answer_tokens)[0]
        decision = self._router.decide(messages[-1].content, first.logprobs)
        chosen, seconds, fallback = first, first.seconds, None
        if decision.choice != BASE:
            try:
                chosen = self._model.complete(
                    [prompt], max_tokens=self.description.answer_tokens, adapter=decision.choice
                )[0]
                seconds += chosen.seconds
            except CogumiError as error:  # an answer is there; a modifier that fails shall not take it away
                fallback = str(error)
        return Reply(sections=sections(chosen.text), decision=decision, seconds=seconds, fallback=fallback)

    def _fitting(self, messages: Sequence[Message]) -> str:
        room = self.description.context_tokens - min(
            self.description.answer_tokens, self.description.context_tokens // 2
        )
        for start in range(0, len(messages), 2):
            prompt = self._model.template.render(messages[start:], generate=True)
            count = len(self._model.encode([prompt])[0])
            if count <= room:
                return prompt
        if count >= self.description.context_tokens:
            raise BadInput(
                f"the question has {count} tokens with its frame, and this release reads and writes "
                f"{self.description.context_tokens} in all; shorten it"
            )
        return prompt
