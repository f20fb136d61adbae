"""Retraining: what moved → new lessons → one modifier each → router → candidate release → examination beside the
current one.

Not here: what moved, the gate and the promotion (nightly.py).
"""

from collections.abc import Mapping
from typing import Any

from blocks.records import Artifact, Domain, Record
from blocks.teachers.block import with_blocks
from blocks.verdicts import Gain
from configs.phases.modifiers import coverage
from configs.schema import Profile
from flows.parameters import Chosen, Stored
from flows.phase import phase
from tasks.compression.export.adapter_to_gguf import adapter_to_gguf
from tasks.compression.packing.zstd import pack
from tasks.evaluation.engine import served
from tasks.evaluation.evaluate import evaluate
from tasks.improvement.examine import Comparison, compare, examination
from tasks.improvement.join import join
from tasks.improvement.logged_questions import logged_questions
from tasks.improvement.release_parts import Member, Standing
from tasks.modifiers.cascade import cascade
from tasks.modifiers.failures import failures
from tasks.modifiers.gain import gain
from tasks.modifiers.mixture import mixture
from tasks.modifiers.questions import fresh_questions
from tasks.release.assemble import assemble
from tasks.routing.assemble import assemble as assemble_router
from tasks.routing.calibrate import calibrate_router
from tasks.routing.route import covered_questions, route
from tasks.routing.router import learn_router
from tasks.training.sft import sft


class Renewed(Record):
    """A modifier, trained again. ``tested``: the base's answers to the questions it learned from."""

    member: Member
    tested: Artifact
    gain: Gain


class Retrained(Record):
    """What the night made. Without an accepted modifier there is no candidate. ``before`` and ``after``: answers of
    current release and candidate to the examination's questions; ``made``: everything, for the account."""

    renewed: tuple[Renewed, ...]
    release: Artifact | None = None
    before: Artifact | None = None
    after: Artifact | None = None
    comparison: Comparison | None = None

    @property
    def made(self) -> list[Artifact]:
        """Every artifact at the end of a line."""
        ends = [artifact for one in self.renewed for artifact in (one.member.gguf, one.member.evaluation, one.tested)]
        return ends + [one for one in (self.release, self.before, self.after) if one is not None]


@phase
def retraining(
    current: Standing, observed: Stored, moved: dict[str, list[Domain]], parameters: int, night: int, profile: Chosen
) -> Retrained:
    """Make a candidate out of the ``current`` release with the modifiers of ``moved`` (name to domains) trained again,
    and examine both.

    Args:
        current: what the current release consists of, as the nightly run read it
        observed: digest of what was served since the last night (kind observed)
        moved: the modifiers to train again, each with the domains that moved
        parameters: how many parameters the student has
        night: the number of this night; it changes the random streams
        profile: what to build: a profile's name (nano, llama-1b, llama-8b), the path of a YAML file, or the whole
            profile
    """
    seed = profile.seed + 1000 * night
    renewed = tuple(
        _renew(name=name, domains=domains, current=current, observed=observed, seed=seed, profile=profile)
        for name, domains in moved.items()
    )
    accepted = {one.member.name: one.member for one in renewed if one.gain.accepted}
    if not accepted:
        return Retrained(renewed=renewed)
    before = {member.name: member for member in current.modifiers}
    after = before | accepted
    release, router = _candidate(after, renewed, current, parameters, profile)

    affected = [domain for name in accepted for domain in after[name].domains]
    rehearsal = profile.evaluation.rehearsal is not None
    seen = [current.calibration, current.test] if rehearsal else [current.calibration]
    asked = examination(
        affected=affected,
        settings=profile.nightly.examination,
        rehearsal=rehearsal,
        test=current.test,
        avoid=seen,
        seed=seed,
    )
    base = evaluate(current.gguf, asked, profile.evaluation)
    old = _routed(router=current.router, members=before, base=base, questions=asked, current=current, profile=profile)
    new = _routed(router=router, members=after, base=base, questions=asked, current=current, profile=profile)
    return Retrained(
        renewed=renewed,
        release=release,
        before=old,
        after=new,
        comparison=compare(old, new, affected, profile.evaluation.resamples, seed),
    )


def _renew(
    name: str, domains: list[Domain], current: Standing, observed: Artifact, seed: int, profile: Profile
) -> Renewed:
    """Fresh questions of the moved domains and the logged failures → the base's failures → cascade → lessons, old and
    new → LoRA → gain."""
    settings, teachers, covers = profile.modifiers, with_blocks(profile.teachers), coverage(name)
    roles = settings.tiers(name)
    logged = logged_questions(
        observed, list(domains), [current.test, current.calibration], profile.nightly.logged, seed
    )
    known = [current.dataset, current.test, current.calibration, *current.tested, logged]
    narrowed = covers.model_copy(update={"domains": tuple(domains)})
    asked = fresh_questions(
        avoid=known,
        coverages=[narrowed],
        count=profile.nightly.questions,
        hard_share=settings.hard_share,
        source=settings.source,
        teachers=teachers.only(*settings.writers()),
        seed=seed,
    )
    posed = join([asked, logged])
    tested = evaluate(current.gguf, posed, profile.evaluation)
    failed = failures(posed, tested)
    mended = cascade(
        name=name,
        failures=failed,
        coverage=covers,
        roles=roles,
        settings=settings.cascade,
        teachers=teachers.only(*roles),
        licenses=profile.data.answering.licenses,
    )
    earlier = [member for member in current.modifiers if member.name == name]
    mended, failed = (
        join([mended, *(member.mended for member in earlier)]),
        join([failed, *(member.failures for member in earlier)]),
    )
    lora = next(modifier.lora for modifier in settings.each if modifier.name == name)
    adapter = sft(
        current.model,
        mixture(
            mended=mended,
            failures=failed,
            dataset=current.dataset,
            domains=list(covers.domains),
            settings=settings.mixture,
            seed=seed,
        ),
        lora,
        seed,
    )
    exported = adapter_to_gguf(adapter, current.model)
    evaluation = evaluate(current.gguf, current.calibration, profile.evaluation, exported)
    gained = gain(
        name=name,
        domains=list(covers.domains),
        base=current.base_calibration,
        adapted=evaluation,
        settings=settings.acceptance,
        resamples=profile.evaluation.resamples,
        seed=profile.seed,
    )
    member = Member(
        name=name, domains=covers.domains, gguf=exported, evaluation=evaluation, mended=mended, failures=failed
    )
    return Renewed(member=member, tested=tested, gain=gained)


def _candidate(
    members: Mapping[str, Member], renewed: tuple[Renewed, ...], current: Standing, parameters: int, profile: Profile
) -> tuple[Artifact, Artifact]:
    """The release with these modifiers and a router that knows them, and the router."""
    settings, judged, resamples, seed = profile.routing, profile.evaluation, profile.evaluation.resamples, profile.seed
    network = learn_router(
        current.classifier, [*current.tested, *(one.tested for one in renewed)], settings.router, seed
    )
    calibration = calibrate_router(
        network, current.classifier, current.base_calibration, current.base_test, settings.calibration
    )
    covers = _covers(members)
    answered = _answered(members, current.test, current, profile)
    tuning = {name: member.evaluation for name, member in members.items()}
    router = assemble_router(
        classifier=current.classifier,
        network=network,
        calibration=calibration,
        covers=covers,
        tuning=current.base_calibration,
        tuning_modifiers=tuning,
        test=current.base_test,
        test_modifiers=answered,
        settings=settings.threshold,
        resamples=resamples,
        seed=seed,
    )
    routed = route(router, current.base_test, answered, judged.max_new_tokens)
    gains: list[dict[str, Any]] = [
        gain(
            name=name,
            domains=list(member.domains),
            base=current.base_calibration,
            adapted=member.evaluation,
            settings=profile.modifiers.acceptance,
            resamples=resamples,
            seed=seed,
        ).model_dump(mode="json")
        for name, member in members.items()
    ]
    adapters = {name: member.gguf for name, member in members.items()}
    release = assemble(
        profile=profile.name,
        model=current.model,
        base=current.gguf,
        packed=pack([current.gguf], profile.compression.packing) if profile.release.packed else None,
        engine=served(judged, profile.release.context_tokens),
        modifiers=adapters,
        gains=gains,
        router=router,
        dataset=current.dataset,
        evaluated=current.base_test,
        routed=routed,
        parameters=parameters,
        settings=profile.release,
        resamples=resamples,
        seed=seed,
    )
    return release, router


def _routed(
    router: Artifact,
    members: Mapping[str, Member],
    base: Artifact,
    questions: Artifact,
    current: Standing,
    profile: Profile,
) -> Artifact:
    """What a release with this router and these modifiers answers."""
    return route(router, base, _answered(members, questions, current, profile), profile.evaluation.max_new_tokens)


def _answered(
    members: Mapping[str, Member], questions: Artifact, current: Standing, profile: Profile
) -> dict[str, Artifact]:
    """Every modifier's answers to the questions that are its own."""
    covers = _covers(members)
    return {
        name: evaluate(
            current.gguf,
            covered_questions(current.classifier, questions, name, covers),
            profile.evaluation,
            member.gguf,
        )
        for name, member in members.items()
    }


def _covers(members: Mapping[str, Member]) -> dict[str, list[str]]:
    return {name: list(member.domains) for name, member in members.items()}
