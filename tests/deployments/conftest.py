"""A dataset, made once for the tests that look at what a run leaves behind."""

from pathlib import Path
from typing import NamedTuple

import pytest

from blocks.records import Artifact
from configs.schema import load
from flows.dataset import dataset
from tasks.evaluation.held_out import held_out
from tests.tiny import TINY


class Asked(NamedTuple):
    """A state folder with a dataset of the smallest size in it, asked of rehearsal teachers."""

    home: Path
    dataset: Artifact


@pytest.fixture(scope="session")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    home = tmp_path_factory.mktemp("asked")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COGUMI_HOME", str(home))
        profile = load("nano", TINY)
        return Asked(home, dataset.fn(profile, held_out(profile.evaluation, profile.seed)))
