"""The rehearsal world: wording and reading agree, answers are right, training and held-out parameters never meet."""

import re
from itertools import combinations
from random import Random
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blocks.checkers.judge import check_all
from blocks.models import sections
from blocks.models import template as chat_format
from blocks.records import DOMAINS, Difficulty, Domain, Question
from blocks.rehearsal import world
from blocks.rehearsal.family import Family
from blocks.rehearsal.world import Split
from configs.errors import BadInput

DIFFICULTIES: tuple[Difficulty, ...] = get_args(Difficulty)
SPLITS: tuple[Split, ...] = get_args(Split)
KINDS = [(domain, difficulty) for domain in DOMAINS for difficulty in DIFFICULTIES]
TRAIN, HELD_OUT = 600, 100


@pytest.fixture(scope="module")
def drawn() -> dict[tuple[Domain, Difficulty, Split], list[Question]]:
    """Many questions of every domain, difficulty and split."""
    counts: dict[Split, int] = {"train": TRAIN, "held_out": HELD_OUT}
    return {
        (domain, difficulty, split): world.questions(domain, difficulty, split, counts[split], 11)
        for domain, difficulty in KINDS
        for split in SPLITS
    }


Drawn = dict[tuple[Domain, Difficulty, Split], list[Question]]


@pytest.mark.parametrize("family", world.FAMILIES, ids=lambda family: family.task_type)
@given(st.integers(0, 2**32), st.booleans())
@settings(max_examples=25)
def test_what_a_family_writes_it_reads_back(family: Family, seed: int, held_out: bool) -> None:
    fields = family.generate(Random(seed), held_out)
    for template in range(len(family.templates)):
        prompt = family.phrase(fields, template)
        assert family.parse(prompt) == fields
        assert world.classify(prompt) == (family.domain, family.difficulty, family.task_type), (
            "and no other family takes it for its own"
        )
        assert world.is_held_out(prompt) == held_out
        assert world.expected(prompt) == family.solve(fields)[0]


def test_the_worked_answer_is_right_and_stays_right_in_chat_format(drawn: Drawn) -> None:
    pairs, turns = [], []
    for (_, difficulty, _), questions in drawn.items():
        for question in questions[:40]:
            answer = world.worked(question.prompt)
            assert answer is not None
            assert question.expected is not None
            assert (answer.draft is None) == (answer.thinking is None) == (difficulty == "easy")
            turn = (
                f"<draft>{answer.draft}</draft><thinking>{answer.thinking}</thinking>{answer.response}"
                if answer.draft
                else answer.response
            )
            assert sections.sections(turn) == answer
            assert chat_format.LLAMA.guard(turn) == turn
            pairs.append((question.expected, answer.response))
            turns.append((question.expected, turn))
    assert [pair for pair, verdict in zip(pairs, check_all(pairs), strict=True) if not verdict.correct] == []
    assert all(verdict.correct for verdict in check_all(turns))


def test_thinking_ends_where_the_response_begins(drawn: Drawn) -> None:
    """The steps lead to the answer: the response's words all stand in the thinking or the draft."""
    for (_, difficulty, _), questions in drawn.items():
        for question in questions[:40] if difficulty == "hard" else []:
            answer = world.worked(question.prompt)
            assert answer is not None
            assert answer.thinking is not None
            known = set(re.findall(r"\w+", f"{question.prompt} {answer.draft} {answer.thinking}"))
            extra = set(re.findall(r"\w+", answer.response)) - known
            assert extra <= {"tool", "def", "return", "for", "in", "if", "weather", "city", "day"}, (
                question.prompt,
                answer,
            )


def test_training_and_held_out_never_meet(drawn: Drawn) -> None:
    for domain, difficulty in KINDS:
        train, held_out = drawn[domain, difficulty, "train"], drawn[domain, difficulty, "held_out"]
        assert not {question.prompt for question in train} & {question.prompt for question in held_out}
        assert not {question.id for question in train} & {question.id for question in held_out}
        reserved = {key for question in held_out for key in keys(question)} - {
            key for question in train for key in keys(question)
        }
        for question in held_out:
            assert reserved & keys(question), f"{question.prompt}: every part of it is in training"


def keys(question: Question) -> set[str]:
    known = world.recognise(question.prompt)
    assert known is not None
    return {f"{known[0].task_type} {key}" for key in known[0].keys(known[1])}


def test_every_single_word_of_held_out_questions_is_in_training(drawn: Drawn) -> None:
    """What is held out are combinations; a word that training never shows could not be learned."""
    for family in world.FAMILIES:
        words: dict[Split, set[str]] = {}
        for split in SPLITS:
            questions = [
                question
                for question in drawn[family.domain, family.difficulty, split]
                if question.task_type == family.task_type
            ]
            texts = [f"{question.prompt} {world.worked(question.prompt)}" for question in questions]
            words[split] = {word for text in texts for word in re.findall(r"[A-Za-z]+|\d", text)}
        assert words["held_out"] <= words["train"], family.task_type


def test_the_same_arguments_give_the_same_questions_and_another_seed_others() -> None:
    for domain, difficulty in KINDS:
        first = world.questions(domain, difficulty, "train", 50, 1)
        assert first == world.questions(domain, difficulty, "train", 50, 1)
        assert len({question.prompt for question in first}) == len({question.id for question in first}) == 50
        assert {question.prompt for question in first} != {
            question.prompt for question in world.questions(domain, difficulty, "train", 50, 2)
        }


def test_every_family_has_its_share(drawn: Drawn) -> None:
    for domain, difficulty in KINDS:
        families = world.families(domain, difficulty)
        for split in SPLITS:
            questions = drawn[domain, difficulty, split]
            for family in families:
                assert sum(question.task_type == family.task_type for question in questions) >= 0.5 * len(
                    questions
                ) / len(families)


def test_a_used_up_world_says_so() -> None:
    with pytest.raises(BadInput, match="ask for fewer than 100000"):
        world.questions("tool_use", "easy", "held_out", 100_000, 1)


def test_wrong_answers_are_wrong(drawn: Drawn) -> None:
    """Another question's answer is not right here, except where the two answers are the same."""
    for (_, _, _), questions in drawn.items():
        some = questions[:30]
        answers = [world.worked(question.prompt) for question in some]
        responses = [answer.response for answer in answers if answer]
        pairs = [
            (question.expected, other)
            for question, own, other in zip(some, responses, responses[1:] + responses[:1], strict=True)
            if question.expected and own != other
        ]
        assert not any(verdict.correct for verdict in check_all(pairs))


@pytest.mark.parametrize(
    "prompt",
    ["", "hello", "What is 7 plus", "What is seven plus 8?", "Who is tallest?", "Reverse:",
    "Ann is taller than Ben. Ann is taller than Cal. Who is tallest?", "Go on: 1 2 4.",
     "Tools: buy, send. Wake me at 3 today.", "Which is bigger, sun or moon?", "Pick the food: pea egg corn.",
     "What is 7 plus 8?\nAnd 9?", "x" * 5000,
     "Ben ran. Ann sat. Cal sat. Dan ran. How many sang, and who?",
     "Which word is most common, and how often? cat cat dog dog"],
)  # fmt: skip
def test_what_is_not_of_this_world_is_not_known(prompt: str) -> None:
    assert world.expected(prompt) is None
    assert world.worked(prompt) is None
    assert world.classify(prompt) is None


@given(st.text(max_size=80))
def test_any_text_can_be_asked(prompt: str) -> None:
    assert (world.expected(prompt) is None) == (world.classify(prompt) is None)


def test_examples_are_the_questions_with_their_answers() -> None:
    pairs = []
    for domain, difficulty in KINDS:
        questions = world.questions(domain, difficulty, "train", 20, 5)
        for question, example in zip(questions, world.examples(domain, difficulty, "train", 20, 5), strict=True):
            assert (example.id, example.prompt, example.metadata.task_type) == (
                question.id,
                question.prompt,
                question.task_type,
            )
            assert question.expected is not None
            assert example.metadata.requires_reasoning == (difficulty == "hard")
            pairs.append((question.expected, sections.written(example)))
    assert all(verdict.correct for verdict in check_all(pairs))


def test_the_world_is_small() -> None:
    """A small tokenizer and a small model can hold it: few distinct words, short prompts and answers."""
    examples = [
        example for domain, difficulty in KINDS for example in world.examples(domain, difficulty, "train", 300, 2)
    ]
    words = {
        word.lower()
        for example in examples
        for word in re.findall(r"[A-Za-z]+", f"{example.prompt} {sections.written(example)}")
    }
    assert 120 <= len(words) <= 250
    assert max(len(example.prompt.split()) for example in examples) <= 35
    assert max(len(example.response.split()) for example in examples) <= 16


def test_domains_do_not_share_task_types() -> None:
    assert all(a.task_type != b.task_type for a, b in combinations(world.FAMILIES, 2))
