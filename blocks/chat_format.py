"""Llama 3.1's chat format, in one place: special tokens, rendering, and the sections of an assistant turn.

An easy answer is its response. A hard answer is ``<draft>…</draft><thinking>…</thinking>`` and then its response; either
section may be absent. Not here: tokenisation and loss masks (tasks/training), sampling (llama_cpp.py).
"""

import re
from collections.abc import Sequence
from typing import Literal

from blocks.reasoning import answer_of
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
_SECTIONS = re.compile(r"^\s*(?:<draft>(?P<draft>.*?)</draft>)?\s*(?:<thinking>(?P<thinking>.*?)</thinking>)?\s*(?P<response>.*)$", re.DOTALL)
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
        """What a person is shown: the response; of a turn that broke off within a section, what there is of it, without the tag that opened it."""
        return _OPENED.sub("", self.response)


def escape(text: str) -> str:
    """Text from outside, with special tokens made harmless: it may not open or close a turn."""
    return text.replace("<|", "<\u200b|")


def render(messages: Sequence[Message], *, generate: bool) -> str:
    """The conversation as one string. ``generate`` opens the assistant's turn at the end."""
    turns = "".join(f"{HEADER}{m.role}{HEADER_END}\n\n{escape(m.content)}{END}" for m in messages)
    return BEGIN + turns + (f"{HEADER}assistant{HEADER_END}\n\n" if generate else "")


def prompt(text: str) -> str:
    """A single user message, with the assistant's turn opened."""
    return render([Message(role="user", content=text)], generate=True)


def answer(example: Example) -> str:
    """The assistant's turn of an example, without the closing token."""
    draft = f"<draft>{example.draft}</draft>" if example.draft is not None else ""
    thinking = f"<thinking>{example.thinking}</thinking>" if example.thinking is not None else ""
    return escape(draft + thinking + example.response)


def sections(text: str) -> Sections:
    """Take an assistant turn apart; an unclosed section leaves everything in ``response``. A reasoning model's own reasoning is in none."""
    text = text.replace(END, "").replace(END_TEXT, "")
    found = _SECTIONS.match(text if _OPENED.match(text) else answer_of(text))
    assert found is not None  # the pattern matches every string
    response = found["response"].strip()
    return Sections(draft=found["draft"], thinking=found["thinking"], response=response if _OPENED.match(response) else answer_of(response))
