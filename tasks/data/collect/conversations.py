"""Adapters of conversations: Anthropic-HH, ShareGPT, WizardLM. An example is one exchange: the first of the
conversation.

Later turns lean on what was said before, and an example has no place for that; they are left out. Of a preference pair
the preferred side is taken.
"""

import re

from tasks.data.collect.pair import Pair, Row, each

_TURN = re.compile(r"\n\n(Human|Assistant):[ ]?")
_ASKS, _ANSWERS = {"human", "user"}, {"gpt", "assistant", "chatgpt", "bing", "bard"}


def _hh(row: Row) -> Pair | None:
    """``chosen``: a dialogue written as ``\\n\\nHuman: …\\n\\nAssistant: …``."""
    parts = _TURN.split(row["chosen"])[1:]
    turns = list(zip(parts[::2], parts[1::2], strict=False))
    if [speaker for speaker, _ in turns[:2]] != ["Human", "Assistant"]:
        return None
    return Pair(turns[0][1].strip(), re.sub(r"\s*\n\nHuman\s*$", "", turns[1][1]).strip())


def _conversation(row: Row) -> Pair | None:
    """``conversations`` of ``from``/``value``, or ``messages`` of ``role``/``content``; a system turn in front is left
    out."""
    turns = [
        (turn.get("from") or turn.get("role"), turn.get("value") or turn.get("content") or "")
        for turn in row.get("conversations") or row["messages"]
    ]
    turns = [turn for turn in turns if turn[0] != "system"]
    if len(turns) < 2 or turns[0][0] not in _ASKS or turns[1][0] not in _ANSWERS:
        return None
    return Pair(turns[0][1], turns[1][1])


def _wizardlm(row: Row) -> Pair | None:
    """The 196k release holds conversations, the 70k release ``instruction`` and ``output``."""
    return Pair(row["instruction"], row["output"]) if "instruction" in row else _conversation(row)


hh, sharegpt, wizardlm = each(_hh), each(_conversation), each(_wizardlm)
