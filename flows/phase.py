"""``phase``: Prefect's ``flow`` whose result is kept in the artifact store, where the process that dispatched it finds it."""

import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from prefect import Flow, flow

from blocks.results import RESULTS

P = ParamSpec("P")
R = TypeVar("R")
logging.getLogger("cogumi").setLevel(logging.INFO)  # in a worker's process too, so that the UI's log has a line per step


def phase(function: Callable[P, R]) -> Flow[P, R]:
    """Make a function a phase, of its own name."""
    made: Flow[P, R] = flow(persist_result=True, result_serializer="json")(function)
    made.result_storage = RESULTS  # not by the constructor, which wants a block that is saved on a server
    return made
