"""What the command line says whatever was asked: help, version, closed streams, narrow terminals. Cheap; runs are in
test_cli.py."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from configs.schema import load
from deployments.cli import outcome as _outcome
from deployments.commands import plan_page
from deployments.commands.plan import plan
from deployments.terminal.console import tabulate

COGUMI = [sys.executable, "-c", "from deployments.start import main; main()"]


def outcome(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["cogumi", *arguments])
    return _outcome()


def test_help_version_and_plain_files_make_no_state_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.jsonl").write_text('{"id": "1", "prompt": "a", "response": "b"}\n')
    for arguments in (["--help"], ["run", "--help"], ["--version"], ["data", "stats", str(tmp_path / "in.jsonl")]):
        assert outcome(monkeypatch, *arguments) == 0
    assert not state.exists()
    monkeypatch.setenv("COGUMI_HOME", "/proc/nowhere")
    assert outcome(monkeypatch, "--help") == 0
    assert outcome(monkeypatch, "releases") == 2
    told = capsys.readouterr()
    assert "cogumi 0." in told.out
    assert (
        told.err
        == "cogumi: cannot use /proc/nowhere as state folder (No such file or directory); set COGUMI_HOME to a "
        "writable folder\n"
    )


@pytest.mark.parametrize("arguments", [[], ["data"]])
def test_no_command_is_the_help_and_nothing_on_the_error_stream(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome(monkeypatch, *arguments) == 2
    told = capsys.readouterr()
    assert "Usage: " in told.out
    assert told.err == ""


@pytest.mark.parametrize("end", ["| head -1", "| true", "> /dev/full", ">&-", "2>&- >/dev/null"])
def test_a_stream_that_is_closed_or_full_brings_no_traceback(end: str, tmp_path: Path) -> None:
    command = f"{sys.executable} -c 'from deployments.start import main; main()' plan {end}"
    done = subprocess.run(
        command,
        shell=True,
        env={**os.environ, "COGUMI_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert done.stderr.strip() in {"", "cogumi: No space left on device", "cogumi: Bad file descriptor"}


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, 2), (errno.EDQUOT, 2), (errno.EROFS, 2), (errno.EIO, 1)])
def test_a_disk_that_is_full_or_read_only_is_bad_input_also_where_nobody_looked_for_it(
    number: int, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise OSError(number, os.strerror(number), "/some/file")

    monkeypatch.setattr("deployments.commands.releases.show", broken)
    assert outcome(monkeypatch, "releases") == code
    assert capsys.readouterr().err == f"cogumi: {os.strerror(number)} (/some/file)\n"


def test_every_number_of_a_plan_is_there_however_narrow_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(load("nano"), [], "h100")
    for width in (40, 80, 240):
        written = io.StringIO()
        monkeypatch.setattr(plan_page, "page", lambda _, file=written, columns=width: Console(file=file, width=columns))
        plan_page.show(made)
        text = " ".join(written.getvalue().split())
        assert "…" not in text
        for phase in made.phases:
            for number in (f"{phase.most_calls:,.0f}", f"{phase.most_dollars:,.2f}", f"{phase.cpu_s / 60:,.1f}"):
                assert number in text, (width, phase.phase)
    assert "━" in written.getvalue(), "a table where there is room"


def test_rows_of_a_table_that_is_too_wide_are_lines() -> None:
    table = Table(title="things", show_footer=True)
    table.add_column("name", footer="in all")
    table.add_column("how many of them there are", footer="3")
    table.add_column("")
    table.add_row("one [b]", "3", "current")
    written = io.StringIO()
    tabulate(Console(file=written, width=44), table)
    assert (
        written.getvalue()
        == "things\none [b]: how many of them there are 3, \ncurrent\nin all: how many of them there are 3\n"
    )
