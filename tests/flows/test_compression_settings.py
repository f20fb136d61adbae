"""Every setting that the compression phase itself decides by: which steps it makes, what it keeps, what it refuses.

The student is untrained and answers by rule; pruning, folding, export, temperature and packing are real.
"""

from typing import Any

import pytest

from blocks import store
from blocks.records import Artifact, Question
from configs.errors import GateFailed
from configs.schema import Profile, load
from flows import compression as phase
from flows.compression import Compressed, compression
from tasks.evaluation.held_out import held_out
from tasks.evaluation.ledger import read_ledger
from tests.flows.students import answering, watched
from tests.tasks.compression.conftest import compression as settings
from tests.tasks.compression.conftest import make_artifact, make_dataset

Parts = tuple[Artifact, Artifact, Artifact]
SMALL: dict[str, dict[str, Any]] = {
    "calibration": {"rows": 8, "tokens": 64, "batch": 4},
    "pruning": {"method": "magnitude", "max_perplexity_ratio": 2.0},
    "recovery": {"examples": 4, "batch": 4, "tokens": 200},
    "awq": {"group": 32, "grid": 4, "max_divergence": 1e-3},
    "gguf": {"sparse": ["Q4_0"]},
    "temperature": {"examples": 8, "tokens": 200},
    "packing": {"dictionary_kb": 0},
}


def profile(**changes: Any) -> Profile:
    sections: dict[str, Any] = {
        name: {**SMALL.get(name, {}), **changes[name]}
        if isinstance(changes.get(name), dict)
        else changes.get(name, SMALL.get(name))
        for name in {*SMALL, *changes}
    }
    overrides = [
        "evaluation.rehearsal={test: 2, calibration: 1}",
        "evaluation.context=512",
        "evaluation.max_new_tokens=4",
        "evaluation.agreement=0",
        "evaluation.agreement_questions=2",
        "evaluation.resamples=1000",
    ]
    return load("nano", overrides).model_copy(update={"compression": settings(**sections)})


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COGUMI_HOME", str(tmp_path_factory.mktemp("home")))
        model = make_artifact(hidden_size=64, intermediate_size=128, num_hidden_layers=1)
        return model, make_dataset(32, 24), held_out(profile().evaluation, 0)


def chance(model: Artifact, question: Question, adapter: Artifact | None) -> float:
    """No file below ten bits a weight (Q8_0, at this size) answers as well as the student."""
    return 0.0 if model.metrics.get("bits_per_parameter", 32) < 9.5 else 2.0


def run(
    parts: Parts,
    monkeypatch: pytest.MonkeyPatch,
    *,
    perplexity: float = 2.0,
    right: Any = lambda *_: 2.0,
    **changes: Any,
) -> Compressed:
    """``perplexity``: of everything but the student, whose is 2."""
    answering(monkeypatch, "tasks.compression.choose", right, lambda model: 2.0 if model == parts[0] else perplexity)
    return compression.fn(*parts, profile(**changes))


def steps(made: Compressed) -> list[str]:
    return [row.step for row in read_ledger(made.ledger)]


WHOLE = [
    "student",
    "pruned to 50%",
    "recovered at 50%",
    "AWQ scales folded",
    "W4A16 for vLLM",
    "GGUF Q5_K_M",
    "zstd",
    "GGUF that packs smallest",
    "zstd of it",
]


def test_every_section_reaches_its_steps(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = watched(monkeypatch, phase)
    made = run(parts, monkeypatch)
    assert steps(made) == WHOLE
    said = {call.step: call.arguments for call in calls}
    wanted = profile().compression
    for step, section in (("prune", "pruning"), ("prune", "calibration"), ("recover", "recovery"), ("fold", "awq"),
        ("fold", "calibration"), ("w4a16", "awq"),
                          ("importance", "calibration"), ("calibrate", "temperature"), ("pack", "packing"),
                          ("smallest_packed", "packing")):  # fmt: skip
        assert getattr(wanted, section) in said[step], (step, section)
    assert said["to_gguf"][1] == wanted.gguf.served


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"pruning": {"stages": []}}, {"pruned to 50%", "recovered at 50%", "GGUF that packs smallest", "zstd of it"}),
        ({"awq": None}, {"AWQ scales folded", "W4A16 for vLLM"}),
        ({"awq": {"w4a16": False}}, {"W4A16 for vLLM"}),
        ({"gguf": {"sparse": []}}, {"GGUF that packs smallest", "zstd of it"}),
    ],
)
def test_what_is_switched_off_is_not_made(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], missing: set[str]
) -> None:
    assert steps(run(parts, monkeypatch, **changes)) == [step for step in WHOLE if step not in missing]


def test_a_stage_beyond_max_perplexity_ratio_is_undone(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {}
    for max_perplexity_ratio in (1.2, 1.4):
        made = run(parts, monkeypatch, perplexity=2.6, pruning={"max_perplexity_ratio": max_perplexity_ratio}, awq=None)
        kept[max_perplexity_ratio] = made.gguf_sparse is not None
    assert kept == {1.2: False, 1.4: True}


def exported(made: Artifact) -> str:
    """llama.cpp's own name of a file's mixture."""
    from gguf import GGUFReader
    from gguf.constants import LlamaFileType

    field = GGUFReader(store.open(made) / "model.gguf").fields["general.file_type"]
    return LlamaFileType(int(field.parts[field.data[0]][0])).name


def test_the_exports_are_those_that_the_settings_name(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    made = run(parts, monkeypatch, gguf={"reference": "Q8_0", "served": "Q4_0", "sparse": ["Q6_K"]})
    assert made.gguf_sparse is not None
    assert [exported(one) for one in (made.reference, made.gguf, made.gguf_sparse)] == [
        "MOSTLY_Q8_0",
        "MOSTLY_Q4_0",
        "MOSTLY_Q6_K",
    ]


@pytest.mark.parametrize(("fallback", "used"), [("Q8_0", "MOSTLY_Q8_0"), ("Q4_K_M", "MOSTLY_F16")])
def test_the_fallback_is_served_where_the_first_choice_loses_too_much(
    parts: tuple[Artifact, Artifact, Artifact], monkeypatch: pytest.MonkeyPatch, fallback: str, used: str
) -> None:
    made = run(
        parts,
        monkeypatch,
        right=chance,
        awq=None,
        pruning={"stages": []},
        gguf={"served": "Q4_0", "fallback": fallback},
    )
    assert exported(made.gguf) == used
    assert f"{fallback} is used instead" in read_ledger(made.ledger)[1].note


def test_importance_changes_the_rounding(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {
        importance: run(parts, monkeypatch, awq=None, pruning={"stages": []}, gguf={"importance": importance}).gguf
        for importance in (True, False)
    }
    assert store.manifest(made[True]).files["model.gguf"] != store.manifest(made[False]).files["model.gguf"]


def test_smallest_serves_and_weighs_the_export_that_packs_smallest(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    for smallest in (False, True):
        made = run(parts, monkeypatch, awq=None, gguf={"served": "Q8_0", "smallest": smallest})
        assert made.packed_sparse is not None
        assert (made.gguf == made.gguf_sparse) is smallest
        assert (made.packed == made.packed_sparse) is smallest
        assert made.gates[1].checks[0].value == made.packed.bytes / 1e6


def test_a_release_that_ships_the_file_weighs_the_file(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = profile(awq=None)
    answering(monkeypatch, "tasks.compression.choose", lambda *_: 2.0, lambda model: 2.0)
    for packed in (True, False):
        release = chosen.release.model_copy(update={"packed": packed})
        made = compression.fn(*parts, chosen.model_copy(update={"release": release}))
        weighed = made.packed if packed else made.gguf
        assert made.gates[1].checks[0].value == weighed.bytes / 1e6


def test_a_packed_model_above_target_megabytes_is_refused(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    made = run(parts, monkeypatch, awq=None)
    size = made.packed.bytes / 1e6
    with pytest.raises(GateFailed, match="packed model, MB"):
        run(parts, monkeypatch, awq=None, target_megabytes=0.9 * size)
    assert run(parts, monkeypatch, awq=None, target_megabytes=1.1 * size).gates[1].passed
