"""The plan of a profile: what every phase will ask, compute and leave, added up before anything is spent; and the
refusal of what cannot be.

Not here: the estimates of a phase (tasks/*/estimate.py), and showing a plan (plan_page.py).
"""

import os
import shutil
from collections.abc import Sequence
from decimal import Decimal

from blocks.estimates.calls import Calls, Estimate, together
from blocks.estimates.hardware import (
    DECODING_STEP_S,
    LLAMA_CPP_STEP_S,
    READING_UTILISATION,
    TRAINING_UTILISATION,
    VLLM_STEP_S,
    Device,
    device,
)
from blocks.models.architecture import of_student
from blocks.records import Record
from blocks.storage import places
from blocks.storage.home import home
from configs.errors import BadInput
from configs.phases.modifiers import coverage
from configs.schema import Profile
from flows.phases import LOCAL, PHASES, Phase
from tasks.compression.floor import BITS, SizeFloor, of, refuse_impossible
from tasks.evaluation.estimate import CHANGED, SWITCHED, half_width, needed, questions, uses_accelerator

CPU = "cpu"
START_S = 12.0  # Python, Prefect's server and the flows' imports, measured
STEP_S = 0.12  # Prefect's and the store's part of a step, measured


class Column(Calls):
    """What is added up. ``accelerator_s`` and ``cpu_s``: seconds there; ``wall_s``: both, one after the other, with the
    steps' overhead; bytes of memory are the most at once."""

    accelerator_s: float
    cpu_s: float
    wall_s: float
    accelerator_bytes: float
    cpu_bytes: float
    disk_bytes: float


class PhasePlan(Column):
    """One phase added up."""

    phase: str
    estimate: Estimate


class Plan(Record):
    """A profile's plan. ``floors``: the smallest packed size of every export; ``release_bytes``: what the release
    folder should come to."""

    profile: str
    overrides: tuple[str, ...]
    accelerator: str | None
    phases: tuple[PhasePlan, ...]
    all: Column
    cap_dollars: Decimal
    floors: tuple[SizeFloor, ...]
    release_bytes: float
    least_release_bytes: float
    held_out: dict[str, int]
    interval: float
    notes: tuple[str, ...]
    assumptions: tuple[str, ...]


def plan(profile: Profile, overrides: list[str], accelerator: str) -> Plan:
    """Estimate every phase and refuse what cannot be.

    Raises:
        BadInput: a target that no run can reach, in one line: held-out questions, gates, size, budget, memory or disk.
    """
    held_out = questions(profile.evaluation)
    _refuse_gates(profile, sum(held_out.values()))
    model = of_student(profile.training.student)
    floors = refuse_impossible(of(model), profile.compression)
    gguf = profile.compression.gguf
    least = model.parameters * min(BITS[gguf.served], BITS[gguf.fallback]) / 8
    if least / 2**20 > profile.release.size_limit_mib:
        raise BadInput(
            f"release.size_limit_mib {profile.release.size_limit_mib:g} cannot be reached: "
            f"{model.parameters / 1e6:,.1f} million parameters in "
            f"{gguf.served} alone are {least / 2**20:,.1f} MiB; raise the limit or serve a smaller "
            "mixture"
        )
    named = device(accelerator)
    on = named if _uses_accelerator(profile) else None
    phases = tuple(_phase(one, one.estimate(profile, model, on)) for one in PHASES)
    made = Plan(
        profile=profile.name,
        overrides=tuple(overrides),
        accelerator=on.name if on else None,
        phases=phases,
        all=_all(phases),
        cap_dollars=profile.teachers.cap_dollars,
        floors=tuple(floors),
        release_bytes=phases[-1].disk_bytes,
        least_release_bytes=least,
        held_out=held_out,
        interval=half_width(sum(held_out.values()), CHANGED),
        notes=(),
        assumptions=(*(line for phase in phases for line in phase.estimate.assumptions), *_machine(on)),
    )
    _refuse_budget(made)
    _refuse_memory(made, on, local=all(pool == LOCAL for pool in profile.pools.model_dump().values()))
    return made.model_copy(update={"notes": (*_notes(made), *_rehearsed(profile), *_blocks(profile))})


def _phase(phase: Phase, one: Estimate) -> PhasePlan:
    there, here = [work for work in one.work if work.on != CPU], [work for work in one.work if work.on == CPU]
    on_device, on_cpu = sum(work.seconds for work in there), sum(work.seconds for work in here)
    return PhasePlan(
        phase=phase.name,
        **together(one.asked).model_dump(),
        accelerator_s=on_device,
        cpu_s=on_cpu,
        wall_s=on_device + on_cpu + phase.steps * STEP_S,
        accelerator_bytes=max((work.memory_bytes for work in there), default=0.0),
        cpu_bytes=max((work.memory_bytes for work in here), default=0.0),
        disk_bytes=sum(work.disk_bytes for work in one.work),
        estimate=one,
    )


def _all(phases: Sequence[PhasePlan]) -> Column:
    """The phases together, one after the other, and the start of it all."""
    most = {"accelerator_bytes", "cpu_bytes"}
    added = {
        name: (max if name in most else sum)(getattr(phase, name) for phase in phases) for name in Column.model_fields
    }
    return Column.model_validate(added | {"wall_s": START_S + added["wall_s"]})


def _refuse_gates(profile: Profile, count: int) -> None:
    """Held-out questions too few for a gate to be passed other than by luck."""
    cases = [
        ("evaluation", "training.minimum_gain", count, CHANGED, profile.training.minimum_gain),
        ("evaluation", "routing.tolerance", count, SWITCHED, -profile.routing.tolerance),
    ]
    calibration = questions(profile.evaluation, "calibration")
    for modifier in profile.modifiers.each:
        mine = sum(calibration.get(domain, 0) for domain in coverage(modifier.name).domains)
        if not mine:
            raise BadInput(
                f"evaluation has no calibration question in the domains of modifier {modifier.name} "
                f"({', '.join(coverage(modifier.name).domains)}); add some or leave it out"
            )
        cases.append(
            (
                f"modifier {modifier.name}",
                "modifiers.acceptance.minimum_gain",
                mine,
                CHANGED,
                profile.modifiers.acceptance.minimum_gain,
            )
        )
    for what, setting, found, changed, least in cases:
        if changed - half_width(found, changed) <= least:
            raise BadInput(
                f"{what}: {found} held-out questions cannot show {setting}: if {changed:.0%} of the verdicts change, "
                "all for the better, the 95% interval is still "
                f"±{100 * half_width(found, changed):.1f} points; "
                + (
                    f"{needed(changed - least, changed) + 1} questions are needed"
                    if least < changed
                    else "lower the threshold"
                )
            )


def _refuse_budget(made: Plan) -> None:
    least = made.all.least_dollars
    if least > made.cap_dollars:
        raise BadInput(
            f"teachers.cap_dollars {made.cap_dollars} cannot be enough: the calls cost at least ${least:,.2f} "
            f"(expected ${made.all.dollars:,.2f}); "
            "raise the cap or ask for fewer examples"
        )


def _refuse_memory(made: Plan, on: Device | None, *, local: bool) -> None:
    for phase in made.phases:
        dearest = max(phase.estimate.work, key=lambda work: work.memory_bytes if work.on != CPU else 0)
        if on and phase.accelerator_bytes > on.memory_bytes:
            raise BadInput(
                f"phase {phase.phase}: {dearest.step} needs about {phase.accelerator_bytes / 1e9:.0f} GB, the "
                f"{on.name} has {on.memory_bytes / 1e9:.0f} GB; "
                "name another with --gpu, quantise the base (nf4), or lower batch or max_length"
            )
    if not local:
        return
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    held = max(made.phases, key=lambda phase: phase.cpu_bytes)
    if held.cpu_bytes > memory:
        raise BadInput(
            f"phase {held.phase} needs about {held.cpu_bytes / 2**30:.1f} GiB of memory, and this machine has "
            f"{memory / 2**30:.1f} GiB; run it on another pool or lower its batch"
        )
    free = shutil.disk_usage(home()).free
    if "://" not in places.location() and made.all.disk_bytes > free:
        raise BadInput(
            f"the run leaves about {made.all.disk_bytes / 2**30:.1f} GiB in {places.location()}, and "
            f"{free / 2**30:.1f} GiB are free; set COGUMI_STORE to a larger disk"
        )


def _notes(made: Plan) -> list[str]:
    """What is possible and still worth knowing."""
    found = []
    if made.all.dollars > made.cap_dollars:
        found.append(
            f"the expected ${made.all.dollars:,.2f} are more than teachers.cap_dollars {made.cap_dollars}: the run "
            "will stop there with everything kept"
        )
    elif made.all.most_dollars > made.cap_dollars:
        found.append(f"teachers.cap_dollars {made.cap_dollars} bounds the worst case of ${made.all.most_dollars:,.2f}")
    answering = {phase.phase: _by_llama_cpp_s(phase) for phase in made.phases}
    slowest = max(answering, key=lambda name: answering[name])
    if made.accelerator and answering[slowest] > 4 * 3600:
        found.append(
            f"phase {slowest} waits {answering[slowest] / 3600:,.0f} hours for the CPU: llama.cpp answers its "
            "questions without the accelerator; evaluation.gpu_layers=-1 (with a build for it), fewer questions or "
            "more threads help"
        )
    return found


def _by_llama_cpp_s(phase: PhasePlan) -> float:
    """Seconds in which llama.cpp answers on the CPU."""
    return sum(work.seconds for work in phase.estimate.work if work.on == CPU and "llama.cpp" in work.step)


def _rehearsed(profile: Profile) -> list[str]:
    """Where no teacher is paid, the dollars are part of the rehearsal."""
    paid = any(model.provider != "rehearsal" for model in profile.teachers.models.values())
    return [] if paid else ["its teachers are the rehearsal's: their dollars are counted, and nothing is paid"]


def _blocks(profile: Profile) -> list[str]:
    """A plan asks no server: what a credentials block may say is not known."""
    named = [
        f"{name} (block {model.block})" for name, model in profile.teachers.models.items() if model.block is not None
    ]
    return [f"prices of {', '.join(named)} are the profile's; the block may name others"] if named else []


def _uses_accelerator(profile: Profile) -> bool:
    return uses_accelerator(profile.evaluation) or "cuda" in {
        profile.training.fine_tuning.device,
        profile.compression.recovery.device,
        *(one.lora.device for one in profile.modifiers.each),
    }


def _machine(on: Device | None) -> list[str]:
    """What was assumed of the hardware."""
    found = [
        "operations a token: 4·N with a frozen base, 6·N where all weights learn, 2·N more with checkpointing, 2·N to "
        "answer"
    ]
    if on:
        found.append(
            f"{on.name}: {on.flops / 1e12:.0f} bf16 TFLOP/s at {TRAINING_UTILISATION:.0%}, {on.bandwidth / 1e12:.2f} "
            f"TB/s at {READING_UTILISATION:.0%}, "
            f"at least {1000 * DECODING_STEP_S:.0f} ms per decoded token by transformers, "
            f"{1000 * LLAMA_CPP_STEP_S:.0f} by llama.cpp and {1000 * VLLM_STEP_S:.0f} by vLLM, of all slots at once"
        )
    return [
        *found,
        "CPU: rates measured with the nano student on two cores that have bfloat16 (blocks/estimates/hardware.py; "
        "without it training takes "
        "twice as long)",
    ]
