"""The base of every settings model: strict, frozen, complete, with a digest of what changes the output.

Settings have no defaults: a profile is complete and readable on its own.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal, Self, get_args, get_origin

from annotated_types import Le, Lt
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

SECRET = "secret"
MOST = 10**12  # of any number whose field says no other bound: beyond it sums and shapes overflow somewhere
LEAST = 1e-15  # the smallest number that is not 0: below it a quotient overflows somewhere
MOST_DOLLARS = 10**9  # of any amount
PLACES = 12  # decimal ones of an amount in dollars


def setting(description: str, **constraints: Any) -> Any:
    """A field that changes what a step produces. ``description`` gives meaning, unit and source."""
    return Field(description=description, **constraints)


def later_setting(description: str, before: Any, **constraints: Any) -> Any:
    """A :func:`setting` that came after there were results. ``before`` is the identity at which everything is as it was
    then; at it the field is no part of the identity, and those results still count."""
    return Field(description=description, json_schema_extra={"before": before}, **constraints)


def runtime(description: str, **constraints: Any) -> Any:
    """A field that changes how a step runs (threads, timeouts, caps), never what it produces: not in the cache key."""
    return Field(description=description, json_schema_extra={"runtime": True}, **constraints)


def dollars(description: str, **constraints: Any) -> Any:
    """A field of money (or a share of it): exact, finite, not negative, and within what sums can hold."""
    return runtime(description, **{"ge": 0, "le": MOST_DOLLARS, "decimal_places": PLACES} | constraints)


def secret(message: str) -> PydanticCustomError:
    """The error of a value that nobody shall see: what is wrong with it, never the value."""
    return PydanticCustomError(SECRET, "{message}", {"message": message})


class Settings(BaseModel):
    """Unknown fields are errors; instances do not change; every number is finite and within bounds."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _no_truth_value_for_a_number(cls, found: Any) -> Any:
        """In YAML ``yes``, ``on`` and ``true`` are one value, which Pydantic would take for the number 1."""
        for name, info in cls.model_fields.items() if isinstance(found, dict) else ():
            kinds = set(_kinds(info.annotation))
            numbers = kinds & {int, float, Decimal} and kinds <= {int, float, Decimal, str, type(None)}
            if (
                numbers
                and (truth := next((one for one in _within(found.get(name)) if isinstance(one, bool)), None))
                is not None
            ):
                raise ValueError(f"{name} is {str(truth).lower()}; write a number")
        return found

    @model_validator(mode="after")
    def _within_bounds(self) -> Self:
        for name, info in type(self).model_fields.items():
            bounded = any(isinstance(one, Le | Lt) for one in info.metadata)
            for number in _numbers(getattr(self, name)):
                if not math.isfinite(number):
                    raise ValueError(f"{name} is {number}; write a finite number")
                size = abs(float(number))
                if size > MOST and not bounded:
                    raise ValueError(f"{name} is beyond {MOST:.0e}; write a smaller number")
                if 0 < size < LEAST:
                    raise ValueError(f"{name} is nearer to 0 than {LEAST:.0e}; write 0 or a larger number")
        return self

    def identity(self) -> dict[str, Any]:
        """The settings as plain JSON data, without runtime fields, at every depth."""
        return {
            name: _plain(getattr(self, name))
            for name, info in type(self).model_fields.items()
            if not _is_runtime(info.json_schema_extra) and not _as_before(info.json_schema_extra, getattr(self, name))
        }

    def digest(self) -> str:
        """SHA-256 (hex) of :meth:`identity`."""
        return hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode()).hexdigest()


def _numbers(value: Any) -> Iterator[float | Decimal]:
    """The numbers of a field's own value; settings within it look after their own."""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _numbers(item)


def _within(value: Any) -> Iterator[Any]:
    """A value's own parts, at every depth."""
    if isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _within(item)
    else:
        yield value


def _kinds(annotation: Any) -> Iterator[Any]:
    """The types of the plain values that a field holds."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        yield from map(type, inner)
    elif not inner:
        yield annotation
    else:
        for one in inner[:1] if origin is Annotated else inner:
            if one is not Ellipsis:
                yield from _kinds(one)


def _is_runtime(extra: Any) -> bool:
    return isinstance(extra, dict) and bool(extra.get("runtime"))


def _as_before(extra: Any, value: Any) -> bool:
    return isinstance(extra, dict) and "before" in extra and extra["before"] == _plain(value)


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
