"""Every source in its own shape, on rows written here; and the real files where the corpora are."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blocks import store
from configs.errors import BadInput, Transient
from configs.phases.collecting import Collecting, SourceQuota
from tasks.data import rows
from tasks.data.collect.collect import SOURCES_FILE, collect, collect_source
from tasks.data.collect.mathematics import last_boxed
from tasks.data.collect.pair import Pair
from tasks.data.collect.quality import quality
from tasks.data.collect.sources import SOURCES

PROMPT, RESPONSE = "Name a colour.", "Blue."
FUNCTION = {
    "name": "area",
    "description": "Area.",
    "parameters": {"type": "dict", "properties": {"width": {"type": "integer"}}},
}
# One row in each source's own shape, and the prompt, response and thinking that come of it.
SHAPES: dict[str, tuple[list[dict[str, Any]], str, str, str | None]] = {
    "alpaca": ([{"instruction": "Add.", "input": "1 2", "output": "3", "text": "x"}], "Add.\n\n1 2", "3", None),
    "alpaca_gpt4": ([{"instruction": PROMPT, "input": "", "output": RESPONSE}], PROMPT, RESPONSE, None),
    "codealpaca": ([{"instruction": PROMPT, "input": "<noinput>", "output": RESPONSE}], PROMPT, RESPONSE, None),
    "hh": (
        [
            {
                "chosen": f"\n\nHuman: {PROMPT}\n\nAssistant: {RESPONSE}\n\nHuman: Thanks\n\nAssistant: Sure",
                "rejected": "x",
            }
        ],
        PROMPT,
        RESPONSE,
        None,
    ),
    "dolly": (
        [{"instruction": "Who?", "context": "Ann ran.", "response": "Ann", "category": "closed_qa"}],
        "Who?\n\nAnn ran.",
        "Ann",
        None,
    ),
    "metamathqa": (
        [{"query": "1+1?", "response": "One and one.\nThe answer is: 2", "type": "MATH"}],
        "1+1?",
        "2",
        "One and one.",
    ),
    "openorca": (
        [{"id": "1", "system_prompt": "You are.", "question": PROMPT, "response": RESPONSE}],
        PROMPT,
        RESPONSE,
        None,
    ),
    "wizardlm": (
        [{"idx": "a", "conversations": [{"from": "human", "value": PROMPT}, {"from": "gpt", "value": RESPONSE}]}],
        PROMPT,
        RESPONSE,
        None,
    ),
    "sharegpt": (
        [
            {
                "id": "a",
                "conversations": [
                    {"from": "system", "value": "x"},
                    {"from": "human", "value": PROMPT},
                    {"from": "gpt", "value": RESPONSE},
                    {"from": "human", "value": "y"},
                ],
            }
        ],
        PROMPT,
        RESPONSE,
        None,
    ),
    "gsm8k": ([{"question": "Half of 4?", "answer": "4/2 = <<4/2=2>>2.\n#### 2"}], "Half of 4?", "2", "4/2 = 2."),
    "math": (
        [{"problem": "x?", "level": "Level 1", "type": "Algebra", "solution": "So $\\boxed{\\frac{1}{2}}$."}],
        "x?",
        "\\frac{1}{2}",
        "So $\\boxed{\\frac{1}{2}}$.",
    ),
    "squad2": (
        [
            {
                "id": "1",
                "title": "T",
                "context": "Ann ran.",
                "question": "Who ran?",
                "answers": {"text": ["Ann"], "answer_start": [0]},
            }
        ],
        "Ann ran.\n\nWho ran?",
        "Ann",
        None,
    ),
    "commonsenseqa": (
        [
            {
                "id": "1",
                "question": "Where do fish live?",
                "question_concept": "fish",
                "choices": {"label": ["A", "B"], "text": ["sea", "sky"]},
                "answerKey": "A",
            }
        ],
        "Where do fish live?\n\nA. sea\nB. sky",
        "A. sea",
        None,
    ),
    "piqa": (
        [{"goal": "Open a jar", "sol1": "Turn it.", "sol2": "Eat it.", "label": 0}],
        "Which way works better? Open a jar\n\nA. Turn it.\nB. Eat it.",
        "A. Turn it.",
        None,
    ),
    "xsum": (
        [{"document": "Long.", "summary": "Short.", "id": "1"}],
        "Summarize the article in one sentence.\n\nLong.",
        "Short.",
        None,
    ),
    "cnn_dailymail": (
        [{"article": "Long.", "highlights": "A.\nB.", "id": "1"}],
        "Summarize the article in a few short sentences.\n\nLong.",
        "A.\nB.",
        None,
    ),
    "natural_instructions": (
        [{"task_name": "t", "id": "1", "definition": "Add.", "inputs": "1 2", "targets": "3"}],
        "Add.\n\n1 2",
        "3",
        None,
    ),
    "bfcl": (
        [
            {"id": "simple_0", "question": [[{"role": "user", "content": "3 wide?"}]], "function": [FUNCTION]},
            {"id": "simple_0", "ground_truth": [{"area": {"width": [3], "unit": ["", "m"]}}]},
        ],
        f"Functions:\n{json.dumps(FUNCTION)}\n\n3 wide?",
        '{"name": "area", "arguments": {"width": 3}}',
        None,
    ),
    "gorilla": (
        [{"code": "###Instruction: Detect cats.\n###Output: <<<domain>>>: Vision", "api_call": "load('cats')"}],
        "Name the one API call that does this.\n\nDetect cats.",
        "load('cats')",
        None,
    ),
}


def put(folder: Path, rows: list[dict[str, Any]]) -> tuple[str, ...]:
    """Each row in a file of its own where their columns differ, as BFCL's questions and answers do."""
    files = []
    for number, columns in enumerate(dict.fromkeys(tuple(row) for row in rows)):
        path = folder / f"{number}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows if tuple(row) == columns))
        files.append(str(path))
    return tuple(files)


def test_every_source_of_the_list_is_in_the_table() -> None:
    assert set(SOURCES) == set(SHAPES)
    assert all(source.license and source.hub.count("/") == 1 for source in SOURCES.values())


@pytest.mark.parametrize("name", SHAPES)
def test_each_source_in_its_own_shape(name: str, tmp_path: Path) -> None:
    given, prompt, response, thinking = SHAPES[name]
    examples, report = collect_source(name, SourceQuota(records=100, keep=10, files=put(tmp_path, given)), None)
    assert [(e.prompt, e.response, e.thinking) for e in examples] == [(prompt, response, thinking)]
    metadata = examples[0].metadata
    assert (metadata.source, metadata.license) == (name, SOURCES[name].license)
    assert metadata.difficulty == ("hard" if thinking else "easy")
    assert (report.unusable, report.kept) == (0, 1)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("alpaca", {"instruction": "Add.", "input": "", "output": " "}),
        ("hh", {"chosen": "\n\nHuman: only me", "rejected": "x"}),
        ("gsm8k", {"question": "Half?", "answer": "no marker"}),
        ("math", {"problem": "x?", "solution": "no box"}),
        ("commonsenseqa", {"question": "?", "choices": {"label": ["A"], "text": ["a"]}, "answerKey": ""}),
        ("piqa", {"goal": "g", "sol1": "a", "sol2": "b", "label": -1}),
        ("sharegpt", {"id": "1", "conversations": [{"from": "gpt", "value": "a"}, {"from": "human", "value": "b"}]}),
        ("dolly", {"text": "another shape"}),
    ],
)
def test_a_row_without_a_pair_is_counted_as_unusable(name: str, row: dict[str, Any], tmp_path: Path) -> None:
    examples, report = collect_source(name, SourceQuota(records=10, keep=10, files=put(tmp_path, [row])), None)
    assert examples == []
    assert (report.read, report.unusable) == (1, 1)


def test_squad_questions_without_an_answer_say_so(tmp_path: Path) -> None:
    row = {"context": "Ann ran.", "question": "Who sat?", "answers": {"text": [], "answer_start": []}}
    full = SHAPES["squad2"][0][0]
    examples, _ = collect_source(
        "squad2", SourceQuota(records=10, keep=10, files=put(tmp_path, [full, {**full, **row}])), None
    )
    assert {e.response for e in examples} == {"Ann", "The passage does not say."}


def test_quotas_take_the_first_rows_and_keep_the_best(tmp_path: Path) -> None:
    given = [
        {
            "instruction": f"Tell me all you know about number {i}, please.",
            "input": "",
            "output": f"Number {i} is " + "rather interesting to look at, " * (i % 5) + "indeed.",
        }
        for i in range(50)
    ]
    files = put(tmp_path, given)
    everything, _ = collect_source("alpaca", SourceQuota(records=20, keep=20, files=files), None)
    best, report = collect_source("alpaca", SourceQuota(records=20, keep=5, files=files), None)
    assert (report.read, report.kept) == (20, 5)
    assert best == everything[:5]
    scores = [e.metadata.quality_score for e in everything]
    assert scores == sorted(scores, reverse=True)


def test_the_heuristic_prefers_a_careful_answer() -> None:
    careful = Pair(
        "Why does bread rise when it is baked?",
        "Yeast eats the sugar in the dough and breathes out gas. The gas is held by the gluten, so the dough grows "
        "until the heat sets it.",
    )
    assert quality(careful) > quality(Pair(careful.prompt, "Because."))
    assert quality(careful) > quality(Pair("Bread?", careful.response))
    assert quality(careful) > quality(
        Pair(careful.prompt, "bread bread bread bread bread bread bread bread bread bread bread bread")
    )
    assert quality(careful) > quality(Pair(careful.prompt, careful.prompt))
    assert quality(careful) > quality(Pair(careful.prompt, careful.response[:-8]))
    assert 0 <= quality(Pair("", "")) <= 10


def test_boxes_inside_boxes() -> None:
    assert last_boxed("\\boxed{1} then \\boxed{\\frac{1}{\\sqrt{2}}}.") == "\\frac{1}{\\sqrt{2}}"
    assert last_boxed("\\boxed{open") is None


def test_the_step_records_licence_and_revision(tmp_path: Path) -> None:
    files = put(tmp_path, SHAPES["gsm8k"][0])
    made = collect.fn(Collecting(sources={"gsm8k": SourceQuota(records=5, keep=5, files=files)}, fill=True), "words")
    (recorded,) = json.loads((store.open(made) / SOURCES_FILE).read_text())
    assert recorded["license"] == "MIT"
    assert recorded["revision"].startswith("sha256:")
    assert rows.examples(made)[0].metadata.token_count == 3 + 3 + 1
    assert collect.fn(Collecting(sources={}, fill=True), "words").metrics == {"kept": 0}


def test_a_pattern_without_files_and_a_hub_out_of_reach_are_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no file matches"):
        collect_source("alpaca", SourceQuota(records=5, keep=5, files=(str(tmp_path / "*.jsonl"),)), None)
    with pytest.raises(Transient, match="tatsu-lab/alpaca: cannot ask the hub"):
        collect_source("alpaca", SourceQuota(records=5, keep=5, files=()), None)


REAL = {
    "alpaca": ("alpaca/alpaca_data.jsonl.zst", 0.997),
    "alpaca_gpt4": ("alpaca_gpt4/alpaca_en_demo.json.zst", 1.0),
    "codealpaca": ("codealpaca/code_alpaca_2k.json.zst", 0.999),
    "dolly": ("dolly/databricks-dolly-15k.jsonl.zst", 0.999),
    "gsm8k": ("gsm8k/train.jsonl.zst", 1.0),
    "math": ("math/math_train.jsonl.zst", 0.999),
    "hh": ("hh_rlhf/helpful-base_test.jsonl.gz", 0.98),
    "openorca": ("openorca/orca_dpo_pairs_validation.jsonl.zst", 1.0),
    "bfcl": ("function_calling/BFCL_v4_*e*_[ms]*", 0.999),
    "gorilla": ("function_calling/apibench_*_*.json.zst", 0.99),
}


@pytest.mark.parametrize("name", REAL)
def test_real_files_are_read_almost_without_loss(name: str, corpus: Callable[[str], Path]) -> None:
    pattern, usable = REAL[name]
    folder = corpus(pattern.split("/")[0])
    if name == "bfcl":
        files: tuple[str, ...] = tuple(
            str(path)
            for kind in ("simple_python", "multiple", "parallel")
            for path in sorted(folder.glob(f"BFCL_v4_{kind}.*"))
        )
        assert len(files) == 6
    else:
        files = (str(folder / pattern.split("/")[1]),)
    examples, report = collect_source(name, SourceQuota(records=1500, keep=1500, files=files), None)
    assert report.read > 200
    assert 1 - report.unusable / report.read >= usable
    assert all(e.prompt.strip() and e.response.strip() for e in examples)
    if name == "bfcl":
        for e in examples:
            called = json.loads(e.response)
            offered = [json.loads(line) for line in e.prompt.split("\n") if line.startswith('{"name"')]
            for call in called if isinstance(called, list) else [called]:
                (function,) = [f for f in offered if f["name"] == call["name"]]
                assert set(call["arguments"]) <= set(function["parameters"]["properties"]), (
                    "only arguments that the function has"
                )
                assert None not in function["parameters"]["properties"].values()
