"""The nano profile's data and teachers settings at a tenth of the size, one dataset made from them, and the corpora."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from blocks import store
from blocks.records import DOMAINS, Artifact, Example, Metadata
from blocks.rehearsal import world
from configs.phases.data import Data
from configs.phases.teachers import Teachers
from configs.schema import PROFILES
from tasks.data import rows
from tests.places import CORPORA


def section(profile: str, name: str) -> Any:
    return yaml.safe_load((PROFILES / f"{profile}.yaml").read_text())[name]


class Small(NamedTuple):
    """Stands for a profile where only these three are read."""

    data: Data
    teachers: Teachers
    seed: int


def small(examples: int = 96, seed: int = 3, **teachers: Any) -> Small:
    data = section("nano", "data")
    data["planning"] |= {"examples": examples, "easy_oversample": 1.5, "hard_oversample": 1.7}
    data["verification"]["english"] = 0.7  # of so few texts hardly any is long enough to tell: the interval is wide
    return Small(Data.model_validate(data), Teachers.model_validate(section("nano", "teachers") | teachers), seed)


def held_out(count: int = 4) -> Artifact:
    with store.create("questions", settings={"held_out": count}) as folder:
        drawn = [
            question
            for domain in DOMAINS
            for difficulty in ("easy", "hard")
            for question in world.questions(domain, difficulty, "held_out", count, 7)
        ]
        rows.write(folder.path / rows.QUESTIONS, drawn)
    return folder.artifact


def example(identity: str = "a", prompt: str = "What is 2 plus 2?", response: str = "4", **metadata: Any) -> Example:
    known = {
        "domain": "math",
        "difficulty": "easy",
        "task_type": "arithmetic",
        "complexity": "low",
        "requires_reasoning": False,
        "token_count": 6,
        "quality_score": 8.0,
        "teacher_model": "rehearsal-large",
        "source": "rehearsal",
        "license": "CC0-1.0",
    }
    return Example(id=identity, prompt=prompt, response=response, metadata=Metadata.model_validate(known | metadata))


def examples_artifact(*examples: Example) -> Artifact:
    with store.create("examples", settings={"ids": [e.id for e in examples]}) as folder:
        rows.record(folder, rows.EXAMPLES, list(examples), [])
    return folder.artifact


@pytest.fixture
def settings() -> Data:
    return small().data


@pytest.fixture(scope="session")
def made() -> tuple[Small, Artifact, Artifact]:
    """Settings, evaluation questions and the dataset made from them, by the flow's own steps."""
    from flows.dataset import dataset

    profile, evaluation = small(), held_out()
    return profile, evaluation, dataset.fn(profile, evaluation)  # type: ignore[arg-type]


@pytest.fixture
def corpus() -> Callable[[str], Path]:
    def find(name: str) -> Path:
        path = CORPORA / name
        if not path.exists():
            pytest.skip(f"{name} is not under COGUMI_CORPORA ({CORPORA})")
        return path

    return find
