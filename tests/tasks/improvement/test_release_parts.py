"""A release is taken apart by its lineage alone; also one that a night made, whose lessons come of several nights."""

import json
import shutil
from pathlib import Path

import pytest

from blocks import store
from blocks.records import Artifact
from blocks.rehearsal import world
from configs.errors import BadInput
from tasks.improvement.join import join
from tasks.improvement.release_parts import Standing, rates, standing
from tests.tasks.modifiers.world import answers

COVERS = {"code": ("coding",), "reasoning": ("math", "reasoning")}


def made(kind: str, name: str, *parents: Artifact, **files: str) -> Artifact:
    with store.create(kind, settings={"name": name}, parents=parents) as folder:
        for path, content in (files or {"file": name}).items():
            target = folder.path / path.replace("__", "/").replace("_dot_", ".")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content)
    return folder.artifact


def release(
    *, night: bool = False, modifiers: tuple[str, ...] = ("code", "reasoning")
) -> tuple[Artifact, dict[str, Artifact]]:
    """A release with the lineage that the pipeline gives it; every part by name."""
    dataset, model = made("dataset", "dataset"), made("model", "model")
    gguf = made("gguf", "gguf", model, dataset)
    test, calibration = made("questions", "test"), made("questions", "calibration")
    base_test, base_calibration = (
        made("evaluation", "base test", gguf, test),
        made("evaluation", "base calibration", gguf, calibration),
    )
    asked = made("questions", "fresh")
    tested = made("evaluation", "tested", gguf, asked)
    part = {
        "dataset": dataset,
        "model": model,
        "gguf": gguf,
        "test": test,
        "calibration": calibration,
        "base_test": base_test,
        "base_calibration": base_calibration,
        "tested": tested,
    }
    for name in modifiers:
        failed = made("failures", name, asked, tested, failures_dot_jsonl='{"id": "1"}\n')
        mended = made("mended", name, failed, solved_dot_jsonl='{"id": "1"}\n')
        if night:
            failed = join.fn([failed, made("failures", f"{name} tonight", asked, failures_dot_jsonl='{"id": "2"}\n')])
            mended = join.fn([mended, made("mended", f"{name} tonight", failed, solved_dot_jsonl='{"id": "2"}\n')])
        adapter = made("adapter", name, model, made("dataset", f"lessons {name}", mended, failed, dataset))
        part[f"{name} mended"], part[name] = mended, made("gguf_adapter", name, adapter, model, adapter_dot_gguf=name)
        part[f"{name} tuned"] = made("evaluation", f"{name} tuned", gguf, part[name], calibration)
        part[f"{name} answered"] = made(
            "evaluation", f"{name} answered", gguf, part[name], made("questions", f"covered {name}", test)
        )
    part["classifier"] = made("domain_classifier", "classifier", dataset)
    network = made("router_network", "network", part["classifier"], tested)
    fitted = made("router_calibration", "fitted", network, part["classifier"], base_calibration, base_test)
    tuned, answered = [part[f"{name} tuned"] for name in modifiers], [part[f"{name} answered"] for name in modifiers]
    part["router"] = made(
        "router", "router", part["classifier"], network, fitted, base_calibration, *tuned, base_test, *answered
    )
    rows = answers(
        [*world.questions("coding", "easy", "held_out", 4, 0), *world.questions("math", "easy", "held_out", 2, 0)],
        set(),
    )
    wrong = [
        row.model_copy(update={"correct": number > 0 or row.domain != "coding"}) for number, row in enumerate(rows)
    ]
    choices = {row.question: "code" if number == 1 else "base" for number, row in enumerate(rows)}
    files = {
        "answers_dot_jsonl": "".join(row.model_dump_json() + "\n" for row in wrong),
        "choices_dot_json": json.dumps(choices),
    }
    part["routed"] = made("evaluation", "routed", part["router"], base_test, *answered, **files)
    files = {f"modifiers__{name}_dot_gguf": name for name in modifiers} or {"file": "x"}
    top = [model, gguf, *(part[name] for name in modifiers), part["router"], dataset, base_test, part["routed"]]
    return made("release", "release", *top, **files), part


@pytest.mark.parametrize("night", [False, True], ids=["of the pipeline", "of a night"])
def test_a_release_is_taken_apart(night: bool) -> None:
    whole, part = release(night=night)
    found = standing(whole, COVERS)
    for name in (
        "model",
        "gguf",
        "dataset",
        "router",
        "classifier",
        "test",
        "base_test",
        "routed",
        "calibration",
        "base_calibration",
    ):
        assert getattr(found, name) == part[name], name
    assert found.tested == (part["tested"],)
    assert [(one.name, one.domains) for one in found.modifiers] == list(COVERS.items())
    for one in found.modifiers:
        assert (one.gguf, one.evaluation, one.mended) == (
            part[one.name],
            part[f"{one.name} tuned"],
            part[f"{one.name} mended"],
        )
        assert one.failures.kind == "failures"
    assert Standing.model_validate_json(found.model_dump_json()) == found, "it goes to another machine"


def test_a_release_without_modifiers_is_one_too() -> None:
    whole, _ = release(modifiers=())
    assert standing(whole, {}).modifiers == ()


def test_the_rates_at_release_are_those_of_the_routed_answers() -> None:
    whole, _ = release()
    found = standing(whole, COVERS)
    choices = json.loads((store.open(found.routed) / "choices.json").read_text())
    wrong, escalated = rates(found, choices)
    assert wrong == {"coding": 0.25, "math": 0.0}
    assert escalated == {"coding": 0.25, "math": 0.0}


def test_a_release_of_other_making_is_refused_clearly() -> None:
    with pytest.raises(BadInput, match="has 0 parents of kind model instead of one"):
        standing(made("release", "alone"), {})
    whole, part = release()
    shutil.rmtree(Path(part["tested"].uri))
    with pytest.raises(BadInput, match="run again to rebuild it"):
        standing(whole, COVERS)
