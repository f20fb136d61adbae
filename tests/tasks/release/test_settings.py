"""Every field of the release settings: on the card, in release.json, in how a release answers, and in what stays
listed."""

import json
from typing import Any

import numpy as np
import pytest

from blocks import store
from blocks.journal import served as served_log
from blocks.models.template import Message
from blocks.records import Artifact
from configs.errors import BadInput
from configs.phases.compression import Packing
from configs.phases.evaluation import Evaluation
from configs.phases.release import Release
from configs.phases.routing import DomainLearning, RouterLearning
from deployments.serving.recording import Recorder
from deployments.serving.responder import Responder
from tasks.compression.packing.zstd import pack
from tasks.evaluation.engine import served
from tasks.evaluation.evaluate import evaluate
from tasks.release.assemble import assemble
from tasks.release.contents import describe
from tasks.release.current import releases
from tasks.release.publish import publish
from tasks.routing import domains, router
from tasks.routing.decide import Router
from tests.tasks.evaluation.sayings import sayings
from tests.tasks.evaluation.settings import settings as evaluation
from tests.tasks.routing.answers import draw, guesses
from tests.tiny_llama import tiny

PACKING = Packing(level=3, dictionary_kb=0, byte_planes=True, threads=1)
ASKED = [Message(role="user", content="Say apple pear")]


def made(kind: str, **files: str) -> Artifact:
    with store.create(kind, settings={"files": files}) as folder:
        for name, content in files.items():
            (folder.path / name.replace("_dot_", ".")).write_text(content)
    return folder.artifact


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    """A student that repeats words, what it was judged on, a router without modifiers, and a dataset's statistics."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COGUMI_HOME", str(tmp_path_factory.mktemp("home")))
        prompts = draw(["math", "coding"], "train", 20, 0)
        learning = DomainLearning(
            sizes=(3,), buckets=64, characters=200, epochs=1, batch=32, learning_rate=0.05, decay=0.0
        )
        classifier = domains.fit([prompt for prompt, _ in prompts], [domain for _, domain in prompts], learning, 0)
        network = RouterLearning(
            layers=(48, 1),
            first_tokens=64,
            epochs=1,
            patience=1,
            set_aside=0.2,
            batch=32,
            learning_rate=0.01,
            decay=0.0,
        )
        answers = guesses(prompts, 1)
        fitted, _ = router.fit(
            router.all_inputs(answers, classifier, 64, 48), np.array([answer.correct for answer in answers]), network, 0
        )
        with store.create("router") as folder:
            Router(classifier=classifier, network=fitted, slope=1.0, intercept=0.0, threshold=0.5, modifiers={}).save(
                folder.path
            )
        stats = {
            "rows": {"train": 1, "validation": 0},
            "quality": {"mean": 8.0},
            "teachers": [{"teacher_model": "rehearsal-large"}],
        }
        judged = evaluate.fn(tiny().ggufs["F32"], sayings(), evaluation())
        return {
            "router": folder.artifact,
            "dataset": made("dataset", stats_dot_json=json.dumps(stats)),
            "evaluation": judged,
        }


def release(
    parts: dict[str, Artifact], profile: str = "nano", engine: Evaluation | None = None, **changes: Any
) -> Artifact:
    plain = {
        "title": "One",
        "license": "CC0-1.0",
        "size_limit_mib": 8,
        "context_tokens": 128,
        "answer_tokens": 16,
        "packed": False,
        "log": "full",
        "keep": 3,
    }
    chosen = Release.model_validate(plain | changes)
    return assemble.fn(
        profile=profile,
        model=tiny().model,
        base=tiny().ggufs["F32"],
        packed=pack.fn([tiny().ggufs["F32"]], PACKING) if chosen.packed else None,
        engine=served(engine or evaluation(), chosen.context_tokens),
        modifiers={},
        gains=[],
        router=parts["router"],
        dataset=parts["dataset"],
        evaluated=parts["evaluation"],
        routed=parts["evaluation"],
        parameters=1,
        settings=chosen,
        resamples=1000,
        seed=0,
    )


def card(made: Artifact) -> str:
    return (store.open(made) / "README.md").read_text()


def test_title_and_license_are_on_the_card(parts: dict[str, Artifact]) -> None:
    for title, license in (("One", "CC0-1.0"), ("Another", "MIT")):
        text = card(release(parts, title=title, license=license))
        assert text.startswith(f"# {title}\n")
        assert f"Licence: {license}.\n" in text


def test_the_profiles_name_is_on_the_card_and_in_the_description(parts: dict[str, Artifact]) -> None:
    for name in ("nano", "llama-8b"):
        made = release(parts, profile=name)
        assert f"the profile `{name}`" in card(made)
        assert describe(store.open(made)).profile == name


def test_answer_tokens_bound_an_answer(parts: dict[str, Artifact]) -> None:
    said = {}
    for answer_tokens in (2, 16):
        with Responder(store.open(release(parts, answer_tokens=answer_tokens)), threads=1) as responder:
            said[answer_tokens] = responder.reply(ASKED).text
    assert said[16] == "apple pear"
    assert said[16].startswith(said[2])
    assert len(said[2]) < len(said[16])


def test_context_tokens_bound_a_conversation(parts: dict[str, Artifact]) -> None:
    long = [Message(role="user", content="Say " + "apple pear " * 40)]
    with Responder(store.open(release(parts, context_tokens=200)), threads=1) as responder:
        assert responder.reply(long).text
    with Responder(store.open(release(parts, context_tokens=64)), threads=1) as responder:
        assert responder.reply(ASKED).text
        with pytest.raises(BadInput, match="64"):
            responder.reply(long)


@pytest.mark.parametrize(
    ("log", "lines", "kept"), [("full", 1, "Say apple pear"), ("numbers", 1, None), ("off", 0, None)]
)
def test_log_decides_what_is_written_down(parts: dict[str, Artifact], log: str, lines: int, kept: str | None) -> None:
    made = release(parts, log=log)
    with Responder(store.open(made), threads=1) as responder:
        Recorder(made, responder.description).answer(ASKED, responder.reply(ASKED))
    found = [line for line in served_log.read("", "9999") if isinstance(line, served_log.Served)]
    assert len(found) == lines
    assert all(line.prompt == kept for line in found)


@pytest.mark.parametrize("keep", [0, 2])
def test_keep_is_how_many_earlier_releases_stay_listed(keep: int) -> None:
    chosen = Release(
        title="t",
        license="l",
        size_limit_mib=1,
        context_tokens=64,
        answer_tokens=1,
        packed=False,
        log="off",
        keep=keep,
    )
    for number in range(4):
        publish.fn(made("release", README_dot_md=f"{number}"), made("report", shortfalls_dot_md=f"{number}"), chosen)
    assert len(releases().entries) == keep + 1
