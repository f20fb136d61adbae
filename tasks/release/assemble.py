"""The release folder: base, modifiers, router, tokenizer, card, release.json. Everything that answering needs and
nothing else.

Not here: what deserves to be in it (gates in the flow), making it current (current.py).
"""

import shutil
from pathlib import Path
from typing import Any

from blocks import store
from blocks.engines.description import EngineDescription
from blocks.models.template import Template
from blocks.records import Artifact, Interval
from configs.phases.release import Release
from tasks.evaluation.evaluate import read_answers, read_summary
from tasks.evaluation.statistics import paired_difference
from tasks.release import contents
from tasks.release.card import card
from tasks.step import step

_PACKED_FILES = ("packing.json", "0.zst")
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")


@step(version=2)  # 2: release.json names the engine, the base may be packed
def assemble(
    profile: str,
    model: Artifact,
    base: Artifact,
    packed: Artifact | None,
    engine: EngineDescription,
    modifiers: dict[str, Artifact],
    gains: list[dict[str, Any]],
    router: Artifact,
    dataset: Artifact,
    evaluated: Artifact,
    routed: Artifact,
    parameters: int,
    settings: Release,
    resamples: int,
    seed: int,
) -> Artifact:
    """Put a release together.

    Args:
        profile: name of the profile it was built from.
        model: the student in Hugging Face's format; its tokenizer files are taken along.
        base: GGUF of the student.
        packed: the same packed with zstd (kind "packed"), which then ships in its place; None ships the GGUF.
        engine: what ``evaluated`` and ``routed`` were answered with.
        modifiers: accepted GGUF adapters by name.
        gains: the gain report of every modifier, accepted or not.
        router: kind "router".
        dataset: for the card.
        evaluated, routed: evaluations of the base alone and of the routed system, on the same questions.
        parameters: of the student.
        settings: limits and titles.
        resamples, seed: of the bootstrap.

    Returns:
        Artifact of kind "release".
    """
    accepted = [gain for gain in gains if gain["modifier"] in modifiers]
    before, after = read_answers(evaluated), read_answers(routed)
    template = Template.of(store.open(model))
    described = contents.Description(
        title=settings.title,
        profile=profile,
        context_tokens=settings.context_tokens,
        answer_tokens=settings.answer_tokens,
        parameters=parameters,
        modifiers={
            gain["modifier"]: contents.Part(
                path=f"modifiers/{gain['modifier']}.gguf",
                domains=tuple(gain["domains"]),
                gain=Interval.model_validate(gain["inside"]),
            )
            for gain in accepted
        },
        exact_match_base=read_summary(evaluated).exact_match,
        exact_match_routed=read_summary(routed).exact_match,
        routed_minus_base=paired_difference(
            [one.correct for one in before], [one.correct for one in after], resamples=resamples, seed=seed
        ),
        log=settings.log,
        engine=engine.model_copy(
            update={
                "template": template.name,
                "stop": template.stops,
                "scales": dict.fromkeys((one["modifier"] for one in accepted), 1.0),
            }
        ),
        base="base" if packed else "base.gguf",
    )
    parents = [model, base, *([packed] if packed else []), *modifiers.values(), router, dataset, evaluated, routed]
    about = {"profile": profile, **settings.identity(), "resamples": resamples, "seed": seed}
    with store.create("release", parents=parents, settings=about) as folder:
        if packed is None:
            _place(store.open(base) / "model.gguf", folder.path / contents.BASE)
        else:
            for path in (store.open(packed) / name for name in (*_PACKED_FILES, "dictionary.zst")):
                if path.name in _PACKED_FILES or path.exists():
                    _place(path, folder.path / contents.PACKED / path.name)
        for name, part in described.modifiers.items():
            _place(store.open(modifiers[name]) / "adapter.gguf", folder.path / part.path)
        for name in ("router.safetensors", "router.json"):
            _place(store.open(router) / name, folder.path / contents.ROUTER / name)
        for path in (store.open(model) / name for name in _TOKENIZER_FILES):
            if path.exists():
                _place(path, folder.path / contents.TOKENIZER / path.name)
        (folder.path / contents.DESCRIPTION).write_text(described.model_dump_json(indent=1) + "\n", encoding="utf-8")
        (folder.path / contents.CARD).write_text(
            card(described, gains, dataset, read_summary(routed), settings), encoding="utf-8"
        )
        folder.metrics |= {
            "exact_match_base": described.exact_match_base.mean,
            "exact_match_routed": described.exact_match_routed.mean,
        }
        folder.metrics["mib"] = sum(path.stat().st_size for path in folder.path.rglob("*") if path.is_file()) / 2**20
    return folder.artifact


def _place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
