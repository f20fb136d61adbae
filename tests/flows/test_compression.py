"""The whole phase on a tiny student: every artifact is there, the ledger tells of every step, nothing runs twice."""

import pytest

from blocks import store
from blocks.records import Artifact
from configs.errors import GateFailed
from configs.schema import Profile, load
from flows.compression import compression
from tasks.compression.pruning.prune import zero_share
from tasks.evaluation.held_out import held_out
from tasks.evaluation.ledger import read_ledger
from tests.tasks.compression.conftest import compression as settings
from tests.tasks.compression.conftest import make_artifact, make_dataset

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.slow]


def profile(**changes: object) -> Profile:
    """The nano profile with this test's compression settings, and few questions."""
    whole = load(
        "nano",
        [
            "evaluation.rehearsal.test=1",
            "evaluation.rehearsal.calibration=1",
            "evaluation.max_new_tokens=24",
            "evaluation.context=512",
            "evaluation.tolerance=1",
        ],
    )
    return whole.model_copy(update={"compression": settings(**changes)})


@pytest.fixture
def given() -> tuple[Artifact, Artifact, Artifact]:
    return make_artifact(steps=8, max_position_embeddings=512), make_dataset(64, 24), held_out(profile().evaluation, 0)


def test_the_phase(given: tuple[Artifact, Artifact, Artifact]) -> None:
    student, dataset, questions = given
    small = {
        "recovery": {"examples": 16},
        "pruning": {"stages": [0.4, 0.5], "max_perplexity_ratio": 100.0},
        "temperature": {"examples": 16},
    }
    made = compression(student, dataset, questions, profile(**small))
    rows = read_ledger(made.ledger)
    stages = ["pruned to 40%", "recovered at 40%", "pruned to 50%", "recovered at 50%"]
    assert [row.step for row in rows] == [
        "student",
        *stages,
        "AWQ scales folded",
        "W4A16 for vLLM",
        "GGUF Q5_K_M",
        "zstd",
        "GGUF that packs smallest",
        "zstd of it",
    ]
    assert zero_share(store.open(made.model)) == pytest.approx(0.5, abs=0.01)
    assert made.gguf_sparse is not None
    assert made.packed_sparse is not None
    assert made.w4a16 is not None
    assert rows[-1].bytes < rows[-2].bytes < rows[-4].bytes < rows[0].bytes / 5
    assert all(row.parameters == rows[0].parameters for row in rows)
    assert compression(student, dataset, questions, profile(**small)) == made
    with pytest.raises(GateFailed, match="size: packed model, MB"):
        compression(student, dataset, questions, profile(**small, target_megabytes=0.2))


def test_a_stage_that_loses_too_much_is_undone_and_none_follows(given: tuple[Artifact, Artifact, Artifact]) -> None:
    student, dataset, questions = given
    small = {
        "recovery": {"examples": 8, "learning_rate": 1e-6},
        "pruning": {"stages": [0.9, 0.95], "max_perplexity_ratio": 1.01},
        "awq": None,
        "gguf": {"importance": False},
    }
    made = compression(student, dataset, questions, profile(**small))
    rows = read_ledger(made.ledger)
    assert [row.step for row in rows] == ["student", "pruned to 90%", "recovered at 90%", "GGUF Q5_K_M", "zstd"]
    assert rows[2].verdict == "reverted"
    assert made.model == student
    assert made.gguf_sparse is None
    assert made.w4a16 is None
