"""Every option and argument of every command, with values as an unlucky or a hostile hand gives them: exit code 2 and
one harmless line.

Walks the commands themselves, so that a new option is tried without a word here. Runs in this process, as outcome()
would in its own.
"""

import os
import signal
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from deployments.cli import app, outcome

ROW = (
    '{"id": "1", "prompt": "Explain how a river finds its way to the sea.", "response": "It follows the slope of the '
    'land."}\n'
)
# Fit for any option: none of them is a name, a number or an address that means something.
TEXTS = {
    "empty": "",
    "space": " ",
    "newline": "a\nb",
    "escape": "\x1b[31mred\x1b]0;title\x07",
    "backspaces": "abc\b\b\b\r",
    "c1": "\x9b31m",
    "bidi": "\u202egnp.exe\u2066",
    "surrogate": "\udcff\udcfe",
    "long": "x" * 100_000,
    "long with spaces": "x y " * 25_000,
    "markup": "[red]x[/red][link=http://h]y[/",
    "dots": "../../../etc/passwd",
    "format": "%s%n{0}{x}",
    "unicode": "\u2603" * 300,
    "nul escape": "\\x00",
}
NUMBERS = {
    "nan": "nan",
    "inf": "1e400",
    "negative": "-1",
    "huge": "9" * 5000,
    "zero": "0",
    "float": "1.5",
    "port": "65536",
    "arabic": "\u0661",
}
FILES = (
    "folder",
    "missing",
    "null",
    "zero",
    "pipe",
    "loop",
    "empty",
    "unreadable",
    "below a file",
    "name too long",
    "pattern",
)
VALID = {  # what the other arguments of a command need
    "data filter": [
        "{rows}",
        "{out}",
        "--set",
        "data.filters.workers=1",
        "--set",
        "data.filters.english.enabled=false",
    ],
    "data dedup": ["{rows}", "{out}"],
    "data verify": ["{rows}"],
    "data stats": ["{rows}"],
    "data collect": ["alpaca={rows}", "{out}"],
}
ENDLESS = {"up": {"--port", "--metrics"}, "metrics": {"--port"}}  # a good value starts a server
REFUSED = (
    "empty",
    "space",
    "newline",
    "escape",
    "backspaces",
    "c1",
    "bidi",
    "surrogate",
    "long",
    "long with spaces",
)  # as a pool's name


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "rows.jsonl").write_text(ROW)
    (folder / "empty.jsonl").touch()
    (folder / "unreadable.jsonl").write_text(ROW)
    (folder / "unreadable.jsonl").chmod(0)
    (folder / "loop.jsonl").symlink_to("loop.jsonl")
    os.mkfifo(folder / "pipe.jsonl")
    return {
        "folder": str(folder),
        "missing": str(folder / "missing.jsonl"),
        "null": "/dev/null",
        "zero": "/dev/zero",
        "pipe": str(folder / "pipe.jsonl"),
        "loop": str(folder / "loop.jsonl"),
        "empty": str(folder / "empty.jsonl"),
        "unreadable": str(folder / "unreadable.jsonl"),
        "below a file": str(folder / "rows.jsonl" / "x.jsonl"),
        "name too long": str(folder / ("x" * 300 + ".jsonl")),
        "pattern": str(folder / "nothing*.jsonl"),
        "rows": str(folder / "rows.jsonl"),
        "out": str(tmp_path / "out.jsonl"),
    }


def commands(group: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    for own, command in group.commands.items():
        whole = f"{name} {own}".strip()
        if hasattr(command, "commands"):
            yield from commands(command, whole)
        else:
            yield whole, command


CASES = [
    pytest.param(name, option, id=f"{name} {option or 'argument'}")
    for name, command in commands(typer.main.get_command(app))
    for option in [next((one for one in param.opts if one.startswith("--")), "") for param in command.params]
    if option != "--help"
] + [pytest.param("", "", id="command")]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """Runs one; its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)  # names without a folder
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cogumi", *arguments])
        code = outcome()
        told = capsys.readouterr()
        return code, told.out, told.err

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


def harmless(text: str) -> bool:
    return all(one in "\n\t" or unicodedata.category(one) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for one in text)


def test_the_walk_finds_the_commands() -> None:
    assert len(CASES) >= 60
    assert {name for name, _ in commands(typer.main.get_command(app))} >= {
        "run",
        "plan",
        "report",
        "up",
        "data collect",
        *VALID,
    }


def tried(name: str, option: str, places: dict[str, str]) -> dict[str, str]:
    """What is given to an option. Where a good value would start a server, hash a hub or do all the work, only what
    cannot be good."""
    if option == "--pool":
        return {kind: TEXTS[kind] for kind in REFUSED}
    if option in ENDLESS.get(name, ()):
        return {kind: value for kind, value in {**TEXTS, **NUMBERS}.items() if kind != "arabic"}
    if option == "--tokenizer":
        return {kind: places[kind] for kind in FILES} | {"empty": ""}
    return {**TEXTS, **NUMBERS, **{kind: places[kind] for kind in FILES}}


def spread(values: dict[str, str], number: int) -> dict[str, str]:
    """A third of the values, another one for the next option."""
    return {kind: value for place, (kind, value) in enumerate(values.items()) if place % 3 == number % 3}


def try_all(name: str, option: str, values: dict[str, str], command: Any, places: dict[str, str], folder: Path) -> None:
    for kind, value in values.items():
        before = sorted(folder.rglob("*"))
        rest = [one.format(**places) for one in VALID.get(name, [])]
        given = [option, value] if option else [value]
        if name in VALID and not option:
            given, rest = [f"alpaca={value}" if name == "data collect" else value], rest[1:]
        code, out, told = command(*name.split(), *given, *rest)
        say = f"{name} {option} with {kind}: code {code}, {told[:300]!r}"
        assert code in (0, 2, 3), say  # 3: what `data verify` measured misses a threshold
        assert "Traceback" not in told, say
        assert told.count("\n") <= 1 or code == 0, say
        assert len(told) < 2500, say
        assert harmless(told), say
        assert harmless(out), say
        if code == 2 and name:
            assert told.startswith("cogumi: "), say
            made = [
                path
                for path in sorted(folder.rglob("*"))
                if path not in before and not path.is_relative_to(folder / "home")
            ]
            assert made == [], say
        for path in [
            one
            for one in folder.rglob("*")
            if one not in before and one.is_file() and not one.is_relative_to(folder / "home")
        ]:
            path.unlink()


@pytest.mark.parametrize(
    ("number", "name", "option"), [pytest.param(at, *one.values, id=one.id) for at, one in enumerate(CASES)]
)
def test_a_value_that_is_none_ends_with_one_harmless_line(
    number: int, name: str, option: str, command: Any, places: dict[str, str], tmp_path: Path
) -> None:
    try_all(
        name=name,
        option=option,
        values=spread(tried(name, option, places), number),
        command=command,
        places=places,
        folder=tmp_path,
    )


@pytest.mark.all
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("name", "option"), CASES)
def test_so_does_every_value_of_every_option(
    name: str, option: str, command: Any, places: dict[str, str], tmp_path: Path
) -> None:
    try_all(
        name=name, option=option, values=tried(name, option, places), command=command, places=places, folder=tmp_path
    )
