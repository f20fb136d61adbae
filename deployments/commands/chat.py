"""``cogumi chat``: talk to a release at a terminal. Not here: how an answer is made (serving/responder.py)."""

import io
import sys
from collections.abc import Callable, Sequence

from blocks import store
from blocks.models.template import Message
from blocks.printable import plain
from configs.errors import BadInput
from deployments.serving.recording import Recorder, sound
from deployments.serving.responder import Reply, Responder
from deployments.terminal.console import complain, remark, say
from tasks.release.current import current

NOTHING = "(no answer: it broke off within its reasoning)"
REMARKS = {"/good": True, "/bad": False}


def chat(prompt: str | None, why: bool, release: str | None) -> None:
    """Answer ``prompt`` and return, or read questions until the input ends. ``/good`` and ``/bad`` remark on the last
    answer.

    Raises:
        BadInput: there is no release, its files are damaged, or the prompt is empty or too long.
    """
    if prompt is not None and not prompt.strip():
        raise BadInput("--prompt is empty; ask something")
    artifact = current(release).release
    with Responder(store.open(artifact)) as responder:
        conversation = Conversation(responder.reply, Recorder(artifact, responder.description), why)
        if prompt is not None:
            conversation.ask(prompt)
            return
        remark("Ask something; /good or /bad says what an answer was worth; an empty line ends.")
        conversation.go_on()


class Conversation:
    """Questions and answers so far; prints the answers."""

    def __init__(self, reply: Callable[[Sequence[Message]], Reply], recorder: Recorder, why: bool) -> None:
        self._reply, self._recorder, self._why = reply, recorder, why
        self._history: list[Message] = []
        self._answer: str | None = None

    def ask(self, question: str) -> None:
        """Answer ``question``.

        Raises:
            BadInput: it is too long; then it was not asked.
        """
        asked = [*self._history, Message(role="user", content=sound(question))]
        reply = self._reply(asked)
        self._answer = self._recorder.answer(asked, reply)
        self._history = [*asked, Message(role="assistant", content=reply.text)]
        say(reply.text if plain(reply.text) else NOTHING)
        if self._why:
            say(f"  [{reply.why}]")

    def go_on(self) -> None:
        """Answer line by line until an empty one. A person may ask again what was too long; input from a file ends
        there.

        Raises:
            BadInput: as in :meth:`ask`, where nobody is at the terminal.
        """
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")  # bytes that are no text
        while line := _read():
            if line in REMARKS:
                recorded = self._answer is not None and self._recorder.remark(self._answer, REMARKS[line])
                remark("noted" if recorded else "no recorded answer to remark on")
            elif line.startswith("/") and line[1:].isalpha():
                remark(f"there is no {line}; there are {' and '.join(REMARKS)}, and an empty line ends")
            else:
                try:
                    self.ask(line)
                except BadInput as error:
                    if not sys.stdin.isatty():
                        raise
                    complain(str(error))


def _read() -> str:
    if sys.stdin is None:  # closed by whoever started this
        return ""
    try:
        return input("> " if sys.stdin.isatty() else "").strip()
    except EOFError:
        return ""
