"""Examples and conversations as token ids, by the student's own tokenizer and chat format: the one place where that
is done.

Control tokens stand where a turn begins or ends, all else is ordinary text; none is added. Prompt and answer are
tokenised apart, as they are when the model answers. Not here: the same by llama.cpp
(blocks/engines/llama_cpp/native.py), the chat format (template.py), loss masks (tasks/training/encoding.py).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from blocks.models.template import Template
from blocks.records import Example

_AT_ONCE = 256  # examples


class Conversation(NamedTuple):
    """Token ids of prompt, answer and closing token; ``start`` is where the answer begins, the closing token, always
    the last, is not counted as answer."""

    ids: list[int]
    start: int


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer in a model's folder, as its tokenizer.json has it: transformers' classes for single models
    (GPT2Tokenizer, LlamaTokenizer, …) would put splitting rules of their own in the place of those there."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)


class Encoder:
    """A student's ``tokenizer`` (transformers) and its chat format (``template``)."""

    def __init__(self, tokenizer: Any, template: Template) -> None:
        self.tokenizer, self.template = tokenizer, template

    @classmethod
    def of(cls, folder: Path) -> "Encoder":
        """The encoder of the student in ``folder``.

        Raises:
            BadInput: as :meth:`blocks.models.template.Template.of`.
        """
        return cls(load_tokenizer(folder), Template.of(folder))

    def ids(self, rendered: Sequence[str], *, goes_on: bool = False) -> list[list[int]]:
        """Token ids of strings in the chat format. A special token that a text has literally becomes ordinary tokens.
        ``goes_on``: they are answers, which go on where a prompt ended."""
        return self.template.token_ids(rendered, self.tokenizer.convert_tokens_to_ids, self._ordinary, goes_on=goes_on)

    def conversations(self, examples: Sequence[Example]) -> Iterator[Conversation]:
        """The examples as token ids, lazily, in order."""
        closing: int = self.tokenizer.convert_tokens_to_ids(self.template.closing)
        for start in range(0, len(examples), _AT_ONCE):
            piece = examples[start : start + _AT_ONCE]
            prompts = self.ids([self.template.prompt(one.prompt) for one in piece])
            answers = self.ids([self.template.answer(one) for one in piece], goes_on=True)
            for prompt, answer in zip(prompts, answers, strict=True):
                yield Conversation([*prompt, *answer, closing], len(prompt))

    def texts(self, answers: Sequence[Sequence[int]]) -> list[str]:
        """What answers of these token ids say, without special tokens, as they go on where a prompt ended."""
        lone = [] if self.template.reading.space == "nowhere" else self._ordinary([self.template.reading.lone])[0]
        found: list[str] = self.tokenizer.batch_decode(
            [[*lone, *one] for one in answers], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return [text.removeprefix(self.template.reading.lone) for text in found] if lone else found

    def _ordinary(self, texts: list[str]) -> list[list[int]]:
        found: list[list[int]] = self.tokenizer(texts, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return found
