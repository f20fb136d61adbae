"""The nightly regeneration: what was served → which clusters moved → retrain → gate against the current release → promote.

Not here: the schedule (prefect.yaml), the work on a candidate (retraining.py).
"""

from typing import Annotated

from prefect import flow
from pydantic import Field

from blocks.records import Artifact, Record


class Night(Record):
    """How the night ended, and the release that is current now."""

    verdict: str
    release: Artifact


@flow(name="nightly", description="Read what was served, retrain what moved, and replace the release only by a surely better one.")
def nightly(
    profile: Annotated[str, Field(description="what the current release was built from: nano, llama-1b, llama-8b, or the path of a YAML file")] = "nano",
    overrides: Annotated[list[str], Field(description="settings that differ from the profile, each as a.b=value")] = [],  # noqa: B006 - the run form shows it; never changed
) -> Night:
    """Regenerate what moved since the last night."""
    raise NotImplementedError
