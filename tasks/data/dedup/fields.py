"""What a line of a dataset says: its id, its text and its quality.

Understood are ``prompt`` and ``response``, as in an Example, and the shapes of Alpaca (``instruction``, ``input``, ``output``) and
Dolly (``instruction``, ``context``, ``response``): their prompt is the instruction and, where there is one, a line break and the
input or context. Not here: the whole Example with its checks (blocks/records.py); other fields do not matter.
"""

import json
from collections.abc import Sequence
from math import isfinite
from typing import Any

import orjson

from configs.errors import BadInput
from tasks.data.dedup.block import Block


def parse(line: bytes, where: str) -> Any:
    """What ``line`` says.

    Raises:
        BadInput: it is not JSON.
    """
    try:
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            record = json.loads(line)  # what Python writes and orjson refuses: NaN, lone surrogates
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where}: not JSON ({error})") from None
    return record


def read(block: Block, quality: Sequence[str]) -> tuple[list[str], list[float]]:
    """Text and quality of every line; ``quality`` are the names that lead to it.

    Raises:
        BadInput: a line is not an object with these fields.
    """
    try:
        records = list(map(orjson.loads, block.lines))
    except orjson.JSONDecodeError:
        records = [parse(line, block.where(index)) for index, line in enumerate(block.lines)]
    try:
        return [text(record) for record in records], [number(record, quality) for record in records]
    except (ValueError, AttributeError, TypeError):
        for index, record in enumerate(records):
            _complain(record, quality, block.where(index))
        raise


def text(record: dict[str, Any]) -> str:
    """Prompt, line break, response.

    Raises:
        ValueError, TypeError: there is no such text.
    """
    prompt = record.get("prompt")
    if prompt is None:
        prompt = record.get("instruction")
        if more := record.get("input", record.get("context")):
            prompt = "\n".join((prompt, more))  # type: ignore[arg-type]
    response = record.get("response")
    return "\n".join((prompt, record["output"] if response is None and "output" in record else response))  # type: ignore[arg-type]


def number(record: dict[str, Any], names: Sequence[str]) -> float:
    """The finite number that ``names`` lead to, 0.0 where there is none.

    Raises:
        ValueError, TypeError: something else is there.
    """
    value: Any = record
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
        if value is None:
            return 0.0
    if isinstance(value, bool) or not isfinite(value):
        raise ValueError(value)
    return float(value)


def _complain(record: Any, quality: Sequence[str], where: str) -> None:
    """Say what is wrong with a record, if anything is."""
    if not isinstance(record, dict):
        raise BadInput(f"{where}: a JSON {type(record).__name__}, not an object")
    try:
        text(record)
    except (ValueError, TypeError):
        raise BadInput(f"{where}: no text in prompt (or instruction) and response (or output); it has {', '.join(map(repr, record)) or 'nothing'}") from None
    try:
        number(record, quality)
    except (ValueError, TypeError):
        raise BadInput(f"{where}: {'.'.join(quality)} is not a finite number") from None
