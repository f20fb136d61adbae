"""The rehearsal teachers: three language models of rising skill, played by the rehearsal world over OpenAI's wire
format.

A teacher reads nothing but the text of the messages; what it is asked to do is described in jobs.py. It errs where its
skill ends: on task types beyond it, and now and then elsewhere, more often in long questions. Part of its errors are
its own for good, the others pass with another ``seed``. The same body gives the same reply. Not here: prices and limits
(the profile), transport.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from random import Random
from typing import Any, NamedTuple

from blocks.checkers import call as calls
from blocks.checkers import text, value
from blocks.records import DOMAINS, Expected
from blocks.rehearsal import world
from blocks.rehearsal.jobs import Job, read
from blocks.rehearsal.mistakes import cut, mistake
from configs.errors import BadInput


class Teacher(NamedTuple):
    """A teacher's skill. ``slip``: chance of an error per ten words of question and answer, half of it for good;
    ``beyond``: task types it mostly gets wrong; ``bad``: share of bad questions it writes; ``garble``: share of replies
    that break off or miss their shape."""

    slip: float
    beyond: frozenset[str]
    bad: float
    garble: float


TEACHERS = {
    "rehearsal-small": Teacher(
        0.06, frozenset({"order_of_five", "two_actions", "code_filter", "most_common"}), 0.15, 0.03
    ),
    "rehearsal-medium": Teacher(0.02, frozenset({"order_of_five"}), 0.08, 0.01),
    "rehearsal-large": Teacher(0.005, frozenset(), 0.04, 0.004),
}
BEYOND_ERROR = 0.7  # error rate on a task type beyond the teacher
_TOKEN = re.compile(r"\w+|[^\w\s]")


def complete(body: Mapping[str, Any]) -> dict[str, Any]:
    """Answer a chat-completions body with a chat-completions response. Tokens are words and punctuation marks.

    Raises:
        BadInput: no such teacher, or no messages.
    """
    name, messages = body.get("model"), body.get("messages")
    if name not in TEACHERS:
        raise BadInput(f"no rehearsal teacher {name!r}; there are: {', '.join(TEACHERS)}")
    if not messages:
        raise BadInput("the request has no messages")
    said = json.dumps([name, messages, body.get("seed"), body.get("temperature")], sort_keys=True)
    digest = hashlib.sha256(said.encode()).hexdigest()
    job = read(messages)
    content = (
        _reply(str(name), job, Random(int(digest, 16))) if job else "I do not understand what you would like me to do."
    )
    content, finish = _limit(content, body.get("max_completion_tokens") or body.get("max_tokens"))
    asked, answered = _tokens(said), _tokens(content)
    return {
        "id": f"rehearsal-{digest[:24]}",
        "object": "chat.completion",
        "created": 0,
        "model": name,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, "refusal": None},
                "logprobs": None,
                "finish_reason": finish,
            }
        ],
        "usage": {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered},
    }


def _reply(name: str, job: Job, rng: Random) -> str:
    content = {
        "write_questions": _write,
        "validate": _validate,
        "answer": _answer,
        "answer_with_draft": _answer_with_draft,
        "judge": _judge,
    }[job.task](name, job, rng)
    return cut(content, rng) if rng.random() < TEACHERS[name].garble else content


def _write(name: str, job: Job, rng: Random) -> str:
    assert job.domain
    assert job.difficulty
    known = [world.recognise(line[2:]) for line in job.content.split("\n") if line.startswith("- ")]
    families = [found[0] for found in known if found] or world.families(job.domain, job.difficulty)
    questions: list[str] = []
    while len(questions) < job.wanted:
        question = world.draw(rng.choice(families), "train", rng).prompt
        if rng.random() < TEACHERS[name].bad:
            question = _bad(question, questions, rng)
        if not world.is_held_out(question):  # mixed-up words may by chance make sense
            questions.append(question)
    return json.dumps({"questions": questions})


def _bad(question: str, before: list[str], rng: Random) -> str:
    """A question as a careless writer would leave it: repeated, of any other domain, broken off, or with its words
    mixed up."""
    kind = rng.randrange(4)
    if kind == 0 and before:
        return rng.choice(before)
    if kind == 1:
        return world.draw(rng.choice(world.families(rng.choice(DOMAINS), "easy")), "train", rng).prompt
    if kind == 2:
        return cut(question, rng)
    words = question.split()
    rng.shuffle(words)
    return " ".join(words)


def _validate(name: str, job: Job, rng: Random) -> str:
    kind = world.classify(job.content)
    fits = {
        "clarity": kind is not None,
        "relevance": kind is not None and kind[0] == job.domain,
        "difficulty": kind is not None and kind[1] == job.difficulty,
    }
    fits["quality"] = all(fits.values())
    unsure = rng.random() < TEACHERS[name].slip * 2
    return json.dumps(
        {score: rng.randint(8, 10) if good != unsure else rng.randint(2, 5) for score, good in fits.items()}
    )


class _Answer(NamedTuple):
    """What a teacher would say: final answer, first attempt, critique, steps."""

    response: str
    attempt: str
    critique: str
    thinking: str


def _solve(name: str, prompt: str, rng: Random) -> tuple[_Answer, Expected] | None:
    """The teacher's own answer, right or wrong; None where it has no idea."""
    known = world.recognise(prompt)
    if known is None:
        return None
    family, fields = known
    expected, response = family.solve(fields)
    work = family.work(fields) if family.work else None
    answer = (
        _Answer(response, work.attempt, work.critique, work.thinking)
        if work
        else _Answer(response, response, "Nothing to mend.", "Read it and answer.")
    )
    teacher = TEACHERS[name]
    size = len(f"{prompt} {response}".split())
    error = BEYOND_ERROR if family.task_type in teacher.beyond else teacher.slip * size / 10
    own = Random(f"{name} {prompt}")  # errors for good depend on the question alone
    if own.random() < error / 2:
        rng = own
    elif rng.random() >= error / 2:
        return answer, expected
    wrong = mistake(expected, response, prompt, rng)
    before, found, after = answer.thinking.rpartition(response)
    return answer._replace(response=wrong, thinking=before + wrong + after if found else answer.thinking), expected


def _answer(name: str, job: Job, rng: Random) -> str:
    solved = _solve(name, job.content, rng)
    return solved[0].response if solved else "I am not sure what is asked."


def _answer_with_draft(name: str, job: Job, rng: Random) -> str:
    solved = _solve(name, job.content, rng)
    if solved is None:
        return "I am not sure what is asked."
    answer = solved[0]
    parts = {
        "DRAFT": answer.attempt,
        "CRITIQUE": answer.critique,
        "THINKING": answer.thinking,
        "REVISED": answer.response,
    }
    return "\n".join(f"[{part}]\n{said}" for part, said in parts.items())


def _judge(name: str, job: Job, rng: Random) -> str:
    solved = _solve(name, job.content, rng)
    if solved is None:
        scores = {"accuracy": 1, "completeness": 1, "coherence": 1, "helpfulness": 1}
    elif _agrees(solved[0].response, job.answer, solved[1]):
        scores = {"accuracy": 3, "completeness": 2, "coherence": 2, "helpfulness": 3 - (rng.random() < 0.2)}
    else:
        scores = {
            "accuracy": int(rng.random() < 0.3),
            "completeness": 1,
            "coherence": 1 + (rng.random() < 0.5),
            "helpfulness": int(rng.random() < 0.5),
        }
    return json.dumps(scores)


def _agrees(own: str, given: str, expected: Expected) -> bool:
    """Whether an answer is the judge's own, in meaning; code is compared as it is written."""
    if expected.kind == "code":
        return "".join(own.split()) == "".join(given.replace("```python", "").replace("```", "").split())
    return {"value": value.check, "call": calls.check, "text": text.check}[expected.kind](own, given).correct


def _limit(content: str, most: int | None) -> tuple[str, str]:
    """The content within ``max_tokens``, and how it finished."""
    ends = [found.end() for found in _TOKEN.finditer(content)]
    if most is None or len(ends) <= most:
        return content, "stop"
    return content[: ends[most - 1]] if most else "", "length"


@lru_cache(maxsize=1 << 12)
def _tokens(content: str) -> int:
    return len(_TOKEN.findall(content))
