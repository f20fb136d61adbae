"""``phase``: Prefect's ``flow`` whose result is kept in the artifact store, where the process that dispatched it finds
it, and whose history is kept in the journal that its profile names."""

import functools
import inspect
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from prefect import Flow, flow
from prefect.utilities.hashing import file_hash

from blocks.cores import share_cores
from blocks.journal import history
from blocks.storage.result_records import SERIALIZER
from blocks.storage.results import RESULTS
from configs.schema import Profile

P = ParamSpec("P")
R = TypeVar("R")
share_cores()  # in a worker's process torch is not loaded yet
logging.getLogger("cogumi").setLevel(
    logging.INFO
)  # in a worker's process too, so that the UI's log has a line per step


def phase(function: Callable[P, R]) -> Flow[P, R]:
    """Make a function a phase, of its own name."""

    @functools.wraps(function)
    def begun(*args: P.args, **kwargs: P.kwargs) -> R:
        for value in (*args, *kwargs.values()):
            if isinstance(value, Profile):
                history.keep_in(value.teachers.journal)
        return function(*args, **kwargs)

    version = file_hash(inspect.getfile(function))  # as Prefect would have it, of the phase's own file
    made: Flow[P, R] = flow(version=version, persist_result=True, result_serializer=SERIALIZER)(begun)
    made.result_storage = RESULTS  # not by the constructor, which wants a block that is saved on a server
    return made
