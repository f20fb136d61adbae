"""The byte-level tokenizer: lossless, single digits, Llama 3's pre-tokeniser and chat format."""

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from blocks.models import template
from blocks.models.template import LLAMA, Message
from blocks.records import Artifact
from tasks.training.students.tokenizer import tokenizer as tokenizer_step
from tests.tasks.training.conftest import SCRATCH


def test_it_has_the_wanted_size_and_llamas_special_tokens(tokenizer: Any) -> None:
    assert len(tokenizer) == SCRATCH.vocabulary.tokens
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == (
        template.BEGIN,
        template.END,
        template.PAD,
    )
    assert [tokenizer(token, add_special_tokens=False)["input_ids"] for token in template.SPECIAL_TOKENS] == [
        [i] for i in range(len(template.SPECIAL_TOKENS))
    ]
    assert tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id


def test_any_text_reads_back(tokenizer: Any) -> None:
    @given(st.text())
    def check(text: str) -> None:
        ids = tokenizer(LLAMA.guard(text), add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(ids) == LLAMA.guard(text)

    check()


def test_digits_are_single_tokens_in_any_company(tokenizer: Any) -> None:
    @given(st.integers(0, 10**12), st.sampled_from(["", " ", "a", "-", "x = "]))
    def check(number: int, before: str) -> None:
        tokens = tokenizer.convert_ids_to_tokens(tokenizer(f"{before}{number}", add_special_tokens=False)["input_ids"])
        assert [token for token in tokens if any(c.isdigit() for c in token)] == list(str(number))

    check()
    assert not [token for token in tokenizer.get_vocab() if sum(c.isdigit() for c in token) > 1]


def test_the_pre_tokeniser_is_llama_3s(tokenizer_artifact: Artifact) -> None:
    stored = json.loads((Path(tokenizer_artifact.uri) / "tokenizer.json").read_text())
    split, bytes_ = stored["pre_tokenizer"]["pretokenizers"]
    # As in Llama-3's own tokenizer.json; llama.cpp's "llama-bpe" implements this very pattern.
    assert split["pattern"]["Regex"] == (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| "
        r"?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    assert split["behavior"] == "Isolated"
    assert (bytes_["type"], bytes_["add_prefix_space"], bytes_["use_regex"]) == ("ByteLevel", False, False)
    assert stored["model"]["ignore_merges"] is True


def test_the_template_renders_the_projects_chat_format(tokenizer: Any) -> None:
    messages = [
        Message(role="system", content="Be brief."),
        Message(role="user", content="2 + 2?"),
        Message(role="assistant", content="4"),
    ]
    plain = [message.model_dump() for message in messages]
    assert tokenizer.apply_chat_template(plain, tokenize=False) == LLAMA.render(messages, generate=False)
    assert tokenizer.apply_chat_template(plain[:2], tokenize=False, add_generation_prompt=True) == LLAMA.render(
        messages[:2], generate=True
    )


def test_a_turn_costs_few_tokens(tokenizer: Any) -> None:
    assert len(tokenizer(LLAMA.prompt("x"), add_special_tokens=False)["input_ids"]) <= 11


def test_the_same_inputs_give_the_same_files(tokenizer_artifact: Artifact) -> None:
    assert tokenizer_step(SCRATCH.vocabulary, 0).digest == tokenizer_artifact.digest
