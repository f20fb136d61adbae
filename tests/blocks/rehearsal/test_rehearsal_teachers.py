"""The rehearsal teachers: every job in its shape, errors where the skill ends, the same reply to the same request."""

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.checkers.judge import check_all
from blocks.records import DOMAINS, Difficulty, Domain, Question
from blocks.rehearsal import teachers, world
from blocks.rehearsal.mistakes import mistake
from configs.errors import BadInput

NAMES = list(teachers.TEACHERS)
SMALL, MEDIUM, LARGE = NAMES


def body(teacher: str, task: str, content: str, seed: int = 0, **header: Any) -> dict[str, Any]:
    lines = [f"Task: {task}", *(f"{key.capitalize()}: {value}" for key, value in header.items())]
    system = (
        "\n".join(lines) + "\n\nPlain instructions, such as: answer, judge, validate. Task: none of these counts here."
    )
    return {
        "model": teacher,
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": content}],
        "temperature": 0.7,
        "seed": seed,
    }


def ask(teacher: str, task: str, content: str, seed: int = 0, **header: Any) -> str:
    return str(teachers.complete(body(teacher, task, content, seed, **header))["choices"][0]["message"]["content"])


def questions(difficulty: Difficulty, each: int = 50) -> list[Question]:
    return [question for domain in DOMAINS for question in world.questions(domain, difficulty, "train", each, 3)]


def scores(reply: str) -> dict[str, int]:
    """A JSON reply's scores; empty where it was garbled."""
    try:
        return dict(json.loads(reply))
    except ValueError:
        return {}


def share_right(teacher: str, difficulty: Difficulty, seed: int = 0) -> float:
    task = "answer" if difficulty == "easy" else "answer_with_draft"
    asked = questions(difficulty)
    answers = [ask(teacher, task, question.prompt, seed).rpartition("[REVISED]\n")[2] for question in asked]
    verdicts = check_all(
        [(question.expected, answer) for question, answer in zip(asked, answers, strict=True) if question.expected]
    )
    return sum(verdict.correct for verdict in verdicts) / len(verdicts)


@pytest.mark.parametrize("difficulty", ["easy", "hard"])
def test_skill_rises_and_ends(difficulty: Difficulty) -> None:
    small, medium, large = (share_right(teacher, difficulty) for teacher in NAMES)
    assert 0.6 < small < medium < large < 1.0
    assert large > 0.95


def test_the_same_request_has_the_same_reply_and_another_seed_may_differ() -> None:
    request = body(SMALL, "write_questions", "go", domain="math", difficulty="easy", count=5)
    assert teachers.complete(request) == teachers.complete(json.loads(json.dumps(request)))
    assert teachers.complete(request)["choices"] != teachers.complete({**request, "seed": 1})["choices"]
    assert teachers.complete(request)["choices"] != teachers.complete({**request, "model": LARGE})["choices"]


def test_a_wrong_answer_can_be_mended_by_asking_again_or_a_better_teacher() -> None:
    asked = questions("easy")
    first, again, better = (
        [ask(teacher, "answer", question.prompt, seed) for question in asked]
        for teacher, seed in ((SMALL, 0), (SMALL, 1), (LARGE, 0))
    )

    def wrong(answers: list[str]) -> set[int]:
        verdicts = check_all(
            [(question.expected, answer) for question, answer in zip(asked, answers, strict=True) if question.expected]
        )
        return {i for i, verdict in enumerate(verdicts) if not verdict.correct}

    assert wrong(first) & wrong(again), "some errors are the teacher's for good"
    assert wrong(first) - wrong(again), "others pass"
    assert len(wrong(first) & wrong(better)) < 0.3 * len(wrong(first))


def test_hard_answers_have_their_four_parts() -> None:
    whole = 0
    for question in questions("hard", 20):
        reply = ask(LARGE, "answer_with_draft", question.prompt)
        lines = reply.split("\n")
        whole += [line for line in lines if line.startswith("[")][:4] == [
            "[DRAFT]",
            "[CRITIQUE]",
            "[THINKING]",
            "[REVISED]",
        ] or "[x" in reply
    assert whole > 150


@pytest.mark.parametrize("teacher", NAMES)
@pytest.mark.parametrize("difficulty", ["easy", "hard"])
@pytest.mark.parametrize("domain", DOMAINS)
def test_written_questions_are_of_the_domain_and_never_held_out(
    teacher: str, domain: Domain, difficulty: Difficulty
) -> None:
    written: list[str] = []
    for batch in range(5):
        reply = ask(
            teacher,
            "write_questions",
            f"Write about {domain}.",
            domain=domain,
            difficulty=difficulty,
            count=20,
            batch=batch,
        )
        written += scores(reply).get("questions", [])  # type: ignore[arg-type]
    good = [text for text in written if (kind := world.classify(text)) and kind[:2] == (domain, difficulty)]
    bad = 1 - len(good) / len(written)
    assert bad < 2 * teachers.TEACHERS[teacher].bad + 0.05
    assert not any(world.is_held_out(text) for text in good)
    assert len(set(written)) > 0.5 * len(written)


def test_questions_like_the_given_ones_are_of_their_kind() -> None:
    given_ones = "Write more like these:\n- Reverse: cat dog hen\n- Reverse: sun map box"
    written = json.loads(ask(LARGE, "write_questions", given_ones, domain="instruction", difficulty="easy", count=20))[
        "questions"
    ]
    kinds = [kind[2] for text in written if (kind := world.classify(text))]
    assert kinds.count("reverse") >= 17


def test_validation_tells_good_questions_from_bad_ones() -> None:
    asked = questions("easy", 20)
    good = [
        scores(ask(LARGE, "validate", question.prompt, domain=question.domain, difficulty="easy")) for question in asked
    ]
    assert sum(min(score.values(), default=0) >= 8 for score in good) > 0.9 * len(good)
    other = [scores(ask(LARGE, "validate", question.prompt, domain="math", difficulty="hard")) for question in asked]
    assert sum(score.get("difficulty", 10) <= 5 for score in other) > 0.9 * len(other)
    broken = [
        scores(ask(LARGE, "validate", question.prompt[::-1], domain=question.domain, difficulty="easy"))
        for question in asked
    ]
    assert sum(score.get("clarity", 10) <= 5 for score in broken) > 0.9 * len(broken)
    assert all(set(score) == {"clarity", "relevance", "difficulty", "quality"} for score in good if score)


def test_the_judge_works_the_question_out_itself() -> None:
    most = {"accuracy": 3, "completeness": 2, "coherence": 2, "helpfulness": 3}
    for teacher, least in ((SMALL, 0.8), (LARGE, 0.95)):
        agreed = total = 0
        for question in questions("easy", 20):
            solved = world.worked(question.prompt)
            assert solved
            assert question.expected
            wrong = mistake(question.expected, solved.response, question.prompt, Random(question.id))
            for answer, right in ((solved.response, True), (wrong, False)):
                score = scores(
                    ask(
                        teacher,
                        "judge",
                        f"QUESTION:\n{question.prompt}\nANSWER:\n{answer}",
                        domain=question.domain,
                        difficulty="easy",
                    )
                )
                if score:
                    assert all(0 <= score[name] <= limit for name, limit in most.items())
                    assert set(score) == set(most)
                    agreed += (score["accuracy"] == 3) == right
                    total += 1
        assert agreed / total > least


def test_mistakes_are_always_wrong() -> None:
    for difficulty in ("easy", "hard"):
        pairs = []
        for question in questions(difficulty, 40):  # type: ignore[arg-type]
            solved = world.worked(question.prompt)
            assert solved
            assert question.expected
            pairs.append((question.expected, mistake(question.expected, solved.response, question.prompt, Random(1))))
        right = [pair for pair, verdict in zip(pairs, check_all(pairs), strict=True) if verdict.correct]
        assert len(right) <= 0.02 * len(pairs), right  # a changed number may by chance leave a function the same


def test_the_wire_format_is_openais() -> None:
    from openai.types.chat import ChatCompletion

    reply = teachers.complete(body(MEDIUM, "answer", "What is 7 plus 8?"))
    parsed = ChatCompletion.model_validate(reply)
    assert parsed.choices[0].message.content == "15"
    assert parsed.usage is not None
    assert parsed.usage.total_tokens == parsed.usage.prompt_tokens + parsed.usage.completion_tokens
    assert parsed.usage.completion_tokens == 1


def test_max_tokens_cuts_the_reply() -> None:
    request = {**body(MEDIUM, "answer", "Reverse: cat dog hen"), "max_tokens": 2}
    reply = teachers.complete(request)
    assert reply["choices"][0]["finish_reason"] == "length"
    assert reply["usage"]["completion_tokens"] == 2
    assert reply["choices"][0]["message"]["content"] == "hen dog"


def test_what_fits_no_job_is_said_so() -> None:
    bare = {"model": LARGE, "messages": [{"role": "user", "content": "Hi"}]}
    for request in (
        body(LARGE, "dance", "x"),
        body(LARGE, "write_questions", "x"),
        body(LARGE, "judge", "no marks"),
        bare,
    ):
        assert "understand" in teachers.complete(request)["choices"][0]["message"]["content"]
    assert ask(LARGE, "answer", "What is love?") == "I am not sure what is asked."
    with pytest.raises(BadInput, match="rehearsal-small"):
        teachers.complete({**body(LARGE, "answer", "x"), "model": "gpt"})
    with pytest.raises(BadInput, match="no messages"):
        teachers.complete({"model": LARGE, "messages": []})


@given(st.text(max_size=200), st.sampled_from(["answer", "answer_with_draft", "judge", "validate", "write_questions"]))
def test_any_content_is_answered(content: str, task: str) -> None:
    assert ask(SMALL, task, content, domain="math", difficulty="easy", count=2)
