"""The model card of a release: what it is, what was measured, what it is not good for. Not here: the full report
(report.py)."""

import json
from typing import Any

from blocks import store
from blocks.records import Artifact
from configs.phases.release import Release
from tasks.evaluation.evaluate import Summary
from tasks.evaluation.ledger import percent
from tasks.release.contents import PACKED, Description


def card(
    release: Description, gains: list[dict[str, Any]], dataset: Artifact, routed: Summary, settings: Release
) -> str:
    """README.md of a release, in Markdown."""
    stats = json.loads((store.open(dataset) / "stats.json").read_text())
    rows = stats["rows"]
    left_out = [
        f"- Modifier {gain['modifier']} is not part of it: {gain['reason']}." for gain in gains if not gain["accepted"]
    ]
    lines = [
        f"# {release.title}",
        "",
        f"A student of {release.parameters:,} parameters with {len(release.modifiers)} modifiers and a router, built "
        f"from the profile `{release.profile}`.",
        f"Licence: {settings.license}.",
        "",
        "## Measured on held-out questions (exact match %, 95% interval)",
        "",
        f"{routed.questions} questions whose parameters training never saw; greedy decoding by {release.engine.named}, "
        "as it is served.",
        "",
        "| | exact match |",
        "|---|---|",
        f"| base alone | {percent(release.exact_match_base)} |",
        f"| routed | {percent(release.exact_match_routed)} |",
        f"| routed minus base, paired | {percent(release.routed_minus_base, sign='+')} |",
        *(
            f"| routed, {domain.replace('_', ' ')} | {percent(interval)} |"
            for domain, interval in routed.by_domain.items()
        ),
        "",
        "## Modifiers",
        "",
        "| modifier | domains | gain there, points |",
        "|---|---|---|",
        *(
            f"| {name} | {', '.join(part.domains)} | {percent(part.gain, sign='+')} |"
            for name, part in release.modifiers.items()
        ),
        *left_out,
        "",
        "## Trained on",
        "",
        f"{rows['train']} examples, mean score {stats['quality']['mean']:.2f} of 10, made by: "
        f"{', '.join(sorted({row['teacher_model'] for row in stats['teachers']}))}.",
        "",
        "## Limits",
        "",
        f"Conversations up to {release.context_tokens} tokens, answers up to {release.answer_tokens}.",
        "The figures hold for questions like those it was measured on and for this size only.",
        "It is wrong where the table says so, and says wrong things in the same voice as right ones. Do not use it "
        "where that harms anyone.",
        "",
        "## Files",
        "",
        f"{_base(release)} and `modifiers/*.gguf` load in llama.cpp; `router/` decides per question; `tokenizer/` is "
        "for Hugging Face; `release.json` describes all of it.",
        "",
    ]
    return "\n".join(lines)


def _base(release: Description) -> str:
    if release.base != PACKED:
        return f"`{release.base}`"
    return f"`{PACKED}/` (a GGUF file packed with zstd, which answering unpacks once and checks byte by byte)"
