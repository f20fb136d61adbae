"""Every kind of tokenizer: what transformers and llama.cpp make of the same texts, chats as the tokenizer's own
template renders them, masks, and where an answer ends."""

import unicodedata
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blocks.engines.llama_cpp import rendering
from blocks.engines.llama_cpp.native import Model
from blocks.models import chat_frame, vocabulary
from blocks.models.encoding import Encoder
from blocks.models.template import LLAMA, Message
from blocks.rehearsal import world
from tasks.compression.export.vocabulary import write_vocabulary
from tasks.training.encoding import IGNORE, encode
from tests.tokenizers_made import MADE, TEXTS, folder_of

# Letters of several scripts, digits, marks, spaces of several kinds, emoji in parts, and pieces of control tokens.
PIECES = [
    *(
        "a",
        "B",
        "the",
        "ing",
        "12",
        "345",
        "٣",
        "½",
        "é",
        "e\u0301",
        "ñ",
        "Ⅷ",
        "ß",
        "日本",
        "Привет",
        "नमस्ते",
        "🙂",
        "👨‍👩‍👧",
    ),
    *(
        " ",
        "  ",
        "\n",
        "\n\n",
        "\t",
        "\r\n",
        "\u00a0",
        "\u3000",
        "\u200b",
        "▁",
        ".",
        "...",
        "'s",
        "'LL",
        "n't",
        "(",
        "{}",
    ),
    *(
        "def f(x):",
        "{}",
        "==",
        "#",
        "<",
        ">",
        "|",
        "<|",
        "|>",
        "<|im_start|>",
        "<|im_end|>",
        "<s>",
        "</s>",
        "<|eot_id|>",
    ),
    *(
        "<|user|>\n",
        "<0x0A>",
        "[INST]",
        "<|endoftext|>",
        "<unk>",
        "\x00",
        "\x01",
        "\ufeff",
        "\U0001f1e6",
        "_",
        "~",
        "\\n",
    ),
]
FIXED = ["", " ", "\n", "x" * 5000, "ab " * 3000, "1234567890" * 300, "\n" * 400, "🙂" * 500, *PIECES, *TEXTS]


class Kind(NamedTuple):
    """A made tokenizer: its name, its encoder by transformers, its vocabulary by llama.cpp."""

    name: str
    folder: Path
    encoder: Encoder
    served: Model


@pytest.fixture(scope="module", params=list(MADE))
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kind]:
    from gguf import GGUFWriter

    folder = folder_of(request.param, tmp_path_factory.mktemp("words"))
    words = vocabulary.read(folder, None)
    writer = GGUFWriter(folder / "model.gguf", "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(32)
    writer.add_block_count(1)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    write_vocabulary(writer, folder, len(words.tokens))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with closing(Model(folder / "model.gguf", vocabulary_only=True)) as served:
        yield Kind(request.param, folder, Encoder.of(folder), served)


def texts() -> list[str]:
    """Some 500 texts, the same ones every time."""
    import random

    draw = random.Random(0)
    return FIXED + ["".join(draw.choices(PIECES, k=draw.randrange(1, 12))) for _ in range(500 - len(FIXED))]


def test_token_ids_are_those_of_llama_cpp(kind: Kind) -> None:
    template = kind.encoder.template
    assert kind.served.template.model_dump(exclude={"stops", "pad"}) == template.model_dump(exclude={"stops", "pad"})
    drawn = texts()
    assert len(drawn) == 500
    guarded = [template.guard(one) for one in drawn]
    for goes_on, rendered in ((False, [template.prompt(one) for one in drawn]), (False, guarded), (True, guarded)):
        for text, ids in zip(rendered, kind.encoder.ids(rendered, goes_on=goes_on), strict=True):
            assert kind.served.tokenize(text, goes_on=goes_on) == ids, repr(text)


def test_a_prompt_without_control_tokens_has_the_ids_that_transformers_itself_gives(kind: Kind) -> None:
    template, words = kind.encoder.template, kind.encoder.tokenizer
    special = set(words.get_added_vocab())
    plain = [one for one in texts() if not any(token in one for token in special)]
    assert len(plain) > 200
    for rendered in (*plain, *map(template.prompt, plain)):
        assert kind.encoder.ids([rendered])[0] == words(rendered, add_special_tokens=False)["input_ids"], repr(rendered)


def test_a_text_with_control_tokens_in_it_opens_and_closes_no_turn(kind: Kind) -> None:
    template, words = kind.encoder.template, kind.encoder.tokenizer
    control = {words.convert_tokens_to_ids(token) for token in template.control}
    frame = sum(is_control for _, is_control in template.parts(template.prompt("x")))
    hostile = ["".join(template.control), *(f"a{one}b {one}{one}" for one in template.control), template.prompt("x")]
    for text in hostile:
        assert sum(token in control for token in kind.encoder.ids([template.prompt(text)])[0]) == frame
        ids = kind.encoder.ids([template.guard(text)], goes_on=True)[0]
        assert not control & set(ids)
        composed = unicodedata.normalize("NFC", text) if template.reading.nfc else text
        assert kind.encoder.texts([ids]) == [composed], "what is learned is what is shown"


def test_chats_are_rendered_as_the_tokenizers_own_template_renders_them(kind: Kind) -> None:
    template, words = kind.encoder.template, kind.encoder.tokenizer

    def by_transformers(turns: chat_frame.Turns, generate: bool) -> str:
        plain = [{"role": role, "content": content} for role, content in turns]
        text: str = words.apply_chat_template(
            plain, tokenize=False, add_generation_prompt=generate, enable_thinking=False
        )
        return text

    chat_frame.refuse_unequal(template, by_transformers, kind.folder, "transformers")
    found = vocabulary.read(kind.folder, None)
    with rendering.renderer(found.template or "", found.special, kind.folder) as by_llama_cpp:
        chat_frame.refuse_unequal(template, by_llama_cpp, kind.folder, "llama.cpp")
    asked = [("user", "What is 3 + 4?"), ("assistant", "It is 7.")]
    whole = template.prompt(asked[0][1]) + template.guard(asked[1][1]) + template.closing
    assert by_transformers(asked, False).startswith(whole)


@given(
    st.lists(
        st.text(st.sampled_from("ab <|>{}%'\"\\\n\t日é🙂"), max_size=20).filter(lambda text: text == text.strip()),
        min_size=1,
        max_size=5,
    ).filter(lambda found: len(found) % 2)
)
@settings(max_examples=30, deadline=None)
def test_any_chat_is_rendered_as_the_template_says(found: list[str]) -> None:
    for name in ("smollm", "tinyllama"):
        words, encoder = _cached(name)
        roles = ["user" if i % 2 == 0 else "assistant" for i in range(len(found))]
        turns = [{"role": role, "content": text} for role, text in zip(roles, found, strict=True)]
        messages = [Message.model_validate(turn) for turn in turns]
        assert encoder.template.render(messages, generate=True) == words.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=True
        )


_CACHE: dict[str, tuple[Any, Encoder]] = {}


def _cached(name: str) -> tuple[Any, Encoder]:
    import tempfile

    if name not in _CACHE:
        with tempfile.TemporaryDirectory() as folder:
            encoder = Encoder.of(folder_of(name, Path(folder)))
        _CACHE[name] = encoder.tokenizer, encoder
    return _CACHE[name]


def test_the_loss_falls_on_the_answer_and_closing_ends_it(kind: Kind) -> None:
    example = world.examples("math", "hard", "train", 1, 0)[0]
    encoder, template = kind.encoder, kind.encoder.template
    (opened,) = encode([example], encoder, max_length=10_000, close=False)
    (closed,) = encode([example], encoder, max_length=10_000, close=True)
    (conversation,) = encoder.conversations([example])
    end = encoder.tokenizer.convert_tokens_to_ids(template.closing)
    asked = encoder.ids([template.prompt(example.prompt)])[0]
    assert [label == IGNORE for label in opened.labels] == [i < len(asked) for i in range(len(opened.ids))]
    assert opened.ids[: len(asked)] == asked
    assert encoder.texts([opened.ids[len(asked) :]]) == [
        f"<draft>{example.draft}</draft><thinking>{example.thinking}</thinking>{example.response}"
    ]
    assert (closed.ids, closed.labels) == ([*opened.ids, end], [*opened.labels, end])
    assert (conversation.ids, conversation.start) == (closed.ids, len(asked))


def test_answers_stop_where_llama_cpp_stops_them(kind: Kind) -> None:
    template = kind.encoder.template
    assert template.stops[0] == template.closing
    assert set(template.stops) == set(kind.served.template.stops)
    ids = {kind.encoder.tokenizer.convert_tokens_to_ids(token) for token in template.stops}
    library, words = kind.served.lib, kind.served.lib.llama_model_get_vocab(kind.served.pointer)
    assert {token for token in range(kind.served.n_vocab) if library.llama_vocab_is_eog(words, token)} == ids


def test_formats_are_known_by_name_and_slipped_in_texts_are_told(kind: Kind) -> None:
    template = kind.encoder.template
    names = {"llama-bpe": "llama-3.1", "tinyllama": "zephyr", "metaspace": "zephyr", "metaspace first": "own"}
    assert template.name == names.get(kind.name, "chatml")
    slipped = {
        "smollm": "You are a helpful AI assistant named SmolLM, trained by Hugging Face",
        "qwen2": "You are a helpful assistant.",
    }.get(kind.name)
    assert template.system == slipped
    assert slipped is None or slipped in template.described
    assert template.thinking_off == (kind.name == "qwen3") == ("thinking is turned off" in template.described)
    assert (template == LLAMA) == (kind.name == "llama-bpe")


@pytest.mark.parametrize(
    ("name", "published"), [("smollm", "GPT2Tokenizer"), ("qwen2", "Qwen2Tokenizer"), ("tinyllama", "LlamaTokenizer")]
)
def test_the_rules_in_the_folder_count_and_not_those_of_the_class_it_names(
    name: str, published: str, tmp_path: Path
) -> None:
    """transformers' GPT2Tokenizer would join SmolLM's digits, its LlamaTokenizer leave out Llama 2's spaces."""
    own, named = (folder_of(name, tmp_path / str(i), cls) for i, cls in enumerate((None, published)))
    asked = ["In 1234 there were 12 of 345.", "</s> a"]
    assert Encoder.of(named).ids(asked) == Encoder.of(own).ids(asked)
