"""The sections of an assistant turn, which are the same in every chat format.

An easy answer is its response. A hard answer is ``<draft>…</draft><thinking>…</thinking>`` and then its response;
either section may be absent. Not here: where a turn begins and ends (template.py), a reasoning model's own reasoning
(reasoning.py).
"""

import re

from blocks.models.reasoning import answer_of
from blocks.records import Example, Record

_SECTIONS = re.compile(
    r"^\s*(?:<draft>(?P<draft>.*?)</draft>)?\s*(?:<thinking>(?P<thinking>.*?)</thinking>)?\s*(?P<response>.*)$",
    re.DOTALL,
)
_OPENED = re.compile(r"^\s*<(?:draft|thinking)>\s*")


class Sections(Record):
    """An assistant turn taken apart."""

    draft: str | None
    thinking: str | None
    response: str

    @property
    def shown(self) -> str:
        """What a person is shown: the response; of a turn that broke off within a section, what there is of it, without
        the tag that opened it."""
        return _OPENED.sub("", self.response)


def written(example: Example) -> str:
    """The assistant's turn of an example, as plain text: the inverse of :func:`sections`."""
    draft = f"<draft>{example.draft}</draft>" if example.draft is not None else ""
    thinking = f"<thinking>{example.thinking}</thinking>" if example.thinking is not None else ""
    return draft + thinking + example.response


def sections(text: str) -> Sections:
    """Take an assistant turn apart, in which what looks like a control token is text; an unclosed section leaves
    everything in ``response``. A reasoning model's own reasoning is in none.
    """
    found = _SECTIONS.match(text if _OPENED.match(text) else answer_of(text))
    assert found is not None  # the pattern matches every string
    response = found["response"].strip()
    return Sections(
        draft=found["draft"],
        thinking=found["thinking"],
        response=response if _OPENED.match(response) else answer_of(response),
    )
