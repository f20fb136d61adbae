"""The release phase: folder → size gate → report → current."""

from blocks.records import Artifact, GateCheck, Record
from flows.compression import Compressed
from flows.modifiers import Modified
from flows.parameters import Chosen, Stored
from flows.phase import phase
from flows.routing import Routed
from flows.training import Trained
from tasks.evaluation.engine import served
from tasks.evaluation.gates import gate
from tasks.release.assemble import assemble
from tasks.release.publish import publish
from tasks.release.report import Sources, report


class Released(Record):
    """A release that is now the current one, and the report on it."""

    release: Artifact
    report: Artifact


@phase
def release(
    dataset: Stored,
    trained: Trained,
    compressed: Compressed,
    modified: Modified,
    routed: Routed,
    profile: Chosen,
    overrides: list[str],
) -> Released:
    """Put together what is served, check its size, describe it, and make it current.

    Args:
        dataset: digest of the dataset (kind dataset)
        trained: what the training phase returned: its result in JSON
        compressed: what the compression phase returned
        modified: what the modifiers phase returned
        routed: what the routing phase returned
        profile: what to build: a profile's name (nano, llama-1b, llama-8b), the path of a YAML file, or the whole
            profile
        overrides: settings that differ from the profile, for the report to say so, each as a.b=value
    """
    settings, resamples, seed = profile.release, profile.evaluation.resamples, profile.seed
    adapters = {modifier.name: modifier.gguf for modifier in modified.accepted}
    gains = [modifier.gain.model_dump(mode="json") for modifier in modified.modifiers]
    made = assemble(
        profile=profile.name,
        model=compressed.model,
        base=compressed.gguf,
        packed=compressed.packed if settings.packed else None,
        engine=served(profile.evaluation, settings.context_tokens),
        modifiers=adapters,
        gains=gains,
        router=routed.router,
        dataset=dataset,
        evaluated=routed.base,
        routed=routed.evaluation,
        parameters=compressed.parameters,
        settings=settings,
        resamples=resamples,
        seed=seed,
    )
    size = gate(
        "release",
        [
            GateCheck(
                name="size of the release, MiB", value=made.bytes / 2**20, rule="<=", threshold=settings.size_limit_mib
            )
        ],
    )
    models = {**trained.models, "compressed": routed.base, "routed": routed.evaluation}
    gates = [*trained.gates, *compressed.gates, *routed.gates, size]
    sources = Sources(
        dataset=dataset,
        curves=trained.curves,
        models=models,
        ledger=compressed.ledger,
        gains=gains,
        router=routed.router,
        release=made,
        gates=gates,
    )
    page = report(sources, profile.name, overrides, resamples, seed)
    publish(made, page, settings)
    return Released(release=made, report=page)
