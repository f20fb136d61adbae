"""``cogumi chat``: talk to a release at a terminal. Not here: how an answer is made (serving/responder.py)."""

import sys

from blocks import store
from blocks.chat_format import Message
from deployments.serving.responder import Reply, Responder
from tasks.release.current import current


def chat(prompt: str | None, why: bool, release: str | None) -> None:
    """Answer ``prompt`` and return, or read questions until the input ends.

    Raises:
        BadInput: there is no release, or its files are damaged.
    """
    folder = store.open(current(release).release)
    with Responder(folder) as responder:
        if prompt is not None:
            _show(responder.reply([Message(role="user", content=prompt)]), why)
            return
        print("Ask something; an empty line ends.", file=sys.stderr)
        history: list[Message] = []
        while line := _read():
            history.append(Message(role="user", content=line))
            reply = responder.reply(history)
            history.append(Message(role="assistant", content=reply.text))
            _show(reply, why)


def _read() -> str:
    try:
        return input("> " if sys.stdin.isatty() else "").strip()
    except EOFError:
        return ""


def _show(reply: Reply, why: bool) -> None:
    print(reply.text, flush=True)
    if why:
        print(f"  [{reply.why}]", flush=True)
