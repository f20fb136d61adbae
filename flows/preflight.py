"""What later phases will need, looked at before the first begins: hours of work shall not end at a pool that was never
there.

Not here: settings (configs/), whether a worker is there (waiting.py says so, and waits), and what a phase checks when
it begins.
"""

import logging
from collections.abc import Sequence

from blocks.teachers.keys import unset
from configs.phases.training import GgufStudent, Local
from configs.schema import Profile
from flows.dispatch import compare_code, deployed
from flows.phases import LOCAL, Phase
from flows.spending import asked
from tasks.training.students.student import student as make_student

log = logging.getLogger("cogumi.preflight")


def preflight(phases: Sequence[Phase], profile: Profile) -> None:
    """Look for the pools and deployments of ``phases``, for the API keys of those that run in this process, and take a
    student of this machine in before teachers are paid. A missing key is only told: answers that the journal holds need
    none.

    Raises:
        BadInput: there is no such pool or deployment, the deployment is of another version of this code, or the student
            is none that every phase can work with.
    """
    here = [phase for phase in phases if phase.pool(profile) == LOCAL]
    for phase in phases:
        if phase not in here:
            name = f"{phase.name}/{phase.pool(profile)}"
            compare_code(name, deployed(name, phase.pool(profile)))  # its warning is given when the phase begins
    roles = {one.role for phase in here for one in asked(phase, profile) if one.most_calls > 0}
    for variable, teachers in unset(profile.teachers, roles).items():
        log.warning(
            "environment variable %s is not set: the run will stop where it has something new to ask of %s",
            variable,
            ", ".join(teachers),
        )
    student, awq = profile.training.student, profile.compression.awq
    if isinstance(student, Local | GgufStudent) and any(phase.name == "training" for phase in here):
        make_student(student, profile.seed, awq.group if awq is not None else None)  # training finds it in the cache
