"""The base of every settings model: strict, frozen, complete, with a digest of what changes the output.

Settings have no defaults: a profile is complete and readable on its own.
"""

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

SECRET = "secret"


def setting(description: str, **constraints: Any) -> Any:
    """A field that changes what a step produces. ``description`` gives meaning, unit and source."""
    return Field(description=description, **constraints)


def runtime(description: str, **constraints: Any) -> Any:
    """A field that changes how a step runs (threads, timeouts, caps), never what it produces: not in the cache key."""
    return Field(description=description, json_schema_extra={"runtime": True}, **constraints)


def secret(message: str) -> PydanticCustomError:
    """The error of a value that nobody shall see: what is wrong with it, never the value."""
    return PydanticCustomError(SECRET, "{message}", {"message": message})


class Settings(BaseModel):
    """Unknown fields are errors; instances do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    def identity(self) -> dict[str, Any]:
        """The settings as plain JSON data, without runtime fields, at every depth."""
        return {name: _plain(getattr(self, name)) for name, info in type(self).model_fields.items() if not _is_runtime(info.json_schema_extra)}

    def digest(self) -> str:
        """SHA-256 (hex) of :meth:`identity`."""
        return hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode()).hexdigest()


def _is_runtime(extra: Any) -> bool:
    return isinstance(extra, dict) and bool(extra.get("runtime"))


def _plain(value: Any) -> Any:
    if isinstance(value, Settings):
        return value.identity()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
