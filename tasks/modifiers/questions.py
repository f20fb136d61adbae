"""Fresh questions with checkable answers, from the training range: none is in the dataset or among the held-out
questions.

Three sources: the rehearsal world, public benchmarks, a teacher. Not here: posing them to the student (evaluation's
``evaluate``).
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import cycle
from random import Random

from blocks import json_lines, store
from blocks.records import Artifact, CallRef, Difficulty, Domain, Question
from blocks.rehearsal import world
from blocks.wording import folded
from configs.errors import BadInput
from configs.phases.modifiers import BenchmarkSource, Coverage, Source, TeacherSource
from configs.phases.teachers import Teachers
from tasks.evaluation import benchmarks
from tasks.modifiers import writing
from tasks.step import step

log = logging.getLogger("cogumi.modifiers")
_DRAWS = 10  # draws per wanted question before the families count as used up


@dataclass
class Written:
    """What teachers were asked for so far, what of it was dropped, by reason, and the number of each kind's next
    batch."""

    calls: list[CallRef] = field(default_factory=list)
    rejects: Counter[str] = field(default_factory=Counter)
    batches: Counter[tuple[Domain, Difficulty]] = field(default_factory=Counter)


@step(version=3)
def fresh_questions(
    avoid: list[Artifact],
    coverages: list[Coverage],
    count: int,
    hard_share: float,
    source: Source,
    teachers: Teachers,
    seed: int,
) -> Artifact:
    """``count`` questions for each domain of ``coverages``, ``hard_share`` of them hard where the source has both; no
    prompt is in the JSON lines of ``avoid`` (datasets, questions). Fewer where the source has no more, which the log
    says.

    Returns:
        Artifact of kind "questions": questions.jsonl.

    Raises:
        BadInput: the source has no fresh question at all for a domain, or a benchmark's file is not as the settings
            say.
    """
    seen = {folded(prompt) for artifact in avoid for prompt in prompts(artifact)}
    found: list[Question] = []
    asked = Written()
    for coverage in coverages:
        for domain in coverage.domains:
            of_domain: list[Question] = []
            hard = round(count * hard_share)
            plan: list[tuple[Difficulty, int]] = [
                ("easy", count - hard),
                ("hard", hard),
                ("easy", count),
                ("hard", count),
            ]
            for difficulty, most in plan:
                wanted = min(most, count - len(of_domain))
                drawn = (
                    _draw(
                        source=source,
                        coverage=coverage,
                        domain=domain,
                        difficulty=difficulty,
                        wanted=wanted,
                        seen=seen,
                        teachers=teachers,
                        seed=seed,
                        asked=asked,
                    )
                    if wanted
                    else []
                )
                seen |= {folded(question.prompt) for question in drawn}
                of_domain += drawn
            if len(of_domain) < count:
                log.warning(
                    "%s has only %d fresh questions of domain %s, %d are wanted",
                    source.kind,
                    len(of_domain),
                    domain,
                    count,
                )
            found += of_domain
        if not any(question.domain in coverage.domains for question in found):
            raise BadInput(
                f"modifiers.source ({source.kind}) has no fresh question of {', '.join(coverage.domains)}; give it "
                "more, or leave the modifier out"
            )
    settings = {
        "coverages": [c.identity() for c in coverages],
        "count": count,
        "hard_share": hard_share,
        "source": source.identity(),
        "seed": seed,
    }
    with store.create("questions", parents=avoid, settings=settings) as folder:
        json_lines.write(folder.path / "questions.jsonl", found)
        folder.metrics["questions"] = len(found)
        paid = {call.call: call.dollars for call in asked.calls}
        folder.dollars = sum(paid.values(), folder.dollars)
        if paid:
            folder.metrics["calls"] = len(paid)
        folder.metrics |= {f"rejected_{reason}": count for reason, count in asked.rejects.items() if count}
    return folder.artifact


def _draw(
    source: Source,
    coverage: Coverage,
    domain: Domain,
    difficulty: Difficulty,
    wanted: int,
    seen: set[str],
    teachers: Teachers,
    seed: int,
    asked: Written,
) -> list[Question]:
    """Up to ``wanted`` distinct questions whose prompts are not in ``seen``; what teachers were asked for them is added
    to ``asked``."""
    candidates: Iterable[Question]
    if isinstance(source, TeacherSource):
        written = writing.write(
            source=source,
            coverage=coverage,
            domain=domain,
            difficulty=difficulty,
            wanted=wanted,
            first=asked.batches[domain, difficulty],
            teachers=teachers,
            seed=seed,
        )
        asked.batches[domain, difficulty] = written.next
        asked.calls += written.calls
        asked.rejects += written.rejects
        candidates = written.questions
    elif isinstance(source, BenchmarkSource):
        readers = [(one, benchmarks.READERS[one.format]) for one in source.benchmarks]
        posed = [
            question
            for one, reader in readers
            if (reader.domain, reader.difficulty) == (domain, difficulty)
            for question, _ in benchmarks.questions(one)
        ]
        candidates = Random(f"{seed} {domain} {difficulty}").sample(posed, len(posed))
    else:
        candidates = _from_world(domain, difficulty, wanted, seed)
    fresh: dict[str, Question] = {}
    for question in candidates:
        if len(fresh) == wanted:
            break
        prompt = folded(question.prompt)
        if prompt not in seen and prompt not in fresh and question.expected is not None:
            fresh[prompt] = question
        elif question.lineage:  # a teacher wrote it
            asked.rejects["repeated"] += 1
    return list(fresh.values())


def _from_world(domain: Domain, difficulty: Difficulty, wanted: int, seed: int) -> Iterator[Question]:
    """Questions of the domain's families in turn, repeated ones included, until the families count as used up."""
    rng = Random(f"fresh {domain} {difficulty} {seed}")
    families = cycle(world.families(domain, difficulty))
    for _ in range(wanted * _DRAWS):
        yield world.draw(next(families), "train", rng)


def prompts(artifact: Artifact) -> Iterator[str]:
    """Every ``prompt`` in the JSON lines of an artifact (examples, questions, answers)."""
    import json

    for path in sorted(store.open(artifact).glob("*.jsonl")):
        for line in json_lines.lines(path):
            row = json.loads(line)
            if isinstance(row.get("prompt"), str):
                yield row["prompt"]
