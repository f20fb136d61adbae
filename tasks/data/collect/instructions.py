"""Adapters of single-turn instruction data: Alpaca's family, Dolly, OpenOrca, Natural Instructions, XSum,
CNN/DailyMail.

Not here: conversations (conversations.py), mathematics (mathematics.py), questions with choices or passages
(reading.py).
"""

from tasks.data.collect.pair import Pair, Row, each, joined

_DOLLY = {
    "closed_qa": ("reading", "question_answering"),
    "information_extraction": ("reading", "information_extraction"),
    "summarization": ("summarization", "summarization"),
    "open_qa": ("common_sense", "question_answering"),
    "general_qa": ("common_sense", "question_answering"),
    "classification": ("instruction", "classification"),
    "brainstorming": ("instruction", "brainstorming"),
    "creative_writing": ("instruction", "creative_writing"),
}


def _alpaca(row: Row) -> Pair:
    """``instruction``, ``input`` (may be empty or say that there is none), ``output``."""
    given = row.get("input") or ""
    return Pair(
        joined(
            row["instruction"], "" if given.strip().lower().strip("<>") in ("noinput", "no input", "n/a") else given
        ),
        row["output"],
    )


def _dolly(row: Row) -> Pair:
    """``instruction``, ``context``, ``response``, ``category``; the category decides on the domain."""
    domain, task_type = _DOLLY.get(row.get("category") or "", (None, None))
    return Pair(joined(row["instruction"], row.get("context")), row["response"], domain=domain, task_type=task_type)


def _orca(row: Row) -> Pair:
    """OpenOrca (``system_prompt``, ``question``, ``response``), or a preference pair made from it (``input``,
    ``preferred_output``)."""
    if "preferred_output" in row:
        asked = [message["content"] for message in row["input"]["messages"] if message["role"] == "user"]
        return Pair(asked[-1], row["preferred_output"][0]["content"])
    return Pair(row["question"], row["response"])


def _natural(row: Row) -> Pair:
    """A flattened record (``definition``, ``inputs``, ``targets``)."""
    return Pair(joined(row["definition"], row["inputs"]), row["targets"], task_type=row.get("task_name"))


def _xsum(row: Row) -> Pair:
    """``document``, ``summary``."""
    return Pair(joined("Summarize the article in one sentence.", row["document"]), row["summary"])


def _cnn(row: Row) -> Pair:
    """``article``, ``highlights``: one highlight a line."""
    return Pair(joined("Summarize the article in a few short sentences.", row["article"]), row["highlights"])


alpaca, dolly, orca, natural, xsum, cnn = (
    each(_alpaca),
    each(_dolly),
    each(_orca),
    each(_natural),
    each(_xsum),
    each(_cnn),
)
