"""The router learned, put together, judged, saved and served: on answers whose chances of being right are known."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from blocks import store
from blocks.records import Answered, Artifact, Domain
from configs.errors import BadInput
from configs.phases.routing import DomainLearning, RouterLearning, Threshold
from tasks.evaluation.calibration import auroc
from tasks.evaluation.evaluate import read_answers
from tasks.routing.assemble import assemble, routing_report
from tasks.routing.calibrate import calibrate_router
from tasks.routing.decide import Network, Router, beside, covering, inputs, narrowest
from tasks.routing.domains import learn_domains
from tasks.routing.router import learn_router
from tests.places import ROOT
from tests.tasks.routing.answers import answered, draw, evaluation, guesses

DOMAINS: tuple[Domain, ...] = ("math", "coding", "tool_use", "reading")
COVERS = {"code": ["coding"], "reasoning": ["math"]}
LEARNING = DomainLearning(sizes=(3, 4), buckets=2048, characters=500, epochs=4, batch=32, learning_rate=0.05, decay=0.0)
NETWORK = RouterLearning(
    layers=(48, 24, 12, 1),
    first_tokens=64,
    epochs=40,
    patience=8,
    set_aside=0.15,
    batch=64,
    learning_rate=0.005,
    decay=0.01,
)
THRESHOLD = Threshold(default=0.8, most_cost=3.0, steps=51)


def dataset() -> Artifact:
    from blocks.rehearsal import world

    with store.create("dataset") as folder:
        for name, count, seed in (("train", 150, 0), ("validation", 30, 99)):
            rows = [e for domain in DOMAINS for e in world.examples(domain, "easy", "train", count, seed)]
            (folder.path / f"{name}.jsonl").write_text("".join(row.model_dump_json() + "\n" for row in rows))
    return folder.artifact


def mended(base: list[Answered], name: str) -> Artifact:
    """A modifier that is right where the base is wrong, and wrong on a fifth of what the base knew."""
    random = np.random.default_rng(7)
    return evaluation(
        [answered(a.prompt, a.domain, not a.correct or bool(random.random() > 0.2), [-0.1] * 12) for a in base], name
    )


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COGUMI_HOME", str(tmp_path_factory.mktemp("home")))
        classifier = learn_domains.fn(dataset(), LEARNING, 0)
        trained = evaluation(guesses(draw(DOMAINS, "train", 250, 1), 1), "train")
        tuning = guesses(draw(DOMAINS, "train", 200, 2), 2)
        known = {answer.prompt for answer in tuning}
        test = [a for a in guesses(draw(DOMAINS, "held_out", 140, 3), 3) if a.prompt not in known]
        network = learn_router.fn(classifier, [trained], NETWORK, 0)
        calibration = calibrate_router.fn(
            network, classifier, evaluation(tuning, "tuning"), evaluation(test, "test"), "platt"
        )
        modifiers = [{name: mended(answers, f"{name}{len(answers)}") for name in COVERS} for answers in (tuning, test)]
        args = (
            classifier,
            network,
            calibration,
            COVERS,
            evaluation(tuning, "tuning"),
            modifiers[0],
            evaluation(test, "test"),
            modifiers[1],
            THRESHOLD,
            2000,
            0,
        )
        router = assemble.fn(*args)
        return {"classifier": classifier, "network": network, "router": router, "test": test, "args": args}


def test_the_router_tells_right_from_wrong_answers_better_than_the_mean_log_probability(
    parts: dict[str, object],
) -> None:
    router, test = Router.load(store.open(parts["router"])), parts["test"]  # type: ignore[arg-type]
    right = [answer.correct for answer in test]  # type: ignore[attr-defined]
    learned = auroc([router.confidence(a.prompt, a.logprobs) for a in test], right)  # type: ignore[attr-defined]
    perplexity = auroc([float(np.exp(np.mean(a.logprobs))) for a in test], right)  # type: ignore[attr-defined]
    ideal = auroc([float(np.exp(min(a.logprobs))) for a in test], right)  # type: ignore[attr-defined]
    assert perplexity + 0.02 < learned <= ideal + 0.02
    assert learned > ideal - 0.06


def test_the_report_holds_against_decisions_one_by_one(parts: dict[str, object]) -> None:
    router, test = Router.load(store.open(parts["router"])), parts["test"]  # type: ignore[arg-type]
    report = routing_report.fn(parts["router"])  # type: ignore[arg-type]
    other = {a.question: a for a in read_answers(parts["args"][7]["code"])}  # type: ignore[index]
    decisions = [router.decide(a.prompt, a.logprobs) for a in test]  # type: ignore[attr-defined]
    right = [(a if d.choice == "base" else other[a.question]).correct for a, d in zip(test, decisions, strict=True)]  # type: ignore[call-overload]
    assert report.routed == pytest.approx(np.mean(right))
    assert report.base == pytest.approx(np.mean([a.correct for a in test]))  # type: ignore[attr-defined]
    assert report.difference.low > 0
    assert report.over_random.low > 0
    assert report.base < report.routed < report.oracle
    assert report.recall_mendable is not None
    assert report.recall_mendable > report.share_routed
    assert report.domain_accuracy > 0.97
    assert {d.choice for d in decisions} == {"base", "code", "reasoning"}
    assert all(d.choice == "base" for a, d in zip(test, decisions, strict=True) if d.domain in ("reading", "tool_use"))  # type: ignore[call-overload]
    written = json.loads((store.open(parts["router"]) / "report.json").read_text())  # type: ignore[arg-type]
    assert len(written["test"]["curve"]) == THRESHOLD.steps


def test_calibrated_confidences_mean_what_they_say(parts: dict[str, object]) -> None:
    report = routing_report.fn(parts["router"])  # type: ignore[arg-type]
    assert report.ece_after < 0.1
    assert report.brier_after < 0.2  # 0.25 says nothing; a chance that is known exactly leaves 0.16


def test_numpy_and_torch_agree(parts: dict[str, object]) -> None:
    network = Network.read(store.open(parts["network"]), "network")  # type: ignore[arg-type]
    modules: list[torch.nn.Module] = []
    for weight, bias in network.layers:
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
        linear.weight.data, linear.bias.data = torch.from_numpy(weight), torch.from_numpy(bias)
        modules += [linear, torch.nn.ReLU()]
    model = torch.nn.Sequential(*modules[:-1])
    vectors = np.random.default_rng(0).normal(size=(20, len(network.mean))).astype(np.float32)
    wanted = (
        model((torch.from_numpy(vectors) - torch.from_numpy(network.mean)) / torch.from_numpy(network.deviation))[:, 0]
        .detach()
        .numpy()
    )
    assert [network.logit(vector) for vector in vectors] == pytest.approx(wanted, abs=1e-4)


def test_the_same_inputs_make_the_same_router(parts: dict[str, object]) -> None:
    args = parts["args"]
    assert assemble.fn(*args).digest == parts["router"].digest  # type: ignore[misc, attr-defined]
    again = learn_router.fn(args[0], [evaluation(guesses(draw(DOMAINS, "train", 250, 1), 1), "train")], NETWORK, 0)  # type: ignore[index]
    assert again.digest == parts["network"].digest  # type: ignore[attr-defined]


def test_decisions_say_why(parts: dict[str, object]) -> None:
    router = Router.load(store.open(parts["router"]))  # type: ignore[arg-type]
    coding = [prompt for prompt, *_ in draw(["coding"], "held_out", 40, 5)]
    decisions = [
        router.decide(prompt, logprobs) for prompt in coding for logprobs in ([-0.001] * 10, [-0.001] * 9 + [-4.0])
    ]
    for sure, unsure in zip(decisions[::2], decisions[1::2], strict=True):
        assert sure.confidence > unsure.confidence
    for decision in decisions:
        assert decision.domain == "coding"
        assert decision.choice == ("base" if decision.confidence >= decision.threshold else "code")
        assert ("code covers coding" in decision.reason) == (decision.choice == "code")
    assert {decision.choice for decision in decisions} == {"base", "code"}
    assert router.decide("", []).choice in ("base", "code", "reasoning")


def test_serving_needs_neither_torch_nor_prefect() -> None:
    code = "import sys, tasks.routing.decide; assert not {'torch', 'prefect', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_a_prompt_goes_to_the_most_probable_owner_not_the_most_probable_domain(parts: dict[str, object]) -> None:
    classifier = Router.load(store.open(parts["router"])).classifier  # type: ignore[arg-type]
    assert classifier.domains == ("coding", "math", "tool_use", "reading")
    chances = np.array([0.3, 0.05, 0.25, 0.4], dtype=np.float32)
    assert covering(classifier, chances, {"code": ["coding"], "x": ["math"]}) == ("base", "reading")
    assert covering(classifier, chances, {"code": ["coding", "tool_use"]}) == ("code", "coding")
    assert covering(classifier, chances, {}) == ("base", "reading")


def test_without_modifiers_the_base_answers_everything(parts: dict[str, object]) -> None:
    args = list(parts["args"])  # type: ignore[call-overload]
    args[3], args[5], args[7] = {}, {}, {}
    report = routing_report.fn(assemble.fn(*args))
    assert report.routed == report.base
    assert report.difference.mean == 0
    assert (report.cost, report.share_routed, report.recall_mendable) == (1.0, 0.0, None)


def test_a_modifier_that_has_not_answered_what_it_covers_is_refused(parts: dict[str, object]) -> None:
    args = list(parts["args"])  # type: ignore[call-overload]
    args[7] = {"code": evaluation([], "none"), "reasoning": args[7]["reasoning"]}
    with pytest.raises(BadInput, match="modifier code has no answer"):
        assemble.fn(*args)


def test_too_narrow_an_input_and_one_sided_answers_are_clear_errors(parts: dict[str, object]) -> None:
    narrow = NETWORK.model_copy(update={"layers": (narrowest(4) - 1, 1)})
    answers = guesses(draw(["math"], "train", 20, 1), 1)
    with pytest.raises(BadInput, match=r"layers begins with 34; .* takes 35"):
        learn_router.fn(parts["classifier"], [evaluation(answers)], narrow, 0)  # type: ignore[arg-type]
    right = [answer.model_copy(update={"correct": True}) for answer in answers]
    with pytest.raises(BadInput, match="right on 20 of 20"):
        learn_router.fn(parts["classifier"], [evaluation(right)], NETWORK, 0)  # type: ignore[arg-type]


def test_a_folder_without_a_router_and_one_of_another_version_are_clear_errors(
    parts: dict[str, object], tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=r"no readable router\.safetensors"):
        Router.load(tmp_path)
    router = Router.load(store.open(parts["router"]))  # type: ignore[arg-type]
    router.save(tmp_path)
    described = json.loads((tmp_path / "router.json").read_text())
    described["network"]["confidence"] = ["others"]
    (tmp_path / "router.json").write_text(json.dumps(described))
    with pytest.raises(BadInput, match="other confidence features"):
        Router.load(tmp_path)


def test_inputs_fill_the_width_exactly(parts: dict[str, object]) -> None:
    classifier = Router.load(store.open(parts["router"])).classifier  # type: ignore[arg-type]
    probabilities = classifier.probabilities("What is 2 plus 2?")
    for width in (narrowest(4), narrowest(4) + 50):
        assert inputs(
            prompt="What is 2 plus 2?",
            logprobs=[-0.1],
            probabilities=probabilities,
            classifier=classifier,
            first_tokens=64,
            width=width,
        ).shape == (width,)


def test_the_reason_shows_on_which_side_of_the_threshold_the_confidence_lies() -> None:
    assert [beside(sure, 0.99) for sure in (0.061, 0.98, 0.9899, 0.9899996, 0.99, 0.9904, 1.0)] == [
        "6%",
        "98%",
        "98.99%",
        "98.99996%",
        "99%",
        "99.04%",
        "100%",
    ]
