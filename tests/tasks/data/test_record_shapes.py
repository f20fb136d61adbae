"""Odd lines, one table: every command keeps or refuses each alike, and carries its fields as they are."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.errors import BadInput
from configs.phases.data import Data
from tasks.data.plain.commands.dedup import dedup_files
from tasks.data.plain.commands.filter import filter_files
from tasks.data.plain.commands.stats import stats_files
from tasks.data.plain.commands.verify import verify_files
from tests.tasks.data.conftest import section

PAIR = '"prompt": "Name a hill in Rome, please.", "response": "The Aventine, for one."'
DEEP = 201
# A line, and what every command says of it (None: it is a record).
SHAPES: dict[str, tuple[str, str | None]] = {
    "id as text": (f'{{"id": "x", {PAIR}}}', None),
    "no id": (f"{{{PAIR}}}", None),
    "id null": (f'{{"id": null, {PAIR}}}', None),
    "id a number": (f'{{"id": 7, {PAIR}}}', None),
    "id of many digits": (f'{{"id": 123456789012345678901234567890, {PAIR}}}', None),
    "id a float": (f'{{"id": 1.0, {PAIR}}}', "field 'id' is float"),
    "id a bool": (f'{{"id": true, {PAIR}}}', "field 'id' is bool"),
    "id a list": (f'{{"id": [1], {PAIR}}}', "field 'id' is list"),
    "alpaca": (
        '{"instruction": "Name a hill in Rome, please.", "input": "", "output": "The Aventine, for one."}',
        None,
    ),
    "alpaca, id null": (
        '{"id": null, "instruction": "Name a hill in Rome.", "output": "The Aventine, for one."}',
        None,
    ),
    "dolly": (
        '{"instruction": "Who ran there?", "context": "Ann ran.", "response": "It was Ann.", "category": "qa"}',
        None,
    ),
    "prompt and output": ('{"prompt": "Name a hill in Rome, please.", "output": "The Aventine, for one."}', None),
    "alpaca beside a null prompt": ('{"prompt": null, "instruction": "Name a hill.", "output": "The Aventine."}', None),
    "output null": ('{"instruction": "Name a hill.", "output": null}', "instruction, input and output must be text"),
    "input a list": (
        '{"instruction": "Name a hill.", "input": [], "output": "a"}',
        "instruction, input and output must be",
    ),
    "response null": ('{"id": "x", "prompt": "a", "response": null}', "field 'response' is null"),
    "response a number": ('{"id": "x", "prompt": "a", "response": 5}', "field 'response' is int"),
    "response missing": ('{"id": "x", "prompt": "a"}', "field 'response' is missing"),
    "draft a number": (f'{{"draft": 5, {PAIR}}}', "field 'draft' is int"),
    "thinking a list": (f'{{"thinking": [], {PAIR}}}', "field 'thinking' is list"),
    "NaN": (f'{{"n": NaN, "i": -Infinity, {PAIR}}}', None),
    "1e999": (f'{{"n": 1e999, {PAIR}}}', None),
    "more than 64 bits": (f'{{"n": 123456789012345678901234567890, {PAIR}}}', None),
    "lone surrogate": (
        '{"prompt": "Name a hill in Rome, please.", "response": "The \\ud83d Aventine, for one."}',
        None,
    ),
    "lone surrogate in a name": (f'{{"\\ud83d": 1, {PAIR}}}', None),
    "duplicate keys": (f'{{"prompt": "another", {PAIR}}}', None),
    "NUL in a text": (f'{{"note": "a\\u0000b", {PAIR}}}', None),
    "U+2028 in a text": (f'{{"note": "a\u2028b\u0085c", {PAIR}}}', None),
    "metadata is text": (f'{{"metadata": "none", {PAIR}}}', None),
    "metadata is a list": (f'{{"metadata": [1], {PAIR}}}', None),
    "token count below nothing": (f'{{"metadata": {{"token_count": -5}}, {PAIR}}}', None),
    "score null": (f'{{"metadata": {{"quality_score": null}}, {PAIR}}}', None),
    "score as text": (f'{{"metadata": {{"quality_score": "9.5"}}, {PAIR}}}', "quality_score is not a finite number"),
    "score NaN": (f'{{"metadata": {{"quality_score": NaN}}, {PAIR}}}', "quality_score is not a finite number"),
    "score 1e999": (f'{{"metadata": {{"quality_score": 1e999}}, {PAIR}}}', "quality_score is not a finite number"),
    "score of 400 digits": (
        f'{{"metadata": {{"quality_score": {"9" * 400}}}, {PAIR}}}',
        "quality_score is not a finite",
    ),
    "score a bool": (f'{{"metadata": {{"quality_score": true}}, {PAIR}}}', "quality_score is not a finite number"),
    "a thousand fields": (
        json.dumps({"prompt": "a", "response": "b", **{f"f{field}": field for field in range(1000)}}),
        None,
    ),
    "nested deep": (f'{{"m": {"[" * (DEEP - 2)}{"]" * (DEEP - 2)}, {PAIR}}}', None),
    "nested too deep": (f'{{"m": {"[" * DEEP}{"]" * DEEP}, {PAIR}}}', "nested more than 200 deep"),
    "nested far too deep": (f'{{"m": {"[" * 9000}{"]" * 9000}, {PAIR}}}', "nested more than 200 deep"),
    "a number of 5,000 digits": (f'{{"n": {"9" * 5000}, {PAIR}}}', "not JSON"),
    "not closed": ('{"prompt": "a", "response": "b"', "not JSON"),
    "two objects parted by CR": (f"{{{PAIR}}}\r{{{PAIR}}}", "not JSON"),
    "NUL bytes": ("\0" * 20, "not JSON"),
    "a list": ('["prompt"]', "list instead of a JSON object"),
    "a word": ("null", "NoneType instead of a JSON object"),
}


@pytest.fixture(scope="module")
def settings() -> Data:
    data = Data.model_validate(section("llama-8b", "data"))
    switched = {
        name: value.model_copy(update={"enabled": False}) for name, value in data.filters if hasattr(value, "enabled")
    }
    return data.model_copy(update={"filters": data.filters.model_copy(update={"workers": 1, **switched})})


def outcomes(source: Path, folder: Path, settings: Data) -> list[str]:
    """What filter, dedup, stats and verify say of a file: how many records, or why not."""
    commands: list[Callable[[], Any]] = [
        lambda: filter_files([source], folder / "filtered.jsonl", settings),
        lambda: dedup_files([source], folder / "deduplicated.jsonl", settings.near_duplicates, 0),
        lambda: stats_files([source]),
        lambda: verify_files([source], settings, 0),
    ]
    found = []
    for command in commands:
        try:
            found.append(str(command().records))
        except BadInput as refused:
            found.append(str(refused))
    return found


@pytest.mark.parametrize("name", SHAPES)
def test_the_commands_agree_and_carry_the_fields(name: str, tmp_path: Path, settings: Data) -> None:
    line, fault = SHAPES[name]
    source = tmp_path / "in.jsonl"
    source.write_bytes(b"\xef\xbb\xbf\n" + line.encode() + b"\r\n")
    found = set(outcomes(source, tmp_path, settings))
    if fault is not None:
        (told,) = found
        assert told.startswith(f"{source}:2: ")
        assert fault in told
        assert len(told) < 600
        assert sorted(tmp_path.iterdir()) == [source]
        return
    assert found == {"1"}
    filtered, deduplicated = ((tmp_path / f"{command}.jsonl").read_bytes() for command in ("filtered", "deduplicated"))
    assert deduplicated.rstrip(b"\r\n") == line.encode(), "every line as it was, without the mark of the file"
    was, became = json.loads(line), json.loads(filtered)
    made = {"id", "prompt", "response", "instruction", "input", "context", "output"}
    assert repr({key: value for key, value in was.items() if key not in made}) == repr(
        {key: value for key, value in became.items() if key not in made}
    )
    if was.get("prompt") is not None and "response" in was:
        assert filtered.rstrip(b"\n") == line.encode()
    else:
        assert became["id"] == "in-2"


@pytest.mark.parametrize(
    ("name", "content", "records"),
    [
        ("spread.json", json.dumps({"prompt": "a\u2028", "response": 'b"}]\\'}, indent=2), 1),
        ("several.json", f'{{\n{PAIR}\n}}\n\n{{\n{PAIR},\n"n": [1,\n2]}}', 2),
        ("array.json", f" [ {{{PAIR}}} , {{{PAIR}}}\n]\n", 2),
        ("empty.json", "[]", 0),
        ("wrapped.json", f'{{"data": [{{{PAIR}}}, {{{PAIR}}}]}}', 2),
        ("wrapped.json", f'{{\n "rows": [\n {{{PAIR}}}\n ]\n}}\n', 1),
        ("lines.json", f"{{{PAIR}}}\n{{{PAIR}}}\n", 2),
        ("messages.json", f'{{"data": "x", {PAIR}}}', 1),
    ],
)
def test_json_files_of_every_layout(name: str, content: str, records: int, tmp_path: Path, settings: Data) -> None:
    source = tmp_path / name
    source.write_text(content)
    assert set(outcomes(source, tmp_path, settings)) == {str(records)}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("[1, 2]", "not a JSON array that can be read"),
        ('["a"]', "not a JSON array that can be read"),
        (f"[{{{PAIR}}} {{{PAIR}}}]", "not a JSON array that can be read"),
        (f"[{{{PAIR}}}", "not a JSON array that can be read"),
        (f"[{{{PAIR}}}]]", "not a JSON array that can be read"),
        (f'{{"data": [{{{PAIR}}}], "more": 1}}', "not a JSON array that can be read"),
        (f'{{"data": [{{{PAIR}}}', "not a JSON array that can be read"),
        ('[{"prompt": "a\n", "response": "b"}]', "goes over the end of a line"),
        ('{\n "prompt": "a"\n}', "field 'response' is missing"),
    ],
)
def test_json_files_that_are_broken_are_one_line(content: str, fault: str, tmp_path: Path, settings: Data) -> None:
    source = tmp_path / "in.json"
    source.write_text(content)
    (told,) = set(outcomes(source, tmp_path, settings))
    assert fault in told
    assert sorted(tmp_path.iterdir()) == [source]


def test_utf16_is_named(tmp_path: Path, settings: Data) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text(f"{{{PAIR}}}\n", encoding="utf-16")
    assert set(outcomes(source, tmp_path, settings)) == {f"{source}: UTF-16; save it as UTF-8"}


def test_a_place_stands_for_an_id_and_is_none_that_repeats(tmp_path: Path, settings: Data) -> None:
    (tmp_path / "a").mkdir()
    for number, folder in enumerate((tmp_path, tmp_path / "a")):
        (folder / "in.jsonl").write_text(
            json.dumps({"prompt": f"Name hill {number}.", "response": "The Aventine."}) + "\n"
        )
    assert verify_files([tmp_path / "in.jsonl", tmp_path / "a" / "in.jsonl"], settings, 0).repeated_ids == 0
