"""Judged answers of known statistics, as evaluation artifacts: what the routing steps are given."""

from collections.abc import Sequence

import numpy as np

from blocks import store
from blocks.records import Answered, Artifact, Domain
from blocks.rehearsal import world


def answered(prompt: str, domain: Domain, correct: bool, logprobs: Sequence[float]) -> Answered:
    return Answered(
        question=world.question_id(prompt),
        domain=domain,
        difficulty="easy",
        task_type="t",
        prompt=prompt,
        text="x",
        correct=correct,
        reason="",
        logprobs=tuple(logprobs),
    )


def evaluation(answers: Sequence[Answered], name: str = "base") -> Artifact:
    with store.create("evaluation", settings={"name": name}) as folder:
        (folder.path / "answers.jsonl").write_text("".join(answer.model_dump_json() + "\n" for answer in answers))
    return folder.artifact


def draw(domains: Sequence[Domain], split: world.Split, count: int, seed: int) -> list[tuple[str, Domain]]:
    """Prompts of the rehearsal world with their domains."""
    return [(q.prompt, q.domain) for domain in domains for q in world.questions(domain, "easy", split, count, seed)]


def guesses(prompts: Sequence[tuple[str, Domain]], seed: int) -> list[Answered]:
    """Answers in which one token of 3–30 is a guess, and right as often as its probability says; the other tokens are
    sure.

    So the lowest log-probability is all there is to know, and the mean over the answer hides it the more, the longer it
    is."""
    random = np.random.default_rng(seed)
    made = []
    for prompt, domain in prompts:
        chance = float(random.uniform(0.05, 1))
        logprobs = np.log(random.uniform(0.97, 1.0, size=random.integers(3, 31)))
        logprobs[random.integers(len(logprobs))] = np.log(chance)
        made.append(answered(prompt, domain, bool(random.random() < chance), logprobs.tolist()))
    return made
