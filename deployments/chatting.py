"""``cogumi chat``: talk to a release at a terminal. Not here: how an answer is made (serving/responder.py)."""

import sys

from blocks import store
from blocks.chat_format import Message
from deployments.serving.recording import Recorder
from deployments.serving.responder import Reply, Responder
from tasks.release.current import current

REMARKS = {"/good": True, "/bad": False}


def chat(prompt: str | None, why: bool, release: str | None) -> None:
    """Answer ``prompt`` and return, or read questions until the input ends. ``/good`` and ``/bad`` remark on the last answer.

    Raises:
        BadInput: there is no release, or its files are damaged.
    """
    artifact = current(release).release
    with Responder(store.open(artifact)) as responder:
        recorder = Recorder(artifact, responder.description)
        if prompt is not None:
            asked = [Message(role="user", content=prompt)]
            reply = responder.reply(asked)
            _show(reply, why)
            recorder.answer(asked, reply)
            return
        print("Ask something; /good or /bad says what an answer was worth; an empty line ends.", file=sys.stderr)
        history: list[Message] = []
        answer: str | None = None
        while line := _read():
            if line in REMARKS:
                recorded = answer is not None and recorder.remark(answer, REMARKS[line])
                print("noted" if recorded else "no recorded answer to remark on", file=sys.stderr)
                continue
            history.append(Message(role="user", content=line))
            reply = responder.reply(history)
            answer = recorder.answer(history, reply)
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
