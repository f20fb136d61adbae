"""A disk that fills up in the middle of a run: one clear line, nothing half-written, and the run goes on when there is
room again."""

import shlex
from pathlib import Path

import pytest

from blocks import store
from tests.deployments.test_start import COGUMI
from tests.small_disk import growing, mounting, unshared
from tests.tiny import TINY


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("size", "phase"),
    # too small for the server's own writing; for the journal beside it: whichever meets the end first; for what
    # training saves
    [
        ("7500k", "dataset"),
        pytest.param("9m", "dataset", marks=pytest.mark.all),
        pytest.param("12m", "training", marks=pytest.mark.all),
        pytest.param("20m", "training", marks=pytest.mark.all),
    ],
)
def test_a_full_disk_is_one_clear_line_and_the_run_goes_on_when_there_is_room(
    size: str, phase: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    run = shlex.join([*COGUMI, "run", "--phase", phase, *(word for setting in TINY for word in ("--set", setting))])
    mount, grow = shlex.join(mounting(disk, size)), shlex.join(growing(disk, "128m"))
    for name in ("PREFECT_API_URL", "PREFECT_RESULTS_LOCAL_STORAGE_PATH"):
        monkeypatch.delenv(name, raising=False)
    done = unshared(
        f'{mount} && {run}; echo "ended $?" >&2; cp -r {disk}/home/store {kept}; {grow} && {run}',
        {"COGUMI_HOME": str(disk / "home"), "PREFECT_HOME": str(disk / "home" / "prefect")},
    )
    first, _, second = done.stderr.partition("ended ")
    assert second[0] == "2", done.stderr
    assert first.strip().splitlines()[-1].startswith("cogumi: ")
    assert "full" in first.strip().splitlines()[-1] or "No space" in first.strip().splitlines()[-1]
    assert "Traceback" not in first
    assert done.returncode == 0, second
    assert " 0 from the cache" not in second
    monkeypatch.setenv("COGUMI_STORE", str(kept))
    whole = list(store.everything())
    assert len(whole) > 2
    for artifact in whole:
        store.verify(artifact)
