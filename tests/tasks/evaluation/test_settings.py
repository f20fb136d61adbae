"""Fields of the evaluation settings that say how it is measured and of what; those that change a figure are in
test_evaluate.py."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from blocks.engines.loading import Files, load
from blocks.records import Artifact
from configs.errors import BadInput
from configs.phases.evaluation import Rehearsal
from tasks.evaluation.agreement import Agreement
from tasks.evaluation.engine import described, running
from tasks.evaluation.evaluate import evaluate
from tasks.evaluation.held_out import held_out, read_questions
from tests.tasks.evaluation.sayings import sayings
from tests.tasks.evaluation.settings import benchmark, settings
from tests.tiny_llama import tiny


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the accelerator that is asked for")
def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadInput, match='device "cuda" was asked for'):
        evaluate(tiny().model, sayings(), settings(device="cuda"))


@pytest.mark.parametrize("batch", [3, 12])
def test_as_many_prompts_as_a_batch_are_answered_at_once(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import LlamaForCausalLM

    rows: list[int] = []
    forward = LlamaForCausalLM.forward

    def counted(self: Any, *args: Any, **given: Any) -> Any:
        rows.append(len(given["input_ids"]))
        return forward(self, *args, **given)

    monkeypatch.setattr(LlamaForCausalLM, "forward", counted)
    evaluate(tiny().model, sayings(), settings(batch=batch))
    assert max(rows) == batch


@pytest.mark.parametrize(("slots", "threads", "context"), [(4, 1, 256), (2, 1, 256), (4, 2, 256), (4, 1, 128)])
def test_slots_threads_and_context_are_what_llama_cpp_is_told(
    slots: int, threads: int, context: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import xllamacpp

    told: list[tuple[int, int, int]] = []
    server = xllamacpp.Server

    def watched(params: Any) -> Any:
        told.append((params.n_parallel, params.cpuparams.n_threads, params.n_ctx))
        return server(params)

    monkeypatch.setattr(xllamacpp, "Server", watched)
    evaluate(tiny().ggufs["F32"], sayings(), settings(slots=slots, threads=threads, context=context))
    assert told == [(slots, threads, context * slots)]


def test_torch_computes_with_threads() -> None:
    before = torch.get_num_threads()
    for threads in (1, 2):
        asked = settings(threads=threads)
        with load(described("model", asked), Files(Path(tiny().model.uri)), running(asked)):
            assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == before


def test_agreement_is_the_gates_threshold() -> None:
    found = Agreement(questions=10, tokens=100, agreeing_tokens=95, agreeing_prompts=10, agreeing_answers=9)
    assert [found.checks(settings(agreement=least))[0].passed for least in (0.9, 0.99)] == [True, False]


def posed(purpose: str = "test", **changes: Any) -> Artifact:
    return held_out(settings(**changes), 0, purpose)  # type: ignore[arg-type]


def test_rehearsal_and_benchmarks_are_where_questions_come_from(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(
        "".join(
            json.dumps({"question": f"What is {i} + {i}?", "answer": f"So it is.\n#### {2 * i}"}) + "\n"
            for i in range(20)
        )
    )
    both = [
        question.source.split()[0]
        for question in read_questions(
            posed(rehearsal=Rehearsal(test=1, calibration=1), benchmarks=[benchmark("gsm8k", str(path))])
        )
    ]
    assert (both.count("rehearsal"), both.count("gsm8k")) == (16, 3)
    assert {
        question.source.split()[0]
        for question in read_questions(posed(rehearsal=None, benchmarks=[benchmark("gsm8k", str(path))]))
    } == {"gsm8k"}
    assert {question.source.split()[0] for question in read_questions(posed(benchmarks=[]))} == {"rehearsal"}


@pytest.mark.parametrize(("test", "calibration"), [(2, 1), (3, 1), (2, 2)])
def test_test_and_calibration_are_how_many_questions_each_purpose_gets(
    test: int, calibration: int, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(
        "".join(
            json.dumps({"question": f"What is {i} + {i}?", "answer": f"So it is.\n#### {2 * i}"}) + "\n"
            for i in range(20)
        )
    )
    for changes, times in (({"rehearsal": Rehearsal(test=test, calibration=calibration)}, 16),
                           ({"rehearsal": None, "benchmarks": [benchmark("gsm8k", str(path), test=test,
                           calibration=calibration)]}, 1)):  # fmt: skip
        assert [len(read_questions(posed(purpose, **changes))) for purpose in ("test", "calibration")] == [
            times * test,
            times * calibration,
        ]


FUNCTION = {
    "name": "area",
    "description": "Area.",
    "parameters": {"type": "dict", "properties": {"width": {"type": "integer"}}},
}


def test_the_format_is_how_a_file_is_read_and_answers_url_holds_the_truth(tmp_path: Path) -> None:
    rows, answers = tmp_path / "rows.jsonl", tmp_path / "answers.jsonl"
    rows.write_text(
        "".join(
            json.dumps(
                {"id": f"s{i}", "question": [[{"role": "user", "content": f"{i} wide?"}]], "function": [FUNCTION]}
            )
            + "\n"
            for i in range(6)
        )
    )
    answers.write_text(
        "".join(json.dumps({"id": f"s{i}", "ground_truth": [{"area": {"width": [i]}}]}) + "\n" for i in range(6))
    )

    def first(format: str, url: Path, answers_url: str | None) -> str:
        (question, *_) = read_questions(
            posed(rehearsal=None, benchmarks=[benchmark(format, str(url), answers_url=answers_url)])
        )
        assert question.expected is not None
        return question.expected.kind

    assert first("bfcl", rows, str(answers)) == "call"
    with pytest.raises(BadInput, match="set answers_url"):
        first("bfcl", rows, None)
    with pytest.raises(BadInput, match="not a gsm8k row"):
        first("gsm8k", rows, None)
    with pytest.raises(BadInput, match="cannot read the benchmark"):
        first("bfcl", tmp_path / "elsewhere.jsonl", str(answers))
