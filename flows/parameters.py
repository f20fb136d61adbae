"""Parameters of phases as a person can give them: an artifact by its digest, a profile by its name. Pipelines give them
whole.

Not here: what a phase does with them.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator

from blocks import store
from blocks.records import Artifact
from configs.schema import Profile, load


def _find(value: Any) -> Any:
    return store.find(value) if isinstance(value, str) else value


def _load(value: Any) -> Any:
    return load(value) if isinstance(value, str) else value


Stored = Annotated[Artifact, BeforeValidator(_find, json_schema_input_type=str | Artifact)]
"""An artifact; in a form also its digest, or the beginning of that."""

Chosen = Annotated[Profile, BeforeValidator(_load, json_schema_input_type=str | Profile)]
"""A profile; in a form also its name, or the path of a YAML file."""
