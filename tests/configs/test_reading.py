"""YAML from a careless or hostile hand: one clear line, little time, little memory."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from configs.errors import BadInput
from configs.reading import ALIASES, BYTES, DEPTH, NODES, parse_yaml, read_yaml
from configs.schema import PROFILES, load
from tests.places import ROOT

OPTIONS = "teachers.models.rehearsal-small.options"
NANO = (PROFILES / "nano.yaml").read_text()
BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {x: 1, y: 2}\n" + "".join(
    f"{b}: &{b}\n  <<: [{','.join([f'*{a}'] * 10)}]\n  {b}: 1\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, f"more than {NODES:,} values"),
        (MERGES, f"more than {NODES:,} values"),
        ("a: &a 1\nb: [" + "*a," * (ALIASES + 1) + "]", f"more than {ALIASES} aliases"),
        ("a: &a [*a]", "'a' contains itself"),
        ("a: &a {b: {c: *a}}", "'a' contains itself"),
        ("[" * 10_000, f"more than {DEPTH} deep"),
        ("{" * 10_000, f"more than {DEPTH} deep"),
        ("- " * 10_000, f"more than {DEPTH} deep"),
        ("? " * 10_000, f"more than {DEPTH} deep"),
        ("[" + "a," * (NODES + 1) + "]", f"more than {NODES:,} values"),
        ("a: !!python/object/apply:os.getcwd []", "tag"),
        ("a: !!python/name:os.system", "tag"),
        ("a: !!binary R0lG", "tag"),
        ("a: !!timestamp 2001-12-14", "tag"),
        ("a: !!set {b}", "tag"),
        ("a: !!omap [b: 1]", "tag"),
        ("a: !mine 1", "tag"),
        ("a: !!bool perhaps", "'perhaps' is no bool"),
        ("a: !!int many", "'many' is no int"),
        ("a: !!float much", "'much' is no float"),
        ("a: !!int 1:30", "no number"),
        ("a: !!map [1]", "expected a mapping node"),
        ("a: !!merge [1]", "merge"),
        ("1: a", "the key '1' is read as int; keys are text"),
        ("no: a", "the key 'no' is read as bool; keys are text"),
        ("? [a]\n: b", "keys are text"),
        ("a: {<<: 1}", "expected a mapping or list of mappings for merging"),
        ("a: " + "9" * 10_000, "a number of 10,000 characters"),
        ("a: 0x" + "f" * 10_000, "a number of 10,002 characters"),
        ("a: 1\n---\nb: 2", "another document"),
        ("a:\n\t- 1", "cannot start any token (line 2, column 1)"),
        ("a\0b", "special characters"),
        ('a: "\\0"', "no text has"),
        ('a: "\\ud800"', "no text has"),
        ('a: "\\UFFFFFFFF"', "int"),
        ('a: "\\U00110000"', "range"),
        ("a: *b", "undefined alias 'b'"),
    ],
)
def test_what_no_settings_hold_is_one_line(text: str, said: str) -> None:
    with pytest.raises(BadInput) as error:
        parse_yaml(text, "mine.yaml")
    assert str(error.value).startswith("mine.yaml: not readable as YAML: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("\ufeffa: 1", {"a": 1}),
        (
            "a: &a {x: 1, y: 2}\nb: &b {<<: *a, y: 3}\nc: {d: {<<: *b}}\n",
            {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": {"d": {"x": 1, "y": 3}}},
        ),
        ("a: 2026-13-45", {"a": "2026-13-45"}),
        ("a: 1:30", {"a": "1:30"}),
        (
            "a: [1, -2, 0x1f, 0b11, 1_000, 1.5, -1.5e+3, .5, true, no, ~, 'no']",
            {"a": [1, -2, 31, 3, 1000, 1.5, -1500.0, 0.5, True, False, None, "no"]},
        ),
        ("", None),
    ],
)
def test_what_settings_hold_is_read(text: str, value: object) -> None:
    assert parse_yaml(text, "mine.yaml") == value


def test_every_file_that_comes_with_cogumi_reads_as_any_yaml_does() -> None:
    root = ROOT
    files = [
        path
        for folder in ("configs/profiles", "configs/domains", "deployments/pools", "deployments/automations")
        for path in (root / folder).glob("*.yaml")
    ]
    assert len(files) >= 12
    for path in files:
        assert read_yaml(path) == yaml.safe_load(path.read_text()), path


def test_what_is_no_file_of_settings_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe has no writer, a device no end, a folder no text; a large file is not read."""
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (tmp_path / "utf16.yaml").write_bytes(NANO.encode("utf-16"))
    with (tmp_path / "large.yaml").open("wb") as large:
        large.truncate(1 << 40)
    said = {
        "pipe": "pipe",
        "folder": "a folder",
        "zero": "a device",
        "loop": "cannot be read",
        "utf16": "save it as UTF-8",
        "large": f"larger than {BYTES // 1024} KB",
        "none": "no such file",
    }
    for name, words in said.items():
        with pytest.raises(BadInput, match=words) as error:
            load(str(tmp_path / f"{name}.yaml"))
        assert "\n" not in str(error.value), name


@pytest.mark.parametrize(
    "name", ["", " ", "..", "../profiles/nano", "/dev/zero", "nano\n", "x" * 100_000, "*", "nano.yml/", "\udcff"]
)
def test_a_name_that_is_no_profiles_names_those_there_are(name: str) -> None:
    with pytest.raises(BadInput, match=r"unknown profile .* there are: llama-1b, llama-8b, nano") as error:
        load(name)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    "text", [BOMB, "[" * BYTES, "a: " + "1:" * (BYTES // 2 - 10), '{"' + '":{"' * 60_000, "- a\n" * (BYTES // 4 - 1)]
)
def test_the_worst_takes_little_memory(text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)

    def little() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (600 << 20, 600 << 20))

    code = """
import sys
from pathlib import Path
from configs.errors import BadInput
from configs.reading import read_yaml
try:
    read_yaml(Path(sys.argv[1]))
except BadInput as error:
    print(error)
"""
    command = [sys.executable, "-c", code, str(tmp_path / "mine.yaml")]
    done = subprocess.run(command, preexec_fn=little, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    assert len(done.stdout) < 1000


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["teachers.cap_dollars=1e400"], "teachers.cap_dollars: Input should be less than or equal to 1000000000"),
        (["teachers.cap_dollars=.inf"], "teachers.cap_dollars is inf; settings are finite numbers"),
        (["teachers.cap_dollars='Infinity'"], "teachers.cap_dollars: Input should be a finite number"),
        (["teachers.cap_dollars='sNaN'"], "teachers.cap_dollars: Input should be a finite number"),
        (["teachers.cap_dollars=.nan"], "teachers.cap_dollars is nan"),
        (["teachers.cap_dollars='1e-400'"], "teachers.cap_dollars: .* 12 decimal places"),
        (["approval.above_dollars=1e400"], "approval.above_dollars: "),
        (["teachers.models.rehearsal-small.prices.input=1e400"], "prices.input: "),
        (["training.fine_tuning.learning_rate=1e400"], "learning_rate: Input should be a finite number"),
        (["training.fine_tuning.learning_rate='nan'"], "learning_rate: Input should be a finite number"),
        (["training.fine_tuning.learning_rate=1e300"], "learning_rate is beyond 1e"),
        (["training.fine_tuning.learning_rate=1e-300"], "learning_rate is nearer to 0"),
        (["data.answering.easy.mix={rehearsal-small: 1e300}"], "mix is beyond"),
        (["seed='99999999999999999999999'"], "seed: Input should be less than"),
        ([OPTIONS + "={a: [.inf]}"], "options.a.0 is inf"),
        ([f"{OPTIONS}={'{a: ' * 30}1{'}' * 30}", f"{OPTIONS}{'.a' * 30}={'[' * 30}{']' * 30}"], "more than 40 deep"),
        (["seed=" + "9" * 10_000], "a number of 10,000 characters"),
        (["x" * 100_000], "write it as a.b=value"),
        (["x" * 100_000 + "=1"], "has no field"),
        (["training." + "x" * 100_000 + "=1"], "has no field"),
        (["seed=" + "x" * 100_000], "seed: Input should be a valid integer"),
        (["seed=&a [*a]"], "contains itself"),
        (["seed=\x1b[31m"], "special characters"),
        (["modifiers.each.0.name=" + "x" * 100_000], "has no file of its name"),
        (["modifiers.each.0.name=.."], "pattern"),
        (["teachers.concurrency=true"], "concurrency is true; write a number"),
        (["seed=yes"], "seed is true; write a number"),
        (["teachers.cap_dollars=false"], "cap_dollars is false; write a number"),
        (["teachers.models.rehearsal-small.prices.input=on"], "input is true; write a number"),
        (["data.answering.easy.mix={rehearsal-small: true}"], "mix is true; write a number"),
    ],
)
def test_a_number_that_is_none_or_a_value_without_end_is_refused_briefly(settings: list[str], said: str) -> None:
    with pytest.raises(BadInput, match=said) as error:
        load("nano", settings)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 700
