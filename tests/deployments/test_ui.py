"""A person looks at a run in Prefect's UI: logs in with what `cogumi up` made, opens the run's page, the artifacts, and
the form of a deployment."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from blocks.records import DOMAINS
from tests.chromium import CHROMIUM, Browser
from tests.deployments.test_start import cogumi
from tests.deployments.up_process import DEFAULT, Up, get, post
from tests.ports import free_port
from tests.tiny import TINY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; Debian's package is called chromium"),
]


class Shown(NamedTuple):
    """A server that holds one run of the dataset phase, the address of its UI, and a browser in which somebody has
    logged in."""

    api: str
    ui: str
    browser: Browser


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    home = tmp_path_factory.mktemp("ui")
    with Up(home, "--port", str(free_port()), "--server-only", **DEFAULT) as up:
        up.says("ready")
        made = up.made_its_login()
        done = cogumi(
            "run",
            "--phase",
            "dataset",
            *(word for setting in TINY for word in ("--set", setting)),
            home=home,
            **DEFAULT,
        )
        assert done.returncode == 0, done.stderr
        ui = up.api.removesuffix("/api").replace(
            "127.0.0.1", "localhost"
        )  # another of its names than the one that it prints
        with Browser(tmp_path_factory.mktemp("chromium")) as browser:
            browser.open(f"{ui}/runs")
            browser.log_in("input[type=password]", made)
            browser.shows("Dashboard")
            yield Shown(up.api, ui, browser)


def shows(shown: Shown, path: str, *words: str) -> None:
    """The page shows every one of ``words`` once its scripts have run."""
    shown.browser.open(f"{shown.ui}{path}")
    shown.browser.shows(*words)


def artifacts(shown: Shown) -> dict[str, dict[str, Any]]:
    return {each["key"]: each for each in post(shown.api, "/artifacts/filter") if each["key"] is not None}


def test_the_run_is_shown_with_its_steps(shown: Shown) -> None:
    runs = {
        each["name"]: each for each in post(shown.api, "/flow_runs/filter") if each["state_type"] == "COMPLETED"
    }  # the nights are scheduled
    assert len(runs) == 2, "the pipeline and its one phase"
    for name, run in runs.items():
        shows(shown, f"/runs/flow-run/{run['id']}", name, "Completed")


def test_the_artifacts_can_be_read(shown: Shown) -> None:
    made = artifacts(shown)
    assert {"dataset", "teachers"} <= set(made)
    shows(shown, "/artifacts", *made)
    shows(shown, f"/artifacts/artifact/{made['dataset']['id']}", *DOMAINS)
    teachers = [
        teacher
        for teacher in ("rehearsal-small", "rehearsal-medium", "rehearsal-large")
        if teacher in made["teachers"]["data"]
    ]
    assert teachers
    shows(shown, f"/artifacts/artifact/{made['teachers']['id']}", *teachers)


def test_the_form_of_a_deployment_explains_itself(shown: Shown) -> None:
    deployment = get(shown.api, "/deployments/name/pipeline/nano")
    explained = (
        "what to build: nano, llama-1b, llama-8b",
        "settings that differ from the profile",
        "the last phase to run",
    )
    shows(shown, f"/deployments/deployment/{deployment['id']}/run", *explained)
