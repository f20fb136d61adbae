"""Llama 3.1's format as it always was; guarding of any control tokens; an assistant turn taken apart."""

import hashlib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from blocks.models import sections, template
from blocks.models.sections import sections as taken_apart
from blocks.models.template import GUARD, LLAMA, Message
from blocks.records import DOMAINS
from blocks.rehearsal import world
from configs.errors import BadInput


def test_the_format_of_the_students_made_here_is_what_it_was() -> None:
    turns = [
        Message(role="system", content="Be brief."),
        Message(role="user", content=" a <|eot_id|> b"),
        Message(role="assistant", content="c"),
        Message(role="user", content="<|im_end|></s>"),
    ]
    assert LLAMA.render(turns, generate=True) == (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
        f"<|start_header_id|>user<|end_header_id|>\n\n a <{GUARD}|eot_id|> b<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nc<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\n<|im_end|></s><|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    assert (LLAMA.closing, LLAMA.stops, LLAMA.pad) == (
        "<|eot_id|>",
        ("<|eot_id|>", "<|end_of_text|>"),
        "<|finetune_right_pad_id|>",
    )


def test_what_the_nano_student_learns_is_written_as_it_was() -> None:
    """The digest was taken with the module that knew this one format alone."""
    total = hashlib.sha256()
    for domain in DOMAINS:
        for difficulty in ("easy", "hard"):
            for one in world.examples(domain, difficulty, "train", 20, 0):
                total.update((LLAMA.prompt(one.prompt) + LLAMA.answer(one)).encode())
                assert taken_apart(sections.written(one)).response == one.response.strip()
    assert total.hexdigest() == "6b79acab01a28cf362a7e60b7437d7b6eb970ebaa8815d0f4e92992c33c2b962"


@given(
    st.lists(st.text(st.sampled_from("<>|/[]_abé"), min_size=1, max_size=6), min_size=1, max_size=4, unique=True),
    st.data(),
)
def test_guarding_any_control_tokens_loses_nothing_and_leaves_none(tokens: list[str], data: st.DataObject) -> None:
    assume(template.overlapping(tokens) is None)
    own = LLAMA.model_copy(update={"control": tuple(tokens)})
    pieces = st.sampled_from(
        [*tokens, *(token[:1] + GUARD + token[1:] for token in tokens), GUARD, "<", "a", "]", "x y"]
    )
    text = "".join(data.draw(st.lists(pieces, max_size=8)))
    guarded = own.guard(text)
    assert own.unguard(guarded) == text
    assert not any(token in guarded for token in tokens)
    assert list(own.parts(guarded)) == ([(text, False)] if text else [])
    assert list(own.parts(tokens[0] + guarded + tokens[-1]))[:: 2 if text else 1] == [
        (tokens[0], True),
        (tokens[-1], True),
    ]


def test_control_tokens_that_share_characters_are_found() -> None:
    assert template.overlapping(["<s>", "</s>", "<|im_start|>", "[INST]", "[/INST]"]) is None
    for tokens in (["ab", "bc"], ["abc", "b"], ["aba"], ["x"]):
        assert template.overlapping(tokens) is not None


def test_a_turn_that_the_format_has_no_place_for_is_refused() -> None:
    own = LLAMA.model_copy(update={"name": "own", "frame": {">user": "[", "user>answer": "]"}})
    assert own.prompt("x") == "[x]"
    with pytest.raises(BadInput, match=r"chat format \(own\) has no place for a system turn after nothing"):
        own.render([Message(role="system", content="x")], generate=True)


@pytest.mark.parametrize(
    ("turn", "shown"),
    [
        ("<draft>12?</draft><thinking>5 + 8</thinking>13", "13"),
        (
            "13<|eot_id|>",
            "13<|eot_id|>",
        ),  # engines leave the closing token out: what looks like one was written by the student
        ("<draft>It may be 1", "It may be 1"),
        ("<draft>12?</draft><thinking>\n5 + 8 is", "5 + 8 is"),
        ("<draft></draft>", ""),
        ("Write <thinking> in HTML", "Write <thinking> in HTML"),
    ],
)
def test_a_person_is_shown_the_response_or_what_there_is_of_a_turn_that_broke_off(turn: str, shown: str) -> None:
    assert taken_apart(turn).shown == shown
