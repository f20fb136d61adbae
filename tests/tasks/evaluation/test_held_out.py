"""Held-out questions: two purposes that never meet, the same draw every time, right references; benchmarks read from
real files."""

import gzip
import hashlib
import json
from pathlib import Path

import pytest

from blocks import store
from blocks.checkers.judge import check_all
from blocks.records import DOMAINS
from blocks.rehearsal import world
from configs.errors import BadInput
from configs.phases.evaluation import Rehearsal
from tasks.evaluation import benchmarks
from tasks.evaluation.held_out import held_out, read_questions, read_references, spread
from tests.places import CORPORA
from tests.tasks.evaluation.settings import benchmark, settings


def test_test_and_calibration_never_share_a_question() -> None:
    some = settings(rehearsal=Rehearsal(test=20, calibration=15))
    test, calibration = (read_questions(held_out(some, 3, purpose)) for purpose in ("test", "calibration"))
    assert (len(test), len(calibration)) == (20 * 16, 15 * 16)
    assert {one.domain for one in test} == set(DOMAINS)
    prompts = [one.prompt for one in test + calibration]
    assert len(set(prompts)) == len(prompts)
    assert all(world.is_held_out(prompt) for prompt in prompts)


def test_the_draw_hangs_on_seed_and_counts_alone() -> None:
    first = held_out(settings(), 1)
    assert held_out(settings(tolerance=0.5, threads=2, max_new_tokens=99), 1).digest == first.digest
    assert held_out(settings(), 2).digest != first.digest


def test_every_reference_is_right() -> None:
    questions = held_out(settings(rehearsal=Rehearsal(test=4, calibration=1)), 0)
    references = read_references(questions)
    asked = read_questions(questions)
    verdicts = check_all([(one.expected, references[one.id]) for one in asked if one.expected])
    assert len(verdicts) == len(asked) == 64
    assert all(verdict.correct for verdict in verdicts)
    assert any("<thinking>" in answer for answer in references.values())


def test_what_cannot_be_drawn_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no held-out questions for test"):
        held_out(settings(rehearsal=None), 0)
    with pytest.raises(BadInput, match="held_out: purpose 'train'"):
        held_out(settings(), 0, "train")  # type: ignore[arg-type]
    path = tmp_path / "rows.jsonl"
    path.write_text('{"question": "1 + 1?", "answer": "2\\n#### 2"}\n')
    with pytest.raises(BadInput, match=r"gsm8k has only 1 distinct held-out questions, 3 \+ 2 are wanted"):
        held_out(settings(rehearsal=None, benchmarks=[benchmark("gsm8k", str(path))]), 0)
    with pytest.raises(BadInput, match="row 1: not a mbpp row"):
        held_out(settings(rehearsal=None, benchmarks=[benchmark("mbpp", str(path))]), 0)
    with pytest.raises(BadInput, match="the profile says 0000"):
        held_out(settings(rehearsal=None, benchmarks=[benchmark("gsm8k", str(path), sha256="0" * 64)]), 0)
    with pytest.raises(BadInput, match="cannot read the benchmark"):
        held_out(settings(rehearsal=None, benchmarks=[benchmark("gsm8k", str(tmp_path / "none.jsonl"))]), 0)


def test_spread_takes_evenly_and_in_order() -> None:
    assert spread(list(range(10)), 5) == [0, 2, 4, 6, 8]
    assert spread(list(range(3)), 5) == spread(list(range(3)), 0) == [0, 1, 2]


def test_a_pinned_and_packed_file_is_read(tmp_path: Path) -> None:
    rows = [
        {"question": f"What is {i} + {i}?", "answer": f"{i} + {i} = <<{i}+{i}={2 * i}>>{2 * i}\n#### {2 * i:,}"}
        for i in range(1000, 1010)
    ]
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(json.dumps(row) for row in rows).encode()))
    pinned = benchmark("gsm8k", str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    questions = held_out(settings(rehearsal=None, benchmarks=[pinned]), 0)
    asked, references = read_questions(questions), read_references(questions)
    assert len(asked) == 3
    for one in asked:
        number = int(one.prompt.split()[2])
        assert one.expected is not None
        assert one.expected.value == str(2 * number)
        assert references[one.id] == f"{number} + {number} = {2 * number}\n{2 * number}"


FILES = {
    "gsm8k": ("gsm8k/test.jsonl.zst", None),
    "humaneval": ("humaneval/HumanEval.jsonl.gz", None),
    "mbpp": ("mbpp/mbpp.jsonl.zst", None),
    "mmlu": ("mmlu/mmlu_val.jsonl.zst", None),
    "hellaswag": ("hellaswag/hellaswag_val_1000.jsonl.zst", None),
    "bfcl": ("function_calling/BFCL_v4_simple_python.json.zst", "function_calling/BFCL_v4_simple_python.answers.json"),
}


@pytest.mark.parametrize("format", FILES)
def test_the_references_of_real_benchmarks_pass_their_own_checks(format: str) -> None:
    rows, answers = FILES[format]
    if not (CORPORA / rows).exists():
        pytest.skip(f"no {CORPORA / rows}; set COGUMI_CORPORA")
    few = benchmark(
        format, str(CORPORA / rows), answers_url=str(CORPORA / answers) if answers else None, test=60, calibration=20
    )
    questions = held_out(settings(rehearsal=None, benchmarks=[few]), 0)
    asked, references = read_questions(questions), read_references(questions)
    verdicts = check_all([(one.expected, references[one.id]) for one in asked if one.expected])
    wrong = [
        (one.prompt[-300:], verdict.reason) for one, verdict in zip(asked, verdicts, strict=True) if not verdict.correct
    ]
    assert len(verdicts) == 60
    assert len(wrong) <= 1, wrong
    others = read_questions(held_out(settings(rehearsal=None, benchmarks=[few]), 0, "calibration"))
    assert len(others) == 20
    assert not {one.prompt for one in others} & {one.prompt for one in asked}
    assert store.open(questions).is_dir()


def test_humaneval_takes_its_helpers_from_the_question() -> None:
    """An answer that changes what the question gives (encode_shift and the like) is not right by that."""
    prompt = 'import math\n\ndef encode(s: str):\n    return s[::-1]\n\n\ndef decode(s: str):\n    """Undo encode."""\n'
    tests = "def check(candidate):\n    for s in ('ab', 'xyz'):\n        assert candidate(encode(s)) == s\n"
    row = {"prompt": prompt, "test": tests, "entry_point": "decode", "canonical_solution": "    return s[::-1]\n"}
    posed = benchmarks.READERS["humaneval"].pose(row)
    answers = [posed.reference, "def decode(s): return s[::-1]", "def encode(s): return s\ndef decode(s): return s"]
    assert [verdict.correct for verdict in check_all([(posed.expected, answer) for answer in answers])] == [
        True,
        True,
        False,
    ]
    assert (
        benchmarks.READERS["humaneval"]
        .pose(row | {"test": "def check(f):\n    assert f('a') == 'a'\n"})
        .expected.value.startswith("def check")
    )
