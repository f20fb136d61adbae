"""The training phase: student → fine-tuning → gate → ANIL beside its control → choice → merge, with an evaluation after
each."""

from blocks.records import Artifact, GateCheck, GateReport, Record
from configs.phases.training import Scratch
from flows.parameters import Chosen, Stored
from flows.phase import phase
from tasks.evaluation.evaluate import evaluate
from tasks.evaluation.gates import gate
from tasks.training.choose import Choice, choose_adapter, gain
from tasks.training.merge import merge
from tasks.training.meta.adaptation import compare_adaptation
from tasks.training.meta.anil import anil, control
from tasks.training.sft import sft
from tasks.training.show import show_training
from tasks.training.students.student import student as make_student


class Trained(Record):
    """``base``: the student before fine-tuning; ``student``: with the chosen adapter merged. ``models``: evaluations in
    the order they were made; ``curves``: what holds each training's curve.json; ``adaptation``: ANIL against its
    control."""

    base: Artifact
    student: Artifact
    choice: Choice
    adaptation: Artifact
    models: dict[str, Artifact]
    curves: dict[str, Artifact]
    gates: tuple[GateReport, ...]


@phase
def training(dataset: Stored, questions: Stored, profile: Chosen) -> Trained:
    """Train the student on ``dataset``; ``questions`` (held out) only measure.

    Args:
        dataset: digest of the dataset (kind dataset)
        questions: digest of the held-out questions (kind questions); they only measure
        profile: what to build: a profile's name (nano, llama-1b, llama-8b), the path of a YAML file, or the whole
            profile
    """
    settings, judged, seed, resamples = profile.training, profile.evaluation, profile.seed, profile.evaluation.resamples
    lora, meta = settings.fine_tuning, settings.meta
    awq = profile.compression.awq
    base = make_student(settings.student, seed, awq.group if awq is not None else None)
    pretrained = evaluate(base, questions, judged)
    tuned = sft(base, dataset, lora, seed)
    fine_tuned = evaluate(base, questions, judged, tuned)
    gained = gain(pretrained, fine_tuned, resamples, seed)
    passed = gate(
        "fine-tuning",
        [
            GateCheck(
                name="exact match gained by fine-tuning, lower end",
                value=gained.low,
                rule=">",
                threshold=settings.minimum_gain,
            )
        ],
    )
    learned = anil(model=base, adapter=tuned, dataset=dataset, lora=lora, settings=meta, seed=seed)
    plain = control(
        model=base,
        adapter=tuned,
        dataset=dataset,
        lora=lora,
        settings=meta,
        rounds=int(learned.metrics["rounds"]),
        seed=seed,
    )
    adaptation = compare_adaptation(
        model=base,
        tuned=tuned,
        anil=learned,
        control=plain,
        dataset=dataset,
        lora=lora,
        settings=meta,
        seed=seed,
        resamples=resamples,
    )
    adapted = evaluate(base, questions, judged, learned)
    choice = choose_adapter(
        tuned=tuned,
        tuned_evaluation=fine_tuned,
        meta=learned,
        meta_evaluation=adapted,
        adaptation=adaptation,
        allowed_loss=settings.allowed_loss,
        resamples=resamples,
        seed=seed,
    )
    student = merge(base, choice.adapter, dataset, settings.merging)
    models = {"pretrained": pretrained, "fine-tuned": fine_tuned, "ANIL": adapted}
    curves = {"fine-tuning": tuned, "ANIL": learned}
    if isinstance(settings.student, Scratch):  # an adopted student brings no curve
        curves = {"pretraining": base, **curves}
    show_training(models, curves, choice)
    return Trained(
        base=base, student=student, choice=choice, adaptation=adaptation, models=models, curves=curves, gates=(passed,)
    )
