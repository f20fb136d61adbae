"""The night's examination: held-out questions that neither release was trained, fitted or chosen on, and what they say.

In the rehearsal world they are drawn anew every night; public benchmarks have only their test questions, which grow
stale with every candidate that is judged on them. Not here: the answers (evaluation, routing).
"""

from collections.abc import Iterator, Sequence
from random import Random

from blocks import json_lines, store
from blocks.records import DOMAINS, Artifact, Difficulty, GateCheck, Interval, Question, Record
from blocks.rehearsal import world
from configs.errors import BadInput
from configs.phases.nightly import Examination
from tasks.evaluation.evaluate import read_answers
from tasks.evaluation.held_out import DIFFICULTIES, read_questions
from tasks.evaluation.statistics import paired_difference
from tasks.step import step


class Comparison(Record):
    """Candidate minus current release on the same questions, paired: on the affected domains, on all, and by domain;
    and the shares of right answers."""

    affected: Interval
    overall: Interval
    by_domain: dict[str, Interval]
    before: dict[str, float]
    after: dict[str, float]

    def checks(self, minimum_gain: float, tolerance: float) -> list[GateCheck]:
        """The gate's comparisons: surely better where something was retrained, and nowhere near worse as a whole."""
        return [
            GateCheck(
                name="exact match on the affected domains, candidate minus current, lower end",
                value=self.affected.low,
                rule=">",
                threshold=minimum_gain,
            ),
            GateCheck(
                name="exact match on all domains, candidate minus current, lower end",
                value=self.overall.low,
                rule=">=",
                threshold=-tolerance,
            ),
        ]


@step(version=1)
def examination(
    affected: list[str], settings: Examination, rehearsal: bool, test: Artifact, avoid: list[Artifact], seed: int
) -> Artifact:
    """Held-out questions of every domain, more of the ``affected`` ones; none of ``avoid`` (kind "questions").
    ``rehearsal``: draw them from the rehearsal world, else they are taken from the questions ``test``.

    Returns:
        Artifact of kind "questions".

    Raises:
        BadInput: there is none of an affected domain.
    """
    taken = {question.prompt for one in avoid for question in read_questions(one)}
    asked: list[Question] = []
    for domain in DOMAINS:
        for difficulty in DIFFICULTIES:
            count = settings.affected if domain in affected else settings.elsewhere
            source = _from_world(domain, difficulty, seed) if rehearsal else _from_test(test, domain, difficulty, seed)
            asked += _first(source, count, taken)
    missing = [domain for domain in affected if not any(question.domain == domain for question in asked)]
    if missing:
        raise BadInput(
            f"there are no held-out questions of {', '.join(missing)}, so a candidate for them cannot be judged; name "
            "a benchmark of it in the profile's evaluation"
        )
    described = {"affected": affected, "examination": settings.identity(), "rehearsal": rehearsal, "seed": seed}
    with store.create("questions", parents=[test, *avoid], settings=described) as folder:
        json_lines.write(folder.path / "questions.jsonl", asked)
        folder.metrics["questions"] = len(asked)
    return folder.artifact


@step(version=1)
def compare(before: Artifact, after: Artifact, affected: list[str], resamples: int, seed: int) -> Comparison:
    """Hold the candidate's answers ``after`` against the current release's ``before``, question by question.
    ``resamples``, ``seed``: of the bootstrap.

    Raises:
        BadInput: they are answers to different questions, or to none of the affected domains.
    """
    first, second = read_answers(before), read_answers(after)
    if [one.question for one in first] != [one.question for one in second]:
        raise BadInput(
            f"{before.short} and {after.short} answer different questions; examine both releases on the same"
        )
    pairs = [(one.domain, one.correct, other.correct) for one, other in zip(first, second, strict=True)]
    domains = list(dict.fromkeys(domain for domain, _, _ in pairs))

    def difference(chosen: Sequence[str]) -> Interval:
        inside = [(one, other) for domain, one, other in pairs if domain in chosen]
        return paired_difference(
            [one for one, _ in inside], [other for _, other in inside], seed=seed, resamples=resamples
        )

    def shares(which: int) -> dict[str, float]:
        of = {domain: [pair[which] for pair in pairs if pair[0] == domain] for domain in domains}
        return {domain: sum(bool(one) for one in those) / len(those) for domain, those in of.items()}

    return Comparison(
        affected=difference(affected),
        overall=difference(domains),
        by_domain={domain: difference([domain]) for domain in domains},
        before=shares(1),
        after=shares(2),
    )


def _from_world(domain: str, difficulty: Difficulty, seed: int) -> Iterator[Question]:
    """Questions of the held-out split, without end; the same ones come again where the families have no more."""
    rng = Random(f"examination {domain} {difficulty} {seed}")
    families = [family for family in world.FAMILIES if (family.domain, family.difficulty) == (domain, difficulty)]
    for _ in range(_DRAWS):
        for family in families:
            yield world.draw(family, "held_out", rng)


_DRAWS = 2000  # rounds over the families after which they count as used up


def _from_test(test: Artifact, domain: str, difficulty: Difficulty, seed: int) -> Iterator[Question]:
    fitting = [
        question for question in read_questions(test) if (question.domain, question.difficulty) == (domain, difficulty)
    ]
    yield from Random(f"examination {domain} {difficulty} {seed}").sample(fitting, len(fitting))


def _first(source: Iterator[Question], count: int, taken: set[str]) -> list[Question]:
    """The first ``count`` distinct questions that are not ``taken``; fewer where there are no more."""
    found: dict[str, Question] = {}
    for question in source:
        if len(found) == count:
            break
        if question.prompt not in taken:
            found.setdefault(question.prompt, question)
    return list(found.values())
