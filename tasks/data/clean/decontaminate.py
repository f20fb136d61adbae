"""Removal of training examples that contain an evaluation question, for every evaluation set in use.

A question of at least ``words`` words counts as contained where enough of its word n-grams occur in the example (prompt
and answer); a shorter one where it occurs as a whole; a very short one ("2 + 2") only where it is the whole prompt.
Words are runs of letters or digits, lower case, so that punctuation and markup hide nothing. Not here: paraphrases and
translations, which no n-gram finds.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from blocks import store
from blocks.records import Artifact, Example
from configs.phases.data import Decontamination
from tasks.data import rows
from tasks.step import step

_WORD = re.compile(r"[^\W_]+")
_GROUPED = re.compile(r"(?<=\d),(?=\d{3}\b)")


class Hit(NamedTuple):
    """An evaluation question found in a text, and the share of its n-grams that occur there."""

    question: str
    share: float


@step(version=1)
def decontaminate(examples: Artifact, evaluations: list[Artifact], settings: Decontamination) -> Artifact:
    """Drop every example that contains a question of an evaluation; an artifact of kind "examples", what went in
    rejects.jsonl."""
    index = Index(
        settings,
        ((question.id, question.prompt) for evaluation in evaluations for question in rows.questions(evaluation)),
    )
    kept: list[Example] = []
    rejects: list[rows.Reject] = []
    for example in rows.examples(examples):
        answer = " ".join(part for part in (example.draft, example.thinking, example.response) if part)
        hit = index.find(example.prompt, answer)
        if hit is None:
            kept.append(example)
        else:
            rejects.append(
                rows.Reject(
                    id=example.id,
                    stage="decontaminate",
                    reason="contaminated",
                    detail=contained_in(hit),
                    prompt=example.prompt,
                    lineage=example.lineage,
                )
            )
    with store.create("examples", parents=[examples, *evaluations], settings=settings) as folder:
        rows.record(folder, rows.EXAMPLES, kept, rejects)
        folder.metrics["evaluation_questions"] = index.size
    return folder.artifact


class Index:
    """The n-grams of evaluation questions, by n; n is ``settings.words``, or a shorter question's own length."""

    def __init__(self, settings: Decontamination, questions: Iterable[tuple[str, str]]) -> None:
        self.settings = settings
        self.size = 0
        self._whole: dict[tuple[str, ...], str] = {}
        self._grams: dict[int, dict[int, list[int]]] = {}
        self._openings: set[int] = (
            set()
        )  # the first words of the questions that are shorter than n: without one of them none can be there
        self._names: list[tuple[str, int]] = []  # question id, number of its distinct n-grams
        for name, prompt in questions:
            self._add(name, words_of(prompt))

    def _add(self, name: str, words: list[str]) -> None:
        self.size += 1
        self._whole.setdefault(tuple(words), name)
        n = min(self.settings.words, len(words))
        if n < self.settings.short_words:
            return
        distinct = set(grams(words, n))
        own = len(self._names)
        self._names.append((name, len(distinct)))
        if n < self.settings.words:
            self._openings.add(next(grams(words, self.settings.short_words)))
        index = self._grams.setdefault(n, {})
        for gram in distinct:
            index.setdefault(gram, []).append(own)

    def find(self, prompt: str, answer: str = "") -> Hit | None:
        """The evaluation question that a text contains most of, if that is enough."""
        asked = words_of(prompt)
        if (same := self._whole.get(tuple(asked))) is not None and asked:
            return Hit(same, 1.0)
        words = asked + words_of(answer)
        best: Hit | None = None
        short = not self._openings.isdisjoint(grams(words, self.settings.short_words))
        for n, index in self._grams.items():
            if (n < self.settings.words and not short) or index.keys().isdisjoint(grams(words, n)):
                continue
            found: Counter[int] = Counter()
            for gram in set(grams(words, n)):
                found.update(index.get(gram, ()))
            number, count = max(found.items(), key=lambda item: (item[1] / self._names[item[0]][1], -item[0]))
            name, total = self._names[number]
            if count / total >= self.settings.overlap and (best is None or count / total > best.share):
                best = Hit(name, count / total)
        return best


def contained_in(hit: Hit) -> str:
    """What was found, in words."""
    return f"{hit.share:.0%} of evaluation question {hit.question}"


def words_of(text: str) -> list[str]:
    """Runs of letters or digits, lower case; a comma between digits groups them and is left out."""
    return _WORD.findall(_GROUPED.sub("", text.lower()))


def grams(words: Sequence[str], n: int) -> Iterator[int]:
    """The hashes of the word n-grams, in order."""
    return map(hash, zip(*(words[i:] for i in range(n)), strict=False))
