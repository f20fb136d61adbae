"""The serving log: whole lines, by day, whatever dies in between."""

import multiprocessing
import os
from pathlib import Path

import pytest

from blocks.journal import served
from blocks.journal.served import Remark, Served
from configs.errors import BadInput


def answer(number: int = 0, time: str = "2026-11-20T10:00:00.000001+00:00", prompt: str | None = "What?") -> Served:
    return Served(
        id=f"id-{number}",
        time=time,
        release="r",
        turn=1,
        prompt=prompt,
        answer="That.",
        domain="math",
        choice="base",
        escalated=False,
        fallback=None,
        confidence=0.5,
        threshold=0.8,
        seconds=0.1,
    )


def read_all() -> list[Served | Remark]:
    return list(served.read("", "9999"))


def test_what_was_written_is_read_and_lines_are_split_on_newlines_only() -> None:
    written = [
        answer(0, prompt="one\u2028two\r\nthree\x0b"),
        Remark(answer="id-0", time="2026-11-20T10:00:01.000000+00:00", good=False),
        answer(1, prompt=None),
    ]
    for line in written:
        served.append(line)
    assert read_all() == written
    (path,) = served.folder().iterdir()
    assert path.read_bytes().count(b"\n") == 3
    assert path.stat().st_mode & 0o077 == 0, "what people asked is for nobody else on the machine"


def test_only_what_is_new_is_read_and_days_have_files_of_their_own() -> None:
    times = ["2026-11-19T23:59:59.999999+00:00", "2026-11-20T00:00:00.000000+00:00", "2026-11-20T00:00:00.000001+00:00"]
    for number, time in enumerate(times):
        served.append(answer(number, time))
    assert len(list(served.folder().iterdir())) == 2
    assert [line.time for line in served.read(times[0], times[1])] == [times[1]]
    assert [line.time for line in served.read("", times[2])] == times
    assert list(served.read(times[2], "9999")) == []


@pytest.mark.parametrize("keep", [0, 1, 40])
def test_a_line_that_was_cut_short_costs_only_itself(keep: int, caplog: pytest.LogCaptureFixture) -> None:
    served.append(answer(0))
    (path,) = served.folder().iterdir()
    with path.open("ab") as stream:
        stream.write(answer(1).model_dump_json().encode()[:keep])
    assert [line.id for line in read_all() if isinstance(line, Served)] == ["id-0"]
    served.append(answer(2))
    assert [line.id for line in read_all() if isinstance(line, Served)] == ["id-0", "id-2"]
    assert ("cannot be read" in caplog.text) == bool(keep)


def _write(folder: str, first: int) -> None:
    os.environ["COGUMI_SERVED"] = folder
    for number in range(first, first + 50):
        served.append(answer(number, prompt="x" * 5000))


def test_several_processes_write_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COGUMI_SERVED", str(tmp_path / "log"))
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write, args=(str(tmp_path / "log"), first)) for first in (0, 50, 100)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert {line.id for line in read_all() if isinstance(line, Served)} == {f"id-{number}" for number in range(150)}


def test_a_folder_that_cannot_be_written_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COGUMI_SERVED", "/proc/served")
    with pytest.raises(BadInput, match="set COGUMI_SERVED to a writable folder"):
        served.append(answer())
