import random
from collections.abc import Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from blocks import store
from blocks.records import Question
from configs.phases.data import Decontamination
from tasks.data import rows
from tasks.data.clean.decontaminate import Index, decontaminate, words_of
from tests.tasks.data.conftest import example, examples_artifact

SETTINGS = Decontamination(words=8, overlap=0.3, short_words=4)
word = st.text("abcdefghij", min_size=2, max_size=5)
sentence = st.lists(word, min_size=4, max_size=40).map(" ".join)


@given(sentence, sentence, sentence)
def test_a_planted_question_is_found_whatever_stands_around_it(question: str, before: str, after: str) -> None:
    index = Index(SETTINGS, [("q", question)])
    found = index.find(f"{before} {question.upper().replace(' ', ',  ')}! {after}")
    assert found is not None
    assert found.question == "q"


@given(sentence)
def test_a_question_in_the_answer_is_found_too(question: str) -> None:
    assert Index(SETTINGS, [("q", question)]).find("Tell me something.", f"Well: {question}") is not None


@given(st.lists(word, min_size=4, max_size=40))
def test_other_words_are_never_contaminated(words: list[str]) -> None:
    index = Index(SETTINGS, [("q", " ".join(words))])
    assert index.find(" ".join(f"{w}x" for w in words)) is None


def test_a_very_short_question_counts_only_as_the_whole_prompt() -> None:
    index = Index(SETTINGS, [("q", "What is 2 + 2?")])
    short = Index(SETTINGS.model_copy(update={"short_words": 5}), [("q", "What is 2 + 2?")])
    assert words_of("What is 2 + 2?") == ["what", "is", "2", "2"]
    assert index.find("what is 2 + 2") is not None
    assert index.find("Say what is 2 + 2 in French.") is not None
    assert short.find("what is 2 + 2") is not None
    assert short.find("Say what is 2 + 2 in French.") is None


def test_the_share_of_the_questions_n_grams_decides() -> None:
    question = "one two three four five six seven eight nine ten eleven twelve"  # five 8-grams
    half = "one two three four five six seven eight nine ten and then something else"  # three of them
    assert Index(SETTINGS.model_copy(update={"overlap": 0.6}), [("q", question)]).find(half) is not None
    assert Index(SETTINGS.model_copy(update={"overlap": 0.7}), [("q", question)]).find(half) is None
    assert Index(SETTINGS.model_copy(update={"words": 11}), [("q", question)]).find(half) is None


def test_the_step_lists_what_it_removed_from_every_evaluation_in_use() -> None:
    def evaluation(name: str, prompt: str) -> object:
        with store.create("questions", settings={"name": name}) as folder:
            rows.write(
                folder.path / rows.QUESTIONS,
                [Question(id=name, prompt=prompt, domain="math", difficulty="easy", task_type="t", source="s")],
            )
        return folder.artifact

    first, second = (
        evaluation("first", "How many cats has Ann in Rome?"),
        evaluation("second", "How many dogs has Ben in Oslo?"),
    )
    kept = example("kept", prompt="How many hens has Cal in Lima?")
    leaked = [
        example("a", prompt="how many cats has Ann in Rome"),
        example("b", prompt="Tell me: how many dogs has Ben in Oslo?"),
    ]
    made = decontaminate.fn(examples_artifact(kept, *leaked), [first, second], SETTINGS)  # type: ignore[list-item]
    assert rows.examples(made) == [kept]
    rejects = rows.read(store.open(made) / rows.REJECTS, rows.Reject)
    assert [(reject.id, reject.detail) for reject in rejects] == [
        ("a", "100% of evaluation question first"),
        ("b", "100% of evaluation question second"),
    ]
    assert made.metrics == {"kept": 1, "rejected_contaminated": 2, "evaluation_questions": 2}


def test_real_questions_are_found_in_disguise_and_real_training_text_is_left_alone(
    corpus: Callable[[str], Path],
) -> None:
    from tasks.data.plain.files import objects

    settings = Decontamination(words=13, overlap=0.1, short_words=6)
    test = [row["question"] for _, row, _ in objects(corpus("gsm8k/test.jsonl.zst"))]
    index = Index(settings, ((str(i), question) for i, question in enumerate(test)))
    for i in random.Random(0).sample(range(len(test)), 200):
        found = index.find(f"Solve this, step by step: {test[i].lower()}".replace(",", ""))
        assert found is not None
        assert found.question == str(i) or test[int(found.question)].split()[:5] == test[i].split()[:5]
    train = [row["question"] for _, row, _ in objects(corpus("gsm8k/train.jsonl.zst"))]
    assert sum(index.find(question) is not None for question in train) / len(train) < 0.01
