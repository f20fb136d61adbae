"""What a line of a dataset says: its text, which is compared, and its quality, which ranks copies.

Not here: what a record is (tasks/data/plain/record.py), the whole Example with its checks (blocks/records.py).
"""

from collections.abc import Sequence
from typing import Any

import orjson

from configs.errors import BadInput
from tasks.data.dedup.block import Block
from tasks.data.plain.json_text import parse, too_deep
from tasks.data.plain.record import Unfit, identity, quality, texts


def read(block: Block, names: Sequence[str]) -> tuple[list[str], list[float]]:
    """Text and quality of every line; ``names`` lead to the quality.

    Raises:
        BadInput: a line is no record; names it.
    """
    found, values = [], []
    names = tuple(names)
    for index, line in enumerate(block.lines):
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            record = None
        if (
            type(record) is not dict or type(record.get("id")) is float or too_deep(line, record)
        ):  # a float may be a whole number of more than 64 bits
            record = _carefully(line, block.where(index))
        try:
            prompt, response = texts(record, "\n")
            identity(record)
            values.append(quality(record, names))
        except Unfit as fault:
            raise BadInput(f"{block.where(index)}: {fault}") from None
        found.append(f"{prompt}\n{response}")
    return found, values


def text(record: dict[str, Any]) -> str:
    """Prompt, line break, response."""
    return "\n".join(texts(record, "\n"))


def _carefully(line: bytes, where: str) -> dict[str, Any]:
    """The object that only the exact reader understands, or a refusal."""
    record = parse(line, where)
    if not isinstance(record, dict):
        raise BadInput(f"{where}: {type(record).__name__} instead of a JSON object; every line is one record")
    return record
