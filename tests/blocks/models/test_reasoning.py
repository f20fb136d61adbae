"""Reasoning is cut off in every family's form, and an answer that speaks of tags stays whole."""

import subprocess
import sys

import pytest

from blocks.models.reasoning import after_leading, answer_of
from blocks.models.sections import sections


@pytest.mark.parametrize(
    "text",
    [
        "<think>2 and 2 is 5, no</think>4",
        "\n<think>\n\n</think>\n\n4\n",
        "<THINK>so</THINK> 4",
        "<thinking>so</thinking>4",
        "<reasoning>so</reasoning>\n4",
        "<reflection>so</reflection>4",
        "<think>a</think><reflection>b</reflection>4",
        "2 and 2\n</think>\n\n4",
        "first</think>second</think>4",
        "<think>a <think>b</think> c</think>4",
        "[THINK]so[/THINK]4",
        "◁think▷so◁/think▷4",
        "<seed:think>so</seed:think>4",
        "<|START_THINKING|>so<|END_THINKING|><|START_RESPONSE|>4<|END_RESPONSE|>",
        "<|begin_of_thought|>so<|end_of_thought|>\n\n<|begin_of_solution|>4<|end_of_solution|>",
        "<think>so</think><answer>4</answer>",
        "<thinking>so</thinking>\n<output>\n4\n</output>",
        "<|channel|>analysis<|message|>2 and 2<|end|><|start|>assistant<|channel|>final<|message|>4<|return|>",
        "<|channel|>analysis<|message|>is <|channel|>final<|message|> meant?<|end|><|start|>assistant<|channel|>final "
        "<|constrain|>json<|message|>4",
        "analysis2 and 2 is four.assistantfinal4",
        "Thought: 2 and 2.\nFinal Answer: 4",
        "**Thinking:** hm\n**Answer:** 4",
        "Here is my thought process:\nhm\n\nHere is my response:\n4",
        "Sure!\n<think>2 and 2</think>\n4",
        "Use `</think>`? <think>x</think> 4",
    ],
)
def test_what_counts_is_what_follows_the_reasoning(text: str) -> None:
    assert answer_of(text).strip() == "4"


@pytest.mark.parametrize(
    "text",
    [
        "<think>2 and 2 is",
        "<think>2 and 2</think>",
        "<think>",
        "  <reasoning>\nso far",
        "so</think>",
        "<think>a</think><think>b",
        "4\n<think>\nor is it",
        "<|channel|>analysis<|message|>hm",
        "<|start|>assistant<|channel|>commentary<|message|>hm<|end|>",
    ],
)
def test_reasoning_alone_is_no_answer(text: str) -> None:
    assert answer_of(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4",
        " 4 \n",
        "Write `</think>` at its end.",
        "The tag </think> closes what <think> opens, as in HTML.",
        'Split at "</think>" first.',
        "Models write <think> and </think> around it.",
        "```python\nbegin = text.rpartition(close)\n# <think> Ha </think>\n</think>\n```",
        "s.split('</think>')[-1]",
        "Use <thinking> in HTML.",
        "An <answer>4</answer> in XML",
        "Answer: 4",
        "<answer>4</answer>",
        "analysis of variance",
        "The thought: be kind.\nAnswer: be kind",
        "a <b> c </b>",
        "~~~\n<think>\n~~~\nThis opens it.",
        "x <| f |> y",
        "<draft>1</draft>",
    ],
)
def test_an_answer_without_reasoning_stays_as_it_is(text: str) -> None:
    assert answer_of(text) == text


def test_reasoning_within_a_section_of_a_longer_text_stays_where_only_its_start_is_asked_for() -> None:
    assert (
        after_leading("<think>plan</think>[DRAFT]\n<think>1</think>\n[REVISED]\n4")
        == "[DRAFT]\n<think>1</think>\n[REVISED]\n4"
    )


@pytest.mark.parametrize(
    ("turn", "shown"),
    [
        ("<think>hm</think>13", "13"),
        ("hm</think>\n13", "13"),
        ("<think>hm", ""),
        ("<think>hm</think><draft>12?</draft><thinking>5 + 8</thinking>13", "13"),
        ("<draft>12?</draft><thinking>5 + 8</thinking><think>hm</think>13", "13"),
        ("<reasoning>hm</reasoning>13", "13"),
    ],
)
def test_a_person_is_shown_no_reasoning(turn: str, shown: str) -> None:
    assert sections(turn).shown == shown


HOSTILE = """
from blocks.models.sections import sections
from blocks.models.reasoning import answer_of
for piece in ("<think>", "</think>", "`", "``", "` ``` ", "\\n```", "\\n   <think> a", " ", "\\n", "<think></think>", \
"<|channel|>final<|message|>", "Thought:", "\\nAnswer:",
              "<draft>", "<answer>", '"</think>'):
    for start in ("", "Thought:", "</think>"):
        text = start + piece * (50_000 // len(piece))
        answer_of(text), sections(text)
"""


def test_no_text_takes_long() -> None:
    """Nothing here is more than linear: beyond that these texts would take hours."""
    subprocess.run([sys.executable, "-c", HOSTILE], check=True, timeout=120)
