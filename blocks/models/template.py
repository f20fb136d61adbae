"""Llama 3.1's chat format, in one place: special tokens, rendering, and the sections of an assistant turn.

An easy answer is its response. A hard answer is ``<draft>…</draft><thinking>…</thinking>`` and then its response;
either section may be absent. A rendered conversation is one string, in which a control token stands only where a turn
begins or ends: where a text has one literally, it is guarded, and whoever makes token ids of the string
(:func:`token_ids`) takes the guard away and reads the text as text. So every text is learned, asked and answered as it
was written, and none can open or close a turn. Not here: loss masks (tasks/training), sampling (blocks/engines).
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from blocks.models.reasoning import answer_of
from blocks.records import Example, Record

BEGIN, END, END_TEXT = "<|begin_of_text|>", "<|eot_id|>", "<|end_of_text|>"
HEADER, HEADER_END = "<|start_header_id|>", "<|end_header_id|>"
SPECIAL_TOKENS = (BEGIN, END_TEXT, HEADER, HEADER_END, END, "<|finetune_right_pad_id|>")
PAD = "<|finetune_right_pad_id|>"
# The same rendering as a Jinja chat template, for tokenizers and llama.cpp.
TEMPLATE = (
    "{{- '<|begin_of_text|>' -}}"
    "{%- for message in messages -%}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] + '<|eot_id|>' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}{%- endif -%}"
)
GUARD = "\u200b"
_NAMES = "|".join(re.escape(token[2:-2]) for token in SPECIAL_TOKENS)
_CONTROL = re.compile(rf"<\|(?:{_NAMES})\|>")
_LITERAL = re.compile(rf"<({GUARD}*)\|({_NAMES})\|>")
_SECTIONS = re.compile(
    r"^\s*(?:<draft>(?P<draft>.*?)</draft>)?\s*(?:<thinking>(?P<thinking>.*?)</thinking>)?\s*(?P<response>.*)$",
    re.DOTALL,
)
_OPENED = re.compile(r"^\s*<(?:draft|thinking)>\s*")


class Message(Record):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


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


def escape(text: str) -> str:
    """Text from outside, with control tokens that stand in it literally guarded: it may not open or close a turn.

    The guard is a zero-width space after ``<``; where the text has some there, one more. All other text stays as it is.
    """
    return _LITERAL.sub(lambda found: f"<{GUARD}{found[1]}|{found[2]}|>", text)


def unescape(text: str) -> str:
    """The inverse of :func:`escape`."""
    return _LITERAL.sub(lambda found: f"<{found[1].removeprefix(GUARD)}|{found[2]}|>", text)


def parts(rendered: str) -> Iterator[tuple[str, bool]]:
    """A rendered string in order: control tokens (with True) and the texts between them as they were written (with
    False)."""
    at = 0
    for found in _CONTROL.finditer(rendered):
        if found.start() > at:
            yield unescape(rendered[at : found.start()]), False
        yield found[0], True
        at = found.end()
    if at < len(rendered):
        yield unescape(rendered[at:]), False


def token_ids(
    rendered: Sequence[str], control: Callable[[str], int], ordinary: Callable[[list[str]], Sequence[Sequence[int]]]
) -> list[list[int]]:
    """Token ids of rendered strings. ``control`` gives a control token's id; ``ordinary`` those of texts, in which it
    reads no special token."""
    taken = [list(parts(one)) for one in rendered]
    texts = list(dict.fromkeys(text for one in taken for text, is_control in one if not is_control))
    known = dict(zip(texts, ordinary(texts) if texts else [], strict=True))
    return [
        [token for text, is_control in one for token in ([control(text)] if is_control else known[text])]
        for one in taken
    ]


def render(messages: Sequence[Message], *, generate: bool) -> str:
    """The conversation as one string. ``generate`` opens the assistant's turn at the end."""
    turns = "".join(f"{HEADER}{m.role}{HEADER_END}\n\n{escape(m.content)}{END}" for m in messages)
    return BEGIN + turns + (f"{HEADER}assistant{HEADER_END}\n\n" if generate else "")


def prompt(text: str) -> str:
    """A single user message, with the assistant's turn opened."""
    return render([Message(role="user", content=text)], generate=True)


def answer(example: Example) -> str:
    """The assistant's turn of an example, without the closing token; as :func:`render` would put it."""
    draft = f"<draft>{example.draft}</draft>" if example.draft is not None else ""
    thinking = f"<thinking>{example.thinking}</thinking>" if example.thinking is not None else ""
    return escape(draft + thinking + example.response)


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
