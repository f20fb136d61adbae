"""The JSON object in a teacher's reply, as a model. Fences and talk around it are allowed; reasoning is no part of it.

The rule: of the objects that stand by themselves the last one that fits counts, since a draft comes before what is
meant; so a reply that goes on with examples of the same shape is read by its last example. An object within another is
never taken for an answer, also where the outer one does not parse or breaks off, and neither is one within reasoning.
Time is linear in the text. Not here: asking (ask.py).
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from blocks.models import reasoning
from blocks.teachers.replies.chat import clean

M = TypeVar("M", bound=BaseModel)

_START = re.compile(r'\{(?=\s*+["}])')
_INSIDE = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\Z)|[{}]', re.DOTALL)
_HELD = re.compile('\\{"\0(\\d+)"\\}')
_MOST = 1000  # objects of a reply that are tried
_LONGEST_NUMBER = 1000  # digits; longer ones stay text, which Python reads faster
_SCORE = re.compile(r"\s*([+-]?[0-9]+(?:[.,][0-9]+)?)\s*(?:(?:/|out of|of)\s*([0-9]+))?\s*", re.IGNORECASE)


class Fields(BaseModel):
    """A reply whose fields may be written in any case, within one object more, or among others that nobody asked
    for."""

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _as_asked_for(cls, found: Any) -> Any:
        if not isinstance(found, dict):
            return found
        folded = _folded(found) | {name: value for name, value in found.items() if name in cls.model_fields}
        if (
            not folded.keys() & cls.model_fields.keys()
            and len(found) == 1
            and isinstance(only := next(iter(found.values())), dict)
        ):
            return _folded(only) | only
        return folded


def parse(text: str, model: type[M]) -> tuple[M | None, str | None]:
    """The JSON object in ``text`` that fits ``model``, and otherwise why none does."""
    objects: list[Any] = []
    text = text.replace("\0", "\ufffd")
    answer = text if reasoning.answer_of(text) == text else reasoning.answer_of(_without_objects(text, objects))
    if not answer.strip() and text.strip():
        return None, "reasoning without an answer"
    reason = None
    for _, _, written in islice(reversed(list(_objects(answer))), _MOST):
        held = _HELD.fullmatch(written)
        try:
            return model.model_validate(objects[int(held[1])] if held else _read(written)), None
        except ValidationError as error:
            reason = reason or told(error)
        except (ValueError, RecursionError):
            reason = reason or "the JSON object does not parse"
    return None, reason or "no JSON object in the answer"


def usable(items: Sequence[Any], model: type[M]) -> tuple[list[M], list[str]]:
    """The items that fit, in order, and why the others do not: one bad item costs one item."""
    kept, faults = [], []
    for item in items:
        try:
            kept.append(model.model_validate(item))
        except ValidationError as error:
            faults.append(told(error))
    return kept, faults


def _one_or_several(found: Any) -> Any:
    if isinstance(found, dict):
        return (
            [found]
            if any(isinstance(found.get(name), str) for name in ("question", "Question"))
            else list(found.values())
        )
    return [found] if isinstance(found, str) else found


Several = Annotated[list[Any], BeforeValidator(_one_or_several)]
"""A list whose items are looked at one by one (:func:`usable`); also one item alone, or items by number."""


def told(error: ValidationError) -> str:
    """The first fault of a validation, for people."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(str(part)[:40] for part in first['loc']) or 'object'}: {first['msg'][:200]}"


def _points(found: Any) -> Any:
    """A score as people write it: 2.5, "2,5", "8/10", {"score": 8, "reason": "…"}. A truth value is none."""
    if isinstance(found, dict):
        return next((_points(found[name]) for name in ("score", "value", "rating", "points") if name in found), None)
    if isinstance(found, str) and (score := _SCORE.fullmatch(found[:40])):
        return score[1].replace(",", ".")
    if isinstance(found, float) and not math.isfinite(found):
        return None
    return None if isinstance(found, bool) else found


Points = Annotated[float, BeforeValidator(_points)]
"""A score within a scale, half points included."""


def _without_objects(text: str, objects: list[Any]) -> str:
    """The text with every object that parses put away, so that tags within it are not taken for reasoning's."""
    parts, at = [], 0
    for start, end, written in _objects(text):
        try:
            objects.append(_read(written))
        except (ValueError, RecursionError):
            continue
        parts += [text[at:start], f'{{"\0{len(objects) - 1}"}}']
        at = end
    return "".join([*parts, text[at:]])


def _objects(text: str) -> Iterator[tuple[int, int, str]]:
    """The outermost objects, also those that do not parse; of one that does not close what there is of it, and then no
    more."""
    at = 0
    while start := _START.search(text, at):
        depth, at = 0, len(text)
        for found in _INSIDE.finditer(text, start.start()):
            depth += (found[0] == "{") - (found[0] == "}")
            if depth == 0:
                at = found.end()
                break
        yield start.start(), at, text[start.start() : at]


def _read(written: str) -> Any:
    """The JSON, with what is no number (NaN) as null, so that it spoils its own place only."""
    return _sound(
        json.loads(
            written,
            parse_constant=lambda _: None,
            parse_int=lambda digits: int(digits) if len(digits) < _LONGEST_NUMBER else digits,
        )
    )


def _sound(value: Any) -> Any:
    """The same with texts that every file and database can hold: an escape in JSON may be half a character."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_sound(item) for item in value]
    return {clean(key): _sound(item) for key, item in value.items()} if isinstance(value, dict) else value


def _folded(found: dict[str, Any]) -> dict[str, Any]:
    return {name.strip().lower().replace(" ", "_").replace("-", "_"): value for name, value in found.items()}
