import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.write.answers import Malformed
from tasks.data.write.drafts import take_apart

words = st.lists(st.text("abc xyz.\n(=", min_size=1), min_size=1, max_size=5).map(" ".join).map(str.strip).filter(bool)


@given(words, words, words, words)
def test_sections_come_back_as_they_were_written(draft: str, critique: str, thinking: str, revised: str) -> None:
    text = f"[DRAFT]\n{draft}\n[CRITIQUE]\n{critique}\n[THINKING]\n{thinking}\n[REVISED]\n{revised}\n"
    assert take_apart(text) == (f"{draft} {critique}", thinking, revised)


def test_thinking_may_be_absent_and_markers_may_be_bold() -> None:
    assert take_apart("**[DRAFT]**\n3\n**[CRITIQUE]**\nno\n**[REVISED]**\n4") == ("3 no", None, "4")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("4", r"no \[DRAFT\]"),
        ("[DRAFT]\n3\n[REVISED]\n4", r"no \[CRITIQUE\]"),
        ("[DRAFT]\n3\n[CRITIQUE]\nno", r"no \[REVISED\]"),
        ("[CRITIQUE]\nno\n[DRAFT]\n3\n[REVISED]\n4", "out of order"),
        ("[DRAFT]\n3\n[CRITIQUE]\nno\n[REVISED]\n4\n[REVISED]\n5", "twice"),
        ("Sure!\n[DRAFT]\n3\n[CRITIQUE]\nno\n[REVISED]\n4", "before"),
        ("[DRAFT]\n3\n[CRITIQUE]\n\n[REVISED]\n4", "empty"),
    ],
)
def test_another_shape_is_malformed(text: str, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        take_apart(text)
