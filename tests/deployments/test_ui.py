"""A person looks at a run in Prefect's UI: a headless Chromium opens the run's page, the artifacts, and the form of a deployment."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from blocks.records import DOMAINS
from tests.deployments.test_cli import cogumi
from tests.deployments.up_process import Up, get, post
from tests.ports import free_port
from tests.tiny import TINY

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; Debian's package is called chromium"),
]


class Shown(NamedTuple):
    """A server that holds one run of the dataset phase, the address of its UI, and where Chromium keeps its profile."""

    api: str
    ui: str
    browser: Path


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    home = tmp_path_factory.mktemp("ui")
    with Up(home, "--port", str(free_port()), "--server-only") as up:
        up.says("ready")
        done = cogumi("run", "--phase", "dataset", *(word for setting in TINY for word in ("--set", setting)), home=home)
        assert done.returncode == 0, done.stderr
        yield Shown(up.api, up.api.removesuffix("/api"), tmp_path_factory.mktemp("chromium"))


def shows(shown: Shown, path: str, *words: str) -> None:
    """The page shows every one of ``words`` once its scripts have run; a busy machine may need a second look."""
    for _ in range(6):
        page = seen(shown, path)
        missing = [word for word in words if word not in page]
        if not missing:
            return
    pytest.fail(f"{path} does not show {missing}: {page}")


def seen(shown: Shown, path: str) -> str:
    """The words on the page."""
    assert CHROMIUM is not None
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    command = [CHROMIUM, "--headless", "--disable-gpu", *sandbox, f"--user-data-dir={shown.browser}", "--window-size=1300,1400", "--virtual-time-budget=20000", "--dump-dom"]
    done = subprocess.run([*command, f"{shown.ui}{path}"], capture_output=True, text=True, timeout=180, check=True)
    bare = re.sub(r"<(script|style)\b.*?</\1>", " ", done.stdout, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", bare)).split())


def artifacts(shown: Shown) -> dict[str, dict[str, Any]]:
    return {each["key"]: each for each in post(shown.api, "/artifacts/filter") if each["key"] is not None}


def test_the_run_is_shown_with_its_steps(shown: Shown) -> None:
    runs = {each["name"]: each for each in post(shown.api, "/flow_runs/filter") if each["state_type"] == "COMPLETED"}  # the nights are scheduled
    assert len(runs) == 2, "the pipeline and its one phase"
    for name, run in runs.items():
        shows(shown, f"/runs/flow-run/{run['id']}", name, "Completed")


def test_the_artifacts_can_be_read(shown: Shown) -> None:
    made = artifacts(shown)
    assert {"dataset", "teachers"} <= set(made)
    shows(shown, "/artifacts", *made)
    shows(shown, f"/artifacts/artifact/{made['dataset']['id']}", *DOMAINS)
    teachers = [teacher for teacher in ("rehearsal-small", "rehearsal-medium", "rehearsal-large") if teacher in made["teachers"]["data"]]
    assert teachers
    shows(shown, f"/artifacts/artifact/{made['teachers']['id']}", *teachers)


def test_the_form_of_a_deployment_explains_itself(shown: Shown) -> None:
    deployment = get(shown.api, "/deployments/name/pipeline/nano")
    explained = ("what to build: nano, llama-1b, llama-8b", "settings that differ from the profile", "the last phase to run")
    shows(shown, f"/deployments/deployment/{deployment['id']}/run", *explained)
