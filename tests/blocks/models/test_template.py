"""An assistant turn taken apart, whole and broken off."""

import pytest

from blocks.models.sections import sections


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
    assert sections(turn).shown == shown
