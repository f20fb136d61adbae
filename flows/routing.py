"""The routing phase: domain classifier → confidence network → calibration → threshold → the routed system on the test
questions → gate."""

from blocks.records import Artifact, GateCheck, GateReport, Record
from blocks.teachers.block import with_blocks
from flows.modifiers import Modified
from flows.parameters import Chosen, Stored
from flows.phase import phase
from tasks.evaluation.evaluate import evaluate
from tasks.evaluation.gates import gate
from tasks.modifiers.questions import fresh_questions
from tasks.routing.assemble import RoutingReport, assemble, routing_report
from tasks.routing.calibrate import calibrate_router
from tasks.routing.domains import learn_domains
from tasks.routing.route import covered_questions, route
from tasks.routing.router import learn_router
from tasks.routing.show import show_routing


class Routed(Record):
    """The router, its report on the test questions, the routed system's answers to them, the base's, and the gate that
    was passed."""

    router: Artifact
    report: RoutingReport
    evaluation: Artifact
    base: Artifact
    gates: tuple[GateReport, ...]


@phase
def routing(gguf: Stored, modified: Modified, dataset: Stored, questions: Stored, profile: Chosen) -> Routed:
    """Learn when a modifier should answer in place of the base ``gguf``, and judge it on the test ``questions``.

    Args:
        gguf: digest of the student as llama.cpp serves it (kind gguf)
        modified: what the modifiers phase returned: its result in JSON
        dataset: digest of the dataset (kind dataset)
        questions: digest of the held-out questions (kind questions); they only measure
        profile: what to build: a profile's name (nano, llama-1b, llama-8b), the path of a YAML file, or the whole
            profile
    """
    settings, asking, seed, resamples = profile.routing, profile.modifiers, profile.seed, profile.evaluation.resamples
    teachers = with_blocks(profile.teachers)
    accepted = {modifier.name: modifier for modifier in modified.accepted}
    covers: dict[str, list[str]] = {name: list(modifier.domains) for name, modifier in accepted.items()}
    classifier = learn_domains(dataset, settings.domains, seed)
    base = evaluate(gguf, questions, profile.evaluation)
    answered = {
        name: evaluate(gguf, covered_questions(classifier, questions, name, covers), profile.evaluation, modifier.gguf)
        for name, modifier in accepted.items()
    }
    trained_on = [modifier.tested for modifier in modified.modifiers]
    for rest in asking.uncovered():
        known = [dataset, questions, modified.calibration]
        asked = fresh_questions(
            avoid=known,
            coverages=[rest],
            count=settings.questions,
            hard_share=asking.hard_share,
            source=asking.source,
            teachers=teachers.only(*asking.writers()),
            seed=seed,
        )
        trained_on.append(evaluate(gguf, asked, profile.evaluation))
    network = learn_router(classifier, trained_on, settings.router, seed)
    calibration = calibrate_router(network, classifier, modified.base, base, settings.calibration)
    tuning = {name: modifier.evaluation for name, modifier in accepted.items()}
    router = assemble(
        classifier=classifier,
        network=network,
        calibration=calibration,
        covers=covers,
        tuning=modified.base,
        tuning_modifiers=tuning,
        test=base,
        test_modifiers=answered,
        settings=settings.threshold,
        resamples=resamples,
        seed=seed,
    )
    report = routing_report(router)
    show_routing(router)
    passed = gate(
        "routing",
        [
            GateCheck(
                name="routed minus base exact match, lower end",
                value=report.difference.low,
                rule=">=",
                threshold=-settings.tolerance,
            )
        ],
    )
    return Routed(
        router=router,
        report=report,
        evaluation=route(router, base, answered, profile.evaluation.max_new_tokens),
        base=base,
        gates=(passed,),
    )
