"""The modifiers phase: fresh questions → the served student's failures → three-tier cascade → LoRA → GGUF → gain, per
modifier."""

from blocks.records import Artifact, Domain, Record
from blocks.teachers.block import with_blocks
from blocks.verdicts import Gain
from configs.phases.modifiers import coverage
from flows.parameters import Chosen, Stored
from flows.phase import phase
from tasks.compression.export.adapter_to_gguf import adapter_to_gguf
from tasks.evaluation.evaluate import evaluate
from tasks.evaluation.held_out import held_out
from tasks.modifiers.cascade import cascade
from tasks.modifiers.failures import failures
from tasks.modifiers.gain import gain
from tasks.modifiers.mixture import mixture
from tasks.modifiers.questions import fresh_questions
from tasks.modifiers.show import show_modifiers
from tasks.modifiers.spending import ANSWERS, QUESTIONS, show_modifiers_spending
from tasks.training.sft import sft


class Modifier(Record):
    """One modifier. ``tested``: the base's answers to its fresh questions; ``evaluation``: its own to the calibration
    questions; a modifier that is not ``accepted`` is no part of the release."""

    name: str
    domains: tuple[Domain, ...]
    description: str
    adapter: Artifact
    gguf: Artifact
    mended: Artifact
    tested: Artifact
    evaluation: Artifact
    gain: Gain
    accepted: bool


class Modified(Record):
    """Every modifier, the held-out calibration questions on which they were accepted, and the base's answers to
    these."""

    modifiers: tuple[Modifier, ...]
    calibration: Artifact
    base: Artifact

    @property
    def accepted(self) -> tuple[Modifier, ...]:
        """The modifiers of the release."""
        return tuple(modifier for modifier in self.modifiers if modifier.accepted)


@phase
def modifiers(model: Stored, gguf: Stored, dataset: Stored, questions: Stored, profile: Chosen) -> Modified:
    """Train the profile's modifiers on what the compressed student ``gguf`` fails; ``model`` is the Hugging Face model
    behind it. None of ``questions`` (the test set) is asked or learned.

    Args:
        model: digest of the compressed student in Hugging Face's layout (kind model)
        gguf: digest of the same student as llama.cpp serves it (kind gguf)
        dataset: digest of the dataset (kind dataset)
        questions: digest of the held-out questions (kind questions); none of them is learned
        profile: what to build: a profile's name (nano, llama-1b, llama-8b), the path of a YAML file, or the whole
            profile
    """
    settings, teachers, seed = profile.modifiers, with_blocks(profile.teachers), profile.seed
    calibration = held_out(profile.evaluation, seed, "calibration")
    base = evaluate(gguf, calibration, profile.evaluation)
    made: list[Modifier] = []
    paid: dict[str, Artifact] = {}
    for modifier in settings.each:
        name, covers, roles = modifier.name, coverage(modifier.name), settings.tiers(modifier.name)
        known = [dataset, questions, calibration]
        asked = fresh_questions(
            avoid=known,
            coverages=[covers],
            count=settings.questions,
            hard_share=settings.hard_share,
            source=settings.source,
            teachers=teachers.only(*settings.writers()),
            seed=seed,
        )
        tested = evaluate(gguf, asked, profile.evaluation)
        failed = failures(asked, tested)
        mended = cascade(
            name=name,
            failures=failed,
            coverage=covers,
            roles=roles,
            settings=settings.cascade,
            teachers=teachers.only(*roles),
            licenses=profile.data.answering.licenses,
        )
        paid |= {f"{name}: {QUESTIONS}": asked, f"{name}: {ANSWERS}": mended}
        show_modifiers_spending(paid, settings, teachers)
        lessons = mixture(
            mended=mended,
            failures=failed,
            dataset=dataset,
            domains=list(covers.domains),
            settings=settings.mixture,
            seed=seed,
        )
        adapter = sft(model, lessons, modifier.lora, seed)
        exported = adapter_to_gguf(adapter, model)
        evaluation = evaluate(gguf, calibration, profile.evaluation, exported)
        gained = gain(
            name=name,
            domains=list(covers.domains),
            base=base,
            adapted=evaluation,
            settings=settings.acceptance,
            resamples=profile.evaluation.resamples,
            seed=seed,
        )
        made.append(
            Modifier(
                name=name,
                domains=covers.domains,
                description=covers.description,
                adapter=adapter,
                gguf=exported,
                mended=mended,
                tested=tested,
                evaluation=evaluation,
                gain=gained,
                accepted=gained.accepted,
            )
        )
    show_modifiers([one.gain for one in made])
    return Modified(modifiers=tuple(made), calibration=calibration, base=base)
