"""The checkers: properties, hostile answers, and real public data."""

import gzip
import json
from fractions import Fraction
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from blocks.checkers.call import calls
from blocks.checkers.judge import check, check_all
from blocks.checkers.value import number
from blocks.records import Expected
from configs.errors import BadInput
from tests.places import CORPORA


def corpus(name: str) -> list[Any]:
    """A public data set's rows; the test is skipped where it is absent."""
    path = CORPORA / name
    if not path.exists():
        pytest.skip(f"{name} is not under COGUMI_CORPORA ({CORPORA})")
    data = path.read_bytes()
    if name.endswith(".zst"):
        data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    elif name.endswith(".gz"):
        data = gzip.decompress(data)
    return [json.loads(line) for line in data.decode().split("\n") if line]


def right(kind: str, expected: str, answer: str) -> bool:
    return check(Expected.model_validate({"kind": kind, "value": expected}), answer).correct


# Value


@given(st.integers(-(10**9), 10**9))
def test_every_way_to_write_a_whole_number_is_the_same(n: int) -> None:
    for text in (
        f"{n}",
        f"{n:,}",
        f"The answer is {n}.",
        f"{n}.0",
        f"\\boxed{{{n}}}",
        f"7 + 3 = 10\n#### {n}",
        f"**{n}**",
        f"{n} apples",
        f"x = {n}",
    ):
        assert number(text) == n, text
        assert right("value", str(n), text)
        assert not right("value", str(n + 1), text)


@given(st.integers(-999, 999), st.integers(1, 999))
def test_fractions_are_exact(top: int, bottom: int) -> None:
    for text in (
        f"{top}/{bottom}",
        f"so {top} / {bottom}",
        f"\\frac{{{top}}}{{{bottom}}}",
        f"$\\dfrac{{{top}}}{{{bottom}}}$",
        f"\\boxed{{\\frac{{{top}}}{{{bottom}}}}}",
    ):
        assert number(text) == Fraction(top, bottom), text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("$5", "5"), ("-$5.50", "-11/2"), ("50%", "50"), ("1,000.5", "2001/2"), ("1,2", "2"), ("5 - 3", "3"), ("7-3",
        "3"),
        ("it is −4", "-4"),
        ("1.5e3",
        "1500"),
        (".5", "1/2"), ("3.", "3"), ("\\boxed{7} or maybe 8", "7"), ("\\boxed{1} then \\boxed{2}", "2"), ("\\$1,234.00",
        "1234"), ("10 of 12 #### 3", "3"), ("(-3)", "-3"),
    ],
)  # fmt: skip
def test_numbers_as_people_write_them(text: str, wanted: str) -> None:
    assert number(text) == Fraction(wanted)


@pytest.mark.parametrize(
    "text", ["", "none", "1/0", "9" * 5000, "1e" + "9" * 50, "٣", "\\boxed{", "####", "½", "1/" + "0" * 90]
)
def test_what_is_no_number_is_never_right_and_never_an_error(text: str) -> None:
    for wanted in ("0", "3", "12"):
        assert not right("value", wanted, text)


@given(st.text(max_size=300))
def test_any_text_is_judged(text: str) -> None:
    for kind, expected in (("value", "12"), ("call", '{"tool":"a","x":1}'), ("text", "the right words")):
        check(Expected.model_validate({"kind": kind, "value": expected}), text)


@given(st.text("0123456789-+/.,eE$%#\\{}() ", max_size=200))
def test_noise_of_digits_is_judged_as_the_number_at_its_end(text: str) -> None:
    check(Expected(kind="value", value="3"), text)
    assert number(text + " so 3") in (3, number(text))


def test_an_expected_value_without_a_number_is_the_users_fault() -> None:
    with pytest.raises(BadInput, match="not a number"):
        right("value", "three", "3")
    with pytest.raises(BadInput, match="not a tool call"):
        right("call", "weather", "{}")


# Text and sections


def test_text_folds_white_space_and_nothing_else() -> None:
    assert right("text", "red big hat", "  red \n big\t hat ")
    assert not right("text", "red big hat", "Red big hat")
    assert not right("text", "red big hat", "red big hat hat")
    assert not right("text", "red", "")


def test_only_the_response_counts() -> None:
    assert right("value", "5", "<draft>9 Wrong.</draft><thinking>2 plus 3 is 5.</thinking>5")
    assert not right("value", "5", "<draft>5</draft><thinking>5</thinking>6")
    assert not right("value", "5", "<draft>4</draft><thinking>2 plus 3 is 5"), "cut off before its response"
    assert not right("text", "5", "<draft>5")


# Calls

NAMES = st.text("abcdefgh_", min_size=1, max_size=8)
PLAIN = st.booleans() | st.integers(-99, 99) | st.text("abc XYZ'\"{}[]", max_size=8)
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)
ARGUMENTS = st.dictionaries(
    NAMES.filter(lambda name: name not in ("name", "tool", "function", "id", "type", "arguments", "parameters")),
    VALUES,
    max_size=4,
)


@given(NAMES, ARGUMENTS, st.randoms(use_true_random=False))
def test_every_way_to_write_a_call_is_the_same(name: str, arguments: dict[str, Any], random: Any) -> None:
    items = list(arguments.items())
    random.shuffle(items)
    shuffled = dict(items)
    wanted = json.dumps({"tool": name, **arguments})
    ways = [
        json.dumps({"tool": name, **shuffled}, indent=2),
        json.dumps({"name": name, "arguments": shuffled}),
        json.dumps([{"name": name, "parameters": shuffled}]),
        json.dumps({"name": name, "arguments": json.dumps(shuffled)}),
        json.dumps({"type": "function", "function": {"name": name, "arguments": json.dumps(shuffled)}}),
        f"```json\n{json.dumps({'tool': name, **shuffled})}\n```",
        f"<tool_call>{json.dumps({'name': name, 'arguments': shuffled})}</tool_call>",
        f"{name}({', '.join(f'{key}={value!r}' for key, value in items)})",
        f"[{name}({', '.join(f'{key}={value!r}' for key, value in items)})]",
    ]
    for way in ways:
        assert right("call", wanted, way), way
    assert not right("call", wanted, json.dumps({"tool": name + "x", **shuffled}))
    assert not right("call", wanted, json.dumps({"tool": name, **shuffled, "extra": 1}))
    assert not right("call", wanted, ways[0] + ways[0])


def test_several_calls_in_any_order_and_each_once() -> None:
    wanted = '[{"tool":"a","x":1},{"tool":"b","x":2},{"tool":"a","x":3}]'
    assert right("call", wanted, '{"tool":"b","x":2} {"tool":"a","x":3}\n{"tool":"a","x":1}')
    assert not right("call", wanted, '{"tool":"b","x":2} {"tool":"a","x":1} {"tool":"a","x":1}')
    assert not right("call", wanted, '[{"tool":"a","x":1},{"tool":"b","x":2}]')


@pytest.mark.parametrize(
    "answer",
    [
        "", "weather in rome", '{"tool":"a"', '{"tool":"a","x":true}', '{"tool":"a","x":"1"}',
        '{"tool":"a","x":1,"x":1}', '{"tool":"a","x":1}{"tool":"b"}', "{}", "[]", "null",
        '{"tool":"a","x":NaN}', '{"tool":"a","x":' + "9" * 5000 + "}", "[" * 100_000, '{"a":' * 50_000, "a(1)",
        "a(**{'x': 1})", "a(x=__import__('os'))", "a(x=1", "(" * 10_000,
        '{"tool":1,"x":1}', '{"tool":{"a":1},"x":1}', "a(" * 5_000,
    ],
)  # fmt: skip
def test_what_is_not_the_call_is_never_right_and_never_an_error(answer: str) -> None:
    assert not right("call", '{"tool":"a","x":1}', answer)


@pytest.mark.parametrize(
    "answer",
    [
        '<function=f>{"x": 1}</function>',
        '[TOOL_CALLS] [{"name": "f", "arguments": {"x": 1}}]',
        '{"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}}',
        '{"name": "f", "arguments": {"x": 1}, "id": "call_1", "type": "function", "index": 0}',
    ],
)
def test_calls_in_the_form_of_a_provider(answer: str) -> None:
    assert right("call", '{"tool":"f","x":1}', answer)
    assert not right("call", '{"tool":"f","x":2}', answer)


@pytest.mark.parametrize("arguments", ['""', "null", '" "', "{}", '"{}"', '"null"', "[]"])
@pytest.mark.parametrize("field", ["arguments", "parameters"])
def test_a_call_without_arguments(field: str, arguments: str) -> None:
    for way in (
        f'{{"name":"now","{field}":{arguments}}}',
        f'{{"tool":"now","{field}":{arguments}}}',
        f'{{"type":"function","id":"1","function":{{"name":"now","{field}":{arguments}}}}}',
    ):
        assert right("call", '{"tool":"now"}', way), way
        assert right("call", way, '{"tool":"now"}'), way
        assert not right("call", '{"tool":"now","zone":"UTC"}', way)
    assert right("call", '{"tool":"now"}', '{"name":"now"}')
    assert right("call", '{"tool":"now"}', "now()")


def test_many_equal_calls_and_calls_that_must_make_room_for_each_other() -> None:
    same = [{"tool": "a", "x": 1}] * 12
    assert right("call", json.dumps(same), json.dumps(same))
    assert not right("call", json.dumps(same), json.dumps([*same[1:], {"tool": "a", "x": 2}]))
    free = {"alternatives": [{"a": {"x": [1, 2]}}] * 30 + [{"a": {"x": [1]}}]}
    assert right("call", json.dumps(free), json.dumps([{"tool": "a", "x": 1}, *[{"tool": "a", "x": 2}] * 30]))
    assert right("call", json.dumps(free), json.dumps([{"tool": "a", "x": 1}] * 31))
    assert not right("call", json.dumps(free), json.dumps([{"tool": "a", "x": 2}] * 31))
    chain = {"alternatives": [{"a": {"x": [i, i + 1]}} for i in range(40)]}
    assert right("call", json.dumps(chain), json.dumps([{"tool": "a", "x": i} for i in range(1, 41)]))
    assert not right("call", json.dumps(chain), json.dumps([{"tool": "a", "x": i} for i in (1, 1, 1, *range(4, 41))]))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        "3",
        '{"alternatives": []}',
        '{"alternatives": [{"a": 3}]}',
        '{"alternatives": [{"a": {"x": 3}}]}',
        '{"alternatives": 3}',
        "[" * 5000,
    ],
)
def test_what_is_no_call_cannot_be_expected(text: str) -> None:
    with pytest.raises(BadInput, match="not a tool call"):
        right("call", text, "a(x=1)")


def test_alternatives_as_the_berkeley_leaderboard_gives_them() -> None:
    wanted = json.dumps(
        {
            "alternatives": [
                {"area": {"base": [10], "unit": ["units", ""], "where": [{"city": ["New York, NY", "NYC"]}, ""]}}
            ]
        }
    )
    assert right("call", wanted, "area(base=10)")
    assert right(
        "call", wanted, '{"name":"area","arguments":{"base":10.0,"unit":"Units","where":{"city":"new york ny"}}}'
    )
    assert not right("call", wanted, "area(base=11)")
    assert not right("call", wanted, 'area(base=10, unit="cm")')
    assert not right("call", wanted, "area(base=10, height=5)")
    assert not right("call", wanted, 'area(unit="units")')


# Code


def test_code_runs_with_its_tests() -> None:
    tests = "assert f(2) == 5"
    answers = [
        "def f(x): return x + 3",
        "Here you are:\n```python\ndef f(x):\n    return x + 3\n```\nIt adds three.",
        "```\ndef f(x): return x + 3",
        "def f(x): return x + 4",
        "I cannot",
        "",
        "import sys; sys.exit(0)",
        "def f(x): raise SystemExit(0)",
        "```python\ndef g(x): return 1\n```\n```python\ndef f(x): return x + 3\n```",
    ]
    verdicts = check_all([(Expected(kind="code", value=tests), answer) for answer in answers])
    assert [verdict.correct for verdict in verdicts] == [True, True, True, False, False, False, False, False, True]


def test_kinds_mix_in_order() -> None:
    pairs = [
        (Expected(kind="code", value="assert x == 1"), "x = 1"),
        (Expected(kind="value", value="1"), "2"),
        (Expected(kind="code", value="assert x == 1"), "x = 2"),
        (Expected(kind="text", value="a"), "a"),
    ]
    assert [verdict.correct for verdict in check_all(pairs)] == [True, False, False, True]


# Public data


def test_humaneval_solutions_pass_and_broken_ones_fail() -> None:
    rows = corpus("humaneval/HumanEval.jsonl.gz")
    assert len(rows) == 164
    expected = [Expected(kind="code", value=f"{row['test']}\ncheck({row['entry_point']})") for row in rows]
    solved = check_all(
        [(wanted, row["prompt"] + row["canonical_solution"]) for wanted, row in zip(expected, rows, strict=True)]
    )
    assert [row["task_id"] for row, verdict in zip(rows, solved, strict=True) if not verdict.correct] == []
    broken = check_all(
        [(wanted, row["prompt"] + "    return None\n") for wanted, row in zip(expected, rows, strict=True)]
    )
    assert [row["task_id"] for row, verdict in zip(rows, broken, strict=True) if verdict.correct] == []


@pytest.mark.slow
def test_mbpp_solutions_pass_and_each_others_fail() -> None:
    rows = corpus("mbpp/mbpp.jsonl.zst")[::3]
    expected = [Expected(kind="code", value="\n".join([row["test_setup_code"], *row["test_list"]])) for row in rows]
    solved = check_all([(wanted, f"```python\n{row['code']}\n```") for wanted, row in zip(expected, rows, strict=True)])
    assert [
        (row["task_id"], verdict.reason) for row, verdict in zip(rows, solved, strict=True) if not verdict.correct
    ] == []
    others = check_all([(wanted, row["code"]) for wanted, row in zip(expected, rows[1:] + rows[:1], strict=True)])
    assert sum(verdict.correct for verdict in others) <= 1


def test_gsm8k_gold_answers() -> None:
    rows = corpus("gsm8k/test.jsonl.zst")
    gold = [row["answer"].rpartition("####")[2].strip() for row in rows]
    for row, wanted in zip(rows, gold, strict=True):
        assert right("value", wanted, row["answer"]), row["answer"]
        assert right("value", wanted, f"So the total is ${wanted}."), wanted
        assert right("value", wanted, f"\\boxed{{{wanted}}}")
    wrong = sum(
        right("value", wanted, other["answer"]) for wanted, other in zip(gold, rows[1:] + rows[:1], strict=True)
    )
    assert wrong < 0.05 * len(rows)


def test_math_answers_that_are_numbers() -> None:
    rows = corpus("math/math500_test.jsonl.zst")
    numeric = [
        row for row in rows if row["answer"].replace(",", "").replace("\\!", "").lstrip("-").replace(".", "").isdigit()
    ]
    assert len(numeric) > 200
    assert [row["answer"] for row in numeric if not right("value", row["answer"], row["solution"])] == []


@pytest.mark.parametrize(
    "name", ["simple_python", "multiple", "parallel", "parallel_multiple", "live_simple", "live_multiple"]
)
def test_berkeley_ground_truths_are_right_and_each_others_wrong(name: str) -> None:
    """A call made of the first allowed values is right for its own question, and for hardly any other."""
    rows = corpus(f"function_calling/BFCL_v4_{name}.answers.json")[:300]
    expected = [Expected(kind="call", value=json.dumps({"alternatives": row["ground_truth"]})) for row in rows]
    answers = [
        json.dumps(
            [
                {"name": tool, "arguments": plain(arguments)}
                for call in row["ground_truth"]
                for tool, arguments in call.items()
            ]
        )
        for row in rows
    ]
    assert [
        row["id"]
        for row, wanted, answer in zip(rows, expected, answers, strict=True)
        if not check(wanted, answer).correct
    ] == []
    assert sum(
        check(wanted, answer).correct for wanted, answer in zip(expected, answers[1:] + answers[:1], strict=True)
    ) <= 0.05 * len(rows)
    assert all(calls(answer) for answer in answers)


def plain(value: Any) -> Any:
    """One concrete value out of the leaderboard's nested lists of allowed ones; what may be left out is."""
    if isinstance(value, dict):
        firsts = {key: (allowed or [""])[0] if isinstance(allowed, list) else allowed for key, allowed in value.items()}
        return {key: plain(first) for key, first in firsts.items() if first != ""}
    return [plain(item) for item in value] if isinstance(value, list) else value
