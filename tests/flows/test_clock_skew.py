"""A machine whose clock is wrong: nothing is made twice, nothing of a living process is swept away, and artifacts stay
the same.

Cache keys, digests and locks know no time. Processes here run under libfaketime, two days ahead of or behind the
others.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import libfaketime
import pytest
from prefect.settings import PREFECT_API_URL

from blocks import store
from configs.errors import DamagedArtifact
from tests.places import ROOT

SKEWS = ("+2d", "-2d")
FAKETIME = Path(libfaketime.__file__).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"

MAKE = """
import sys, time
from pathlib import Path
from blocks import store
with store.create("skewed", settings={"n": 1}) as folder:
    (folder.path / "data.txt").write_text("the same bytes")
    for flag in sys.argv[1:]:
        Path(flag + ".open").touch()
        while not Path(flag).exists():
            time.sleep(0.05)
print(folder.artifact.digest)
"""

STEP = """
import logging, sys, time
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
from blocks.storage.home import configure_prefect
configure_prefect()
from prefect import flow
from tests.flows.skewed_step import skewed
@flow
def one():
    return skewed(3)
logging.getLogger("cogumi").setLevel(logging.INFO)
print("clock", int(time.time()))
print("digest", one().digest)
"""


def start(script: str, skew: str | None, home: Path, *arguments: str, **more: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "COGUMI_HOME": str(home), "PYTHONPATH": str(ROOT), **more}
    if skew is not None:
        environment |= {"LD_PRELOAD": str(FAKETIME), "FAKETIME": skew, "DONT_FAKE_MONOTONIC": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def ended(process: "subprocess.Popen[str]") -> str:
    out, err = process.communicate(timeout=250)
    assert process.returncode == 0, err
    return out


def test_the_store_never_sweeps_what_a_living_process_makes(state: Path, tmp_path: Path) -> None:
    flag = tmp_path / "go"
    slow = start(MAKE, None, state, str(flag))
    deadline = time.monotonic() + 120
    while not (tmp_path / "go.open").exists():
        assert time.monotonic() < deadline
        assert slow.poll() is None
        time.sleep(0.05)
    digests = {ended(start(MAKE, skew, state)).strip() for skew in SKEWS}
    flag.touch()
    digests.add(ended(slow).strip())
    assert len(digests) == 1, "an artifact does not know when it was made"
    (digest,) = digests
    try:
        store.verify(store.find(digest))
    except DamagedArtifact as damage:
        pytest.fail(str(damage))


@pytest.mark.all
def test_a_step_is_taken_from_the_cache_whatever_the_clock(prefect_server: None, state: Path) -> None:
    own = {
        "PREFECT_API_URL": PREFECT_API_URL.value() or "",
        "PREFECT_HOME": str(state / "prefect"),
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(state / "results"),
    }
    first = ended(start(STEP, None, state, **own))
    assert " ran " in first
    others = [ended(process) for process in [start(STEP, skew, state, **own) for skew in SKEWS]]
    for said, days in zip(others, (2, -2), strict=True):
        assert abs(int(said.split("clock ")[1].split()[0]) - time.time() - days * 86400) < 3600, (
            "the clock was wrong indeed"
        )
        assert " cached " in said
        assert " ran " not in said
    assert len({said.split("digest ")[1].split()[0] for said in [first, *others]}) == 1
