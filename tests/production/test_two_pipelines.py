"""Two whole pipelines at once on one machine: they share the store, and each step is done once."""

from collections import Counter
from pathlib import Path

import pytest

from tests.deployments.test_start import COGUMI
from tests.production.machines import check_store, finished, processes, said, start
from tests.tiny import TINY

pytestmark = [pytest.mark.all, pytest.mark.timeout(1200)]
ALWAYS = {"gate", "publish"}


def test_two_pipelines_at_once_make_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [*COGUMI[1:], "run", *(part for one in TINY for part in ("--set", one))]
    runs = [start(tmp_path, *command) for _ in range(2)]
    assert [run.wait(550) for run in runs] == [0, 0], said(tmp_path)[-3000:]
    lines = [line.split() for line in said(tmp_path).splitlines()]
    ran = Counter(
        words[2]
        for words in lines
        if len(words) > 4
        and words[2] in {"ran", "cached"}
        and words[1] not in ALWAYS
        and not words[1].startswith("show_")
    )
    keys = len(finished(tmp_path / "store"))
    assert ran["ran"] == keys, "as many steps ran as there are results"
    assert ran["cached"] >= keys, "the other run took them from there"
    assert check_store(tmp_path, monkeypatch) > 40
    assert not processes(tmp_path)
