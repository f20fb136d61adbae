"""A student keeps the chat format it came with: adopted, exported, and answered alike by transformers and llama.cpp;
what has none, or one that cannot be rendered equally, is refused with one line."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blocks import store
from blocks.engines.llama_cpp.server import LlamaCpp
from blocks.models import vocabulary
from blocks.models.template import Message, Template
from blocks.storage.home import home
from configs.errors import BadInput
from configs.phases.training import Local
from tasks.compression.export.gguf_write import to_gguf
from tasks.evaluation.agreement import agreement
from tasks.evaluation.evaluate import evaluate, read_summary
from tasks.training.students.student import adopt, content_hash
from tests.tasks.evaluation.sayings import sayings
from tests.tasks.evaluation.settings import settings
from tests.tokenizers_made import CHATML, MADE, SMOLLM2, folder_of

PUBLISHED = {"smollm": "GPT2Tokenizer", "qwen2": "Qwen2Tokenizer", "tinyllama": "LlamaTokenizer"}


def student(name: str, folder: Path) -> Path:
    """A tiny untrained Llama with the tokenizer ``name``, as its authors would publish it."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder_of(name, folder, PUBLISHED.get(name))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=-(-len(vocabulary.read(folder, None).tokens) // 32) * 32,
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=0.15,
        rms_norm_eps=1e-5,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def take(folder: Path) -> Any:
    pinned = {"source": "folder", "path": str(folder), "sha256": content_hash(folder), "dtype": "float32"}
    return adopt.fn(Local.model_validate(pinned))


@pytest.mark.parametrize("name", MADE)
def test_a_student_of_every_kind_is_adopted_exported_and_answered_alike(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "cogumi.training")
    folder = student(name, tmp_path / "theirs")
    theirs = Template.of(folder)
    model = take(folder)
    assert Template.of(store.open(model)).model_dump(exclude={"stops"}) == theirs.model_dump(exclude={"stops"})
    assert (theirs.described in caplog.text) == (name != "llama-bpe")
    gguf, asked, how = to_gguf(model, "F32"), sayings(), settings(context=512, perplexity_questions=2)
    found = agreement(model, gguf, asked, how)
    assert found.agreeing_prompts == found.questions
    assert found.share >= 0.99
    by_both = [read_summary(evaluate(one, asked, how)) for one in (model, gguf)]
    assert by_both[0].perplexity == pytest.approx(by_both[1].perplexity, rel=2e-3)
    assert by_both[0].perplexity_tokens == by_both[1].perplexity_tokens


def test_what_is_asked_of_llama_cpp_is_the_students_own_format(tmp_path: Path) -> None:
    gguf = store.open(to_gguf(take(student("smollm", tmp_path / "theirs")), "F32")) / "model.gguf"
    with LlamaCpp(gguf, context=512, threads=1, slots=1) as server:
        rendered = server.template.render([Message(role="user", content="Hi")], generate=True)
        assert rendered.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
        assert server.complete([rendered], max_tokens=4)[0].prompt_tokens == len(server.tokenize(rendered))


def without(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink()

    return change


def template(text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "chat_template.jinja").write_text(text)

    return change


def unspecial(folder: Path) -> None:
    words = json.loads((folder / "tokenizer.json").read_text())
    for one in words["added_tokens"]:
        one["special"] = False
    (folder / "tokenizer.json").write_text(json.dumps(words))


REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "no template": (without("chat_template.jinja"), "has no chat template; take the chat"),
    "no end token": (unspecial, "does not begin with an end token"),
    "a template that ends no turn": (template(CHATML.replace("<|im_end|>", "")), "does not begin with an end token"),
    "a template that writes the date": (
        template("{{ strftime_now('%Y') }}" + SMOLLM2),
        r"user, assistant, user, … as one turn .* \(it writes the date",
    ),
    "a template that shouts": (template(CHATML.replace("['content']", "['content'].upper()")), "as one turn after"),
    "a template that changes some texts": (
        template(CHATML.replace("message['content']", "message['content'].replace('3 + 4', '7')")),
        r"rendered by Jinja, is no plain sequence of turns: .*What is 7.* instead of",
    ),
    "a template that is no Jinja": (template("{% for message in %}"), r"as one turn after the other \("),
    "a template without end": (template("{% for i in range(10 ** 9) %}x{% endfor %}"), "Range too big"),
    "a template that looks around": (
        template("{{ ''.__class__.__mro__[1].__subclasses__() }}" + CHATML),
        r"unsafe|access to attribute",
    ),
    "a template that only transformers can render": (
        template("{% set x = 'ab'.translate({97: 'c'}) %}" + CHATML),
        "llama.cpp cannot re",
    ),
    "a template that is no text": (
        lambda folder: (folder / "chat_template.jinja").write_bytes(b"\xff\xfe\x00") and None,
        r"chat_template\.jinja: not readable as text",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_chat_format_that_cannot_be_kept_is_refused_with_one_line(name: str, tmp_path: Path) -> None:
    folder = student("smollm", tmp_path / "theirs")
    change, match = REFUSED[name]
    change(folder)
    with pytest.raises(BadInput, match=match) as error:
        take(folder)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000
    assert not list(home().rglob("model/*")), "nothing is in the store"
