"""The Dockerfiles, as far as that can be told without an engine: linted, pinned, without root, without secrets, with
files that exist."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.places import ROOT

IMAGES = sorted((ROOT / "deployments" / "images").glob("*.Dockerfile"))


def instructions(path: Path) -> list[tuple[str, str]]:
    """(instruction, its text) in order, continued lines joined."""
    lines = [line for line in path.read_text().split("\n") if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [
        (word.upper(), rest.strip())
        for line in joined.split("\n")
        if line.strip()
        for word, _, rest in [line.strip().partition(" ")]
    ]


def test_there_is_one_for_each_pool() -> None:
    assert [path.stem for path in IMAGES] == ["cpu", "gpu"]


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
def test_the_linter_has_nothing_to_say(path: Path) -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [str(linter), "--no-color", "--failure-threshold", "info", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
def test_pinned_without_root_without_secrets(path: Path) -> None:
    steps = instructions(path)
    bases = [text.split()[0] for word, text in steps if word == "FROM"]
    assert all(re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?", base) for base in bases), bases
    users = [text for word, text in steps if word == "USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1]), "by number, so that Kubernetes can tell that it is not root"
    assert not any(
        re.search(r"(KEY|TOKEN|SECRET|PASSWORD)", text, re.I) for word, text in steps if word in {"ENV", "ARG"}
    )
    assert not any(re.search(r"--trusted-host|http://|curl[^|]*\|", text) for _, text in steps)
    installs = [text for word, text in steps if word == "RUN" and "pip install" in text]
    assert installs
    assert all("-c constraints.txt" in text for text in installs), "the versions that were tested"
    extras = re.findall(r"'\.\[(.*)\]'", installs[0])[0].split(",")
    assert {"deploy", "postgres", "s3"} <= set(extras), (
        "a worker of any pool's type, a journal and a store that machines share"
    )


def test_everything_that_is_installed_has_an_exact_version() -> None:
    """The constraints that the images are given name each requirement, those of the extras too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [
        *project["dependencies"],
        *(one for extra in ("gpu", "postgres", "s3", "deploy") for one in project["optional-dependencies"][extra]),
    ]
    pinned = {
        canonicalize_name(line.partition("==")[0])
        for line in (ROOT / "constraints.txt").read_text().split("\n")
        if "==" in line
    }
    assert {canonicalize_name(Requirement(one).name) for one in asked} - pinned == set()


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
def test_what_is_copied_exists_and_is_enough(path: Path) -> None:
    copied = {
        name
        for word, text in instructions(path)
        if word == "COPY" and "--from" not in text
        for name in text.split()[:-1]
    }
    assert all((ROOT / name).exists() for name in copied), copied
    packages = re.search(r"include = \[(.*)\]", (ROOT / "pyproject.toml").read_text())
    assert packages is not None
    assert {name.rstrip("*") for name in re.findall(r'"(\w+)\*"', packages[1])} <= copied


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
def test_its_worker_is_the_one_that_cogumi_up_starts(path: Path) -> None:
    """Prefect's own takes a run's ``env``, whatever the pool offers."""
    (command,) = [json.loads(text) for word, text in instructions(path) if word == "CMD"]
    assert command[:6] == ["python", "-m", "deployments.up.worker_command", "worker", "start", "--pool"]


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
def test_a_run_in_the_container_keeps_its_result_as_here(path: Path) -> None:
    """`cogumi` sets these for itself; in a container a worker starts the run without it."""
    environment = " ".join(text for word, text in instructions(path) if word == "ENV")
    for setting in (
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT=true",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER=json",
        "PREFECT_LOGGING_EXTRA_LOGGERS=cogumi",
    ):
        assert setting in environment
