"""A student's chat format: how its conversations are written, which tokens open and close a turn, where it stops.

A :class:`Template` belongs to one student and is read from its folder or, by llama.cpp, from its GGUF file
(blocks/engines/llama_cpp/native.py). It renders a conversation as one string, in which a control token stands only
where a turn begins or ends: where a text has one literally, it is guarded, and whoever makes token ids of the string
(:meth:`Template.token_ids`) takes the guard away and reads the text as text. So every text is learned, asked and
answered as it was written, and none can open or close a turn. (Zephyr's ``<|user|>`` is no token but ordinary text to
its tokenizer, and stays that.)

Every format is held as what stands between the contents of two turns, read off the student's own Jinja template
(chat_frame.py). A student with Llama 3.1's tokens speaks Llama 3.1's format without a system text (:data:`LLAMA`),
whatever its template says. No other module names a control token. Not here: the sections of an assistant turn
(sections.py), token ids of examples (encoding.py), sampling (blocks/engines).
"""

import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

from blocks.models import sections
from blocks.records import Example, Record
from configs.errors import BadInput

GUARD = "\u200b"
ANSWER, NOTHING = "answer", ""  # in Template.frame: the assistant's turn opened for it to write; no further turn
ROLES = ("system", "user", "assistant")
# What llama.cpp takes for the end of an answer wherever a vocabulary has it (llama-vocab.cpp, special_eog_ids).
ENDS = (
    *("<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<end_of_turn>", "<|endoftext|>", "</s>"),
    *("<|eom_id|>", "<EOT>", "_<EOT>", "<|end_of_text|>", "<end_of_utterance>", "<eos>"),
    *("<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"),  # and what pads, or separates files
    *("<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>", "<|file_sep|>"),
)
# What a text has that was cut out of some model's conversation.
FOREIGN = re.compile(r"<\|[a-z_0-9]+\|>|\[/?INST\]|<</?SYS>>|<s>|</s>")


class Message(Record):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Reading(Record):
    """What a tokenizer does to a text before it looks for tokens in it.

    ``nfc``: it composes characters. ``space``: where it puts a space before a text (SentencePiece): nowhere, before the
    first, or after every control token as well. ``once``: not before a text that begins with one. ``lone``: a character
    that joins no other one in a token, by which a text is read without that space.
    """

    nfc: bool = False
    space: Literal["nowhere", "first", "everywhere"] = "nowhere"
    once: bool = False
    lone: str = "\n"


class Template(Record):
    """One student's chat format.

    ``name``: llama-3.1, chatml, zephyr, or own. ``frame``: what stands between the contents of two turns, by
    ``"<role before>><role after>"``; before the first it is ``">user"``, at the end ``"user>answer"`` (the assistant's
    turn opened) or ``"assistant>"``. ``closing``: the token that ends the assistant's turn. ``stops``: all tokens that
    end an answer, ``closing`` first. ``pad``: fills rows; it is never seen. ``control``: tokens that no text may
    contain as such. ``system``: the system text that the format slips in where the conversation has none. ``trims``:
    contents lose the white space at their ends. ``thinking_off``: the model's own thinking is turned off by what the
    opened turn begins with. ``reading``: what the tokenizer does to texts.
    """

    name: str
    frame: dict[str, str]
    closing: str
    stops: tuple[str, ...]
    pad: str
    control: tuple[str, ...]
    system: str | None = None
    trims: bool = False
    thinking_off: bool = False
    reading: Reading = Reading()

    @property
    def described(self) -> str:
        """What a person should know of it, in one line."""
        slipped = f"; where a conversation has no system text it slips in {self.system!r}" if self.system else ""
        trimmed = "; white space at the ends of a message is left out" if self.trims else ""
        silent = "; the model's own thinking is turned off" if self.thinking_off else ""
        return f"chat format {self.name}, answers end with {self.closing}{slipped}{trimmed}{silent}"

    @classmethod
    def of(cls, folder: Path) -> "Template":
        """The chat format of the model or tokenizer in ``folder`` (Hugging Face's files).

        Raises:
            BadInput: its tokenizer is unreadable, has no chat template or no end token, or a template that is no
                sequence of turns.
        """
        from blocks.models import chat_frame

        return chat_frame.of_folder(folder)

    def render(self, messages: Sequence[Message], *, generate: bool) -> str:
        """The conversation as one string. ``generate`` opens the assistant's turn at the end.

        Raises:
            BadInput: the format has no such sequence of turns.
        """
        before, pieces = NOTHING, []
        for message in messages:
            content = message.content.strip() if self.trims else message.content
            pieces += [self._between(before, message.role), self.guard(content)]
            before = message.role
        return "".join(pieces) + self._between(before, ANSWER if generate else NOTHING)

    def prompt(self, text: str) -> str:
        """A single user message, with the assistant's turn opened."""
        return self.render([Message(role="user", content=text)], generate=True)

    def answer(self, example: Example) -> str:
        """The assistant's turn of an example, without the closing token; it goes on where a prompt ends."""
        return self.guard(sections.written(example))

    def guard(self, text: str) -> str:
        """Text from outside, with control tokens that stand in it literally guarded: it may not open or close a turn.

        The guard is a zero-width space after a token's first character; where the text has some there, one more. All
        other text stays as it is.
        """
        return _patterns(self.control)[1].sub(lambda found: found[0][0] + GUARD + found[0][1:], text)

    def unguard(self, text: str) -> str:
        """The inverse of :meth:`guard`."""
        return _patterns(self.control)[1].sub(lambda found: found[0][0] + found[0][1:].removeprefix(GUARD), text)

    def parts(self, rendered: str) -> Iterator[tuple[str, bool]]:
        """A rendered string in order: control tokens (with True) and the texts between them as they were written (with
        False)."""
        at = 0
        for found in _patterns(self.control)[0].finditer(rendered):
            if found.start() > at:
                yield self.unguard(rendered[at : found.start()]), False
            yield found[0], True
            at = found.end()
        if at < len(rendered):
            yield self.unguard(rendered[at:]), False

    def token_ids(
        self,
        rendered: Sequence[str],
        control: Callable[[str], int],
        ordinary: Callable[[list[str]], Sequence[Sequence[int]]],
        *,
        goes_on: bool = False,
    ) -> list[list[int]]:
        """Token ids of rendered strings. ``control`` gives a control token's id; ``ordinary`` those of texts, in which
        it reads no special token, each as if it stood alone. ``goes_on``: the strings are answers, which go on where a
        prompt ended."""
        taken = [self._pieces(one, goes_on=goes_on) for one in rendered]
        texts = list(dict.fromkeys(text for one in taken for text, is_control, _ in one if not is_control))
        if any(bare for one in taken for *_, bare in one):
            texts = [self.reading.lone, *texts]
        known = dict(zip(texts, ordinary(texts) if texts else [], strict=True))

        def ids(text: str, is_control: bool, bare: bool) -> Sequence[int]:
            return [control(text)] if is_control else known[text][len(known[self.reading.lone]) if bare else 0 :]

        return [[token for piece in one for token in ids(*piece)] for one in taken]

    def _pieces(self, rendered: str, *, goes_on: bool) -> list[tuple[str, bool, bool]]:
        """(text, whether it is a control token, whether it is to be read after ``lone``, so that no space comes before
        it) of a rendered string."""
        found = []
        for number, (text, is_control) in enumerate(self.parts(rendered)):
            spaced = self.reading.space == "everywhere" or number == 0
            spaced = spaced and not (number == 0 and goes_on) and not (self.reading.once and text[0] in " ▁")
            bare = self.reading.space != "nowhere" and not is_control and not spaced
            found.append((self.reading.lone + text if bare else text, is_control, bare))
        return found

    def _between(self, before: str, after: str) -> str:
        found = self.frame.get(f"{before}>{after}")
        if found is None:
            turns = f"a {after or 'last'} turn after {f'a {before} one' if before else 'nothing'}"
            raise BadInput(f"the student's chat format ({self.name}) has no place for {turns}; leave that turn out")
        return found


@lru_cache(maxsize=64)
def _patterns(control: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What matches a control token, and what matches one that is guarded any number of times."""
    longest = sorted(control, key=len, reverse=True)
    return (
        re.compile("|".join(map(re.escape, longest)) or r"(?!)"),
        re.compile("|".join(f"{re.escape(one[0])}{GUARD}*{re.escape(one[1:])}" for one in longest) or r"(?!)"),
    )


def overlapping(control: Sequence[str]) -> tuple[str, str] | None:
    """Two control tokens (perhaps the same one twice) that can share characters in a text, where the guard would lose
    some; or None. A token of one character cannot be guarded either."""
    for one in control:
        for other in control:
            inside = any(one[at:].startswith(other) or other.startswith(one[at:]) for at in range(1, len(one)))
            if inside or len(one) == 1:
                return one, other
    return None


# Llama 3.1's format without a system text of its own: what the students made here speak, and all with its tokens.
BEGIN, END, END_TEXT = "<|begin_of_text|>", "<|eot_id|>", "<|end_of_text|>"
_HEADER, _HEADER_END = "<|start_header_id|>", "<|end_header_id|>"
PAD = "<|finetune_right_pad_id|>"
SPECIAL_TOKENS = (BEGIN, END_TEXT, _HEADER, _HEADER_END, END, PAD)
# The same rendering as a Jinja chat template, for tokenizers and llama.cpp.
TEMPLATE = (
    "{{- '<|begin_of_text|>' -}}"
    "{%- for message in messages -%}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] + '<|eot_id|>' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}{%- endif -%}"
)
LLAMA = Template(
    name="llama-3.1",
    frame={
        f"{before}>{after}": (END if before else BEGIN) + header
        for before in (NOTHING, *ROLES)
        for after, header in (
            *((role, f"{_HEADER}{role}{_HEADER_END}\n\n") for role in ROLES),
            (ANSWER, f"{_HEADER}assistant{_HEADER_END}\n\n"),
            (NOTHING, ""),
        )
    },
    closing=END,
    stops=(END, END_TEXT),
    pad=PAD,
    control=SPECIAL_TOKENS,
)
_NAMES: Mapping[str, tuple[str, str]] = {  # what the user's turn begins with, and the token that closes a turn
    "chatml": ("<|im_start|>user\n", "<|im_end|>"),
    "zephyr": ("<|user|>\n", "</s>"),
}


def named(frame: Mapping[str, str], closing: str) -> str:
    """The name of a known format, or ``own``."""
    found = [
        name
        for name, (opening, end) in _NAMES.items()
        if frame[f"{NOTHING}>user"].endswith(opening)
        and frame["assistant>user"] in (f"{end}\n{opening}", f"{end}{opening}")
        and closing == end
    ]
    return found[0] if found else "own"


def of_llama(tokens: Container[str]) -> bool:
    """Whether a vocabulary has all of Llama 3.1's tokens."""
    return all(token in tokens for token in SPECIAL_TOKENS)
