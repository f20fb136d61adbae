"""Adapters of questions about a passage or with choices: SQuAD 2.0, CommonsenseQA, PIQA."""

from tasks.data.collect.pair import Pair, Row, each, joined

UNANSWERABLE = "The passage does not say."


def _squad(row: Row) -> Pair:
    """``context``, ``question``, ``answers`` {text: [...]}; no answer = the passage does not say."""
    texts = row["answers"]["text"]
    return Pair(joined(row["context"], row["question"]), texts[0] if texts else UNANSWERABLE)


def _commonsense(row: Row) -> Pair | None:
    """``question``, ``choices`` {label: [...], text: [...]}, ``answerKey`` (empty in the test split)."""
    labels, texts = row["choices"]["label"], row["choices"]["text"]
    if row["answerKey"] not in labels:
        return None
    offered = "\n".join(f"{label}. {text}" for label, text in zip(labels, texts, strict=True))
    return Pair(joined(row["question"], offered), f"{row['answerKey']}. {texts[labels.index(row['answerKey'])]}")


def _piqa(row: Row) -> Pair | None:
    """``goal``, ``sol1``, ``sol2``, ``label`` (-1 in the test split)."""
    if int(row["label"]) not in (0, 1):
        return None
    offered = f"A. {row['sol1']}\nB. {row['sol2']}"
    return Pair(
        joined(f"Which way works better? {row['goal']}", offered),
        f"{'AB'[int(row['label'])]}. {(row['sol1'], row['sol2'])[int(row['label'])]}",
    )


squad, commonsense, piqa = each(_squad), each(_commonsense), each(_piqa)
