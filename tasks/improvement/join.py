"""Several artifacts of one kind as one: their JSON lines together, each id once. Not here: what the lines mean."""

import json
from collections.abc import Sequence
from pathlib import Path

from blocks import json_lines, store
from blocks.records import Artifact
from configs.errors import BadInput
from tasks.step import step


@step(version=1)
def join(parts: list[Artifact]) -> Artifact:
    """Every ``*.jsonl`` of ``parts``, by name, in their order; of lines with the same id the first is kept. One part is
    returned as it is.

    Returns:
        Artifact of the parts' kind.

    Raises:
        BadInput: there is no part, or they are of several kinds.
    """
    kinds = {part.kind for part in parts}
    if len(kinds) != 1:
        raise BadInput(f"only artifacts of one kind can be joined, got {', '.join(sorted(kinds)) or 'none'}")
    if len(parts) == 1:
        return parts[0]
    with store.create(parts[0].kind, parents=parts) as folder:
        for name in sorted({path.name for part in parts for path in store.open(part).glob("*.jsonl")}):
            rows = _distinct([path for part in parts if (path := store.open(part) / name).exists()])
            (folder.path / name).write_bytes(b"".join(row + b"\n" for row in rows))
            folder.metrics[name.removesuffix(".jsonl")] = len(rows)
    return folder.artifact


def _distinct(paths: Sequence[Path]) -> list[bytes]:
    found: dict[str, bytes] = {}
    for path in paths:
        for row in json_lines.lines(path):
            found.setdefault(_id(json.loads(row)), row)
    return list(found.values())


def _id(row: dict[str, object]) -> str:
    """Of a question, an example, an answer, or what holds a question."""
    question = row.get("question")
    return str(question["id"] if isinstance(question, dict) else question if isinstance(question, str) else row["id"])
