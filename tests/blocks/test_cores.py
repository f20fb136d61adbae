"""Cores that are really there, and threads that sleep while they wait."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from blocks import cores
from tests.places import ROOT


def group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_the_quotas_of_a_group_and_of_those_above_it_count(tmp_path: Path) -> None:
    group(tmp_path / "groups" / "a" / "b", cpu__max="max 100000\n")
    group(tmp_path / "groups" / "a", cpu__max="150000 100000\n")
    (tmp_path / "mine").write_text("0::/a/b\n")
    assert cores._quotas(tmp_path / "mine", tmp_path / "groups") == [1.5]


def test_quotas_of_the_first_version_count(tmp_path: Path) -> None:
    group(tmp_path / "groups" / "cpu" / "a", cpu__cfs_quota_us="300000\n", cpu__cfs_period_us="100000\n")
    group(tmp_path / "groups" / "cpu", cpu__cfs_quota_us="-1\n", cpu__cfs_period_us="100000\n")
    (tmp_path / "mine").write_text("5:cpuset:/x\n4:cpu,cpuacct:/a\n")
    assert cores._quotas(tmp_path / "mine", tmp_path / "groups") == [3.0]


@pytest.mark.parametrize("text", ["", "max", "0 100000", "100000 0", "ten 100000", "100000"])
def test_a_limit_that_says_nothing_is_none(text: str, tmp_path: Path) -> None:
    group(tmp_path, cpu__max=text)
    assert cores._quota(tmp_path) == []


@pytest.mark.parametrize(("quota", "allowed", "found"), [(None, 4, 4), (1.5, 4, 2), (0.2, 4, 1), (9.0, 4, 4)])
def test_cores_are_those_allowed_within_the_quota(
    quota: float | None, allowed: int, found: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(allowed)))
    monkeypatch.setattr(cores, "_quotas", lambda *places: [] if quota is None else [quota])
    assert cores.cores.__wrapped__() == found


def test_no_more_threads_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "cores", lambda: 2)
    assert [cores.at_most(wanted) for wanted in (0, 1, 2, 16)] == [1, 1, 2, 2]


@pytest.mark.slow
@pytest.mark.parametrize(
    "first", ["from flows.phase import phase", "from blocks.storage.home import configure_prefect; configure_prefect()"]
)
def test_libgomp_is_told_to_let_threads_sleep_before_torch_loads_it(first: str, tmp_path: Path) -> None:
    """What it prints when it is loaded is what it goes by."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", f"{first}; import torch"],
        env=kept | {"OMP_DISPLAY_ENV": "VERBOSE", "COGUMI_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    told = {line.strip().removeprefix("[host] ") for line in done.stderr.splitlines()}
    assert {
        "OMP_WAIT_POLICY = 'PASSIVE'",
        f"GOMP_SPINCOUNT = '{cores.SPINS}'",
        f"OMP_NUM_THREADS = '{cores.cores()}'",
    } <= told


def test_what_a_person_set_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    cores.share_cores()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    assert os.environ["GOMP_SPINCOUNT"] == cores.SPINS
