"""A flow that does nothing, for workers of tests: as long as told, or at once with an error."""

import time

from prefect import flow


@flow
def idling(seconds: float) -> None:
    """Sleep; below zero, fail."""
    if seconds < 0:
        raise ValueError("told to fail")
    time.sleep(seconds)
