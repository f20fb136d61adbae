"""The table of the phases agrees with their flows: each is given what it wants, and a person may stop after each."""

import inspect
import subprocess
import sys
from functools import reduce
from typing import Any, get_args, get_type_hints

import pytest

from blocks.records import Artifact
from configs.schema import Pools, Profile
from flows.phases import PHASES, Name, Phase, up_to
from flows.pipeline import pipeline
from tests.places import ROOT


def made_before(phase: Phase) -> dict[str, Any]:
    """Name → type of what there is when ``phase`` begins."""
    before = {one.name: get_type_hints(one.flow().fn)["return"] for one in up_to(phase.name)[:-1]}
    return {"profile": Profile, "overrides": list[str], "questions": Artifact, **before}


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.name)
def test_a_phase_is_given_what_its_flow_takes(phase: Phase) -> None:
    there, flow = made_before(phase), phase.flow()
    wanted = get_type_hints(flow.fn)
    given = [
        reduce(lambda kind, field: get_type_hints(kind)[field], fields, there[first])
        for first, *fields in (need.split(".") for need in phase.needs)
    ]
    assert given == [wanted[name] for name in inspect.signature(flow.fn).parameters]


def test_a_run_may_end_after_each_and_each_has_its_pool() -> None:
    names = tuple(phase.name for phase in PHASES)
    assert names == get_args(Name) == get_args(get_type_hints(pipeline.fn)["until"]) == tuple(Pools.model_fields)
    assert [one.name for one in up_to("compression")] == ["dataset", "training", "compression"]


def test_the_table_is_read_without_prefect() -> None:
    """`cogumi run` starts a server while it imports Prefect; what it reads before must not wait for it."""
    code = "import sys, flows.phases; sys.exit('prefect' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
