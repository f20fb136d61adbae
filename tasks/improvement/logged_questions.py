"""The questions that were answered wrongly in service, as questions to learn from.

Only those with a check: a wrong answer to them can be mended and the mending judged. Questions of the held-out split
are left out, so that what measures stays unseen. Not here: mending (tasks/modifiers/cascade.py).
"""

from random import Random

from blocks import json_lines, store
from blocks.records import Artifact, Question
from blocks.rehearsal import world
from tasks.improvement.observe import read_observed
from tasks.step import step


@step(version=1)
def logged_questions(
    observed: Artifact, domains: list[str], held_out: list[Artifact], most: int, seed: int
) -> Artifact:
    """At most ``most`` of each domain's wrongly answered questions, distinct, none of them among ``held_out`` (kind
    "questions").

    Returns:
        Artifact of kind "questions": questions.jsonl, perhaps empty.
    """
    unseen = {line for one in held_out for line in _prompts(one)}
    found: dict[str, dict[str, Question]] = {domain: {} for domain in domains}
    kept_out = 0
    for one in read_observed(observed):
        if one.source != "serving" or one.right is not False or one.prompt is None or one.domain not in found:
            continue
        prompt = one.prompt.strip()
        expected, kind = world.expected(prompt), world.classify(prompt)
        if expected is None or kind is None:
            continue
        if world.is_held_out(prompt) or prompt in unseen:
            kept_out += 1
            continue
        question = Question(
            id=world.question_id(prompt),
            prompt=prompt,
            domain=kind[0],
            difficulty=kind[1],
            task_type=kind[2],
            expected=expected,
            source="served",
        )
        found[one.domain].setdefault(question.id, question)
    chosen = [
        question
        for domain, those in found.items()
        for question in _some(list(those.values()), most, Random(f"{domain} {seed}"))
    ]
    with store.create(
        "questions", parents=[observed, *held_out], settings={"domains": domains, "most": most, "seed": seed}
    ) as folder:
        json_lines.write(folder.path / "questions.jsonl", chosen)
        folder.metrics |= {"questions": len(chosen), "kept_out": kept_out}
    return folder.artifact


def _some(rows: list[Question], most: int, rng: Random) -> list[Question]:
    return rows if len(rows) <= most else rng.sample(rows, most)


def _prompts(questions: Artifact) -> list[str]:
    return [question.prompt for question in json_lines.read(store.open(questions) / "questions.jsonl", Question)]
