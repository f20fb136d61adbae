"""Write down what is served, as far as the release allows it. An unwritable log is reported and stops no answer.

Not here: the log itself (blocks/journal/served.py), and answering (responder.py).
"""

import logging
from collections.abc import Sequence

from blocks.journal import served
from blocks.models.template import Message
from blocks.records import Artifact
from configs.errors import BadInput
from deployments.serving.responder import Reply
from tasks.release.contents import Description
from tasks.routing.decide import BASE

log = logging.getLogger("cogumi.served")


class Recorder:
    """Records the answers of one release."""

    def __init__(self, release: Artifact, description: Description) -> None:
        self._release, self._keeps = release.digest, description.log

    def answer(self, messages: Sequence[Message], reply: Reply) -> str | None:
        """Record the reply to the last of ``messages``; the id to remark on, None where nothing is recorded."""
        if self._keeps == "off":
            return None
        full = self._keeps == "full"
        line = served.Served(
            id=served.new_id(),
            time=served.now(),
            release=self._release,
            turn=sum(message.role == "user" for message in messages),
            prompt=sound(messages[-1].content) if full else None,
            answer=sound(reply.text) if full else None,
            domain=reply.decision.domain,
            choice=BASE if reply.fallback else reply.decision.choice,
            escalated=reply.decision.choice != BASE,
            fallback=reply.fallback,
            confidence=reply.decision.confidence,
            threshold=reply.decision.threshold,
            seconds=round(reply.seconds, 4),
        )
        return line.id if self._append(line) else None

    def remark(self, answer: str, good: bool) -> bool:
        """Record what a person said of an answer; whether it was recorded."""
        return self._append(served.Remark(answer=answer, time=served.now(), good=good))

    def _append(self, line: served.Served | served.Remark) -> bool:
        try:
            served.append(line)
        except BadInput as error:
            log.warning("%s", error)
            return False
        return True


def sound(text: str) -> str:
    """Text that UTF-8 can hold: a terminal may pass on halves of characters."""
    return text.encode("utf-8", "replace").decode()
