"""What lies in a release folder: the names of its parts and release.json, which describes them.

Not here: making one (assemble.py), answering from one (deployments/serving).
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import model_validator

from blocks.engines.description import EngineDescription
from blocks.models import unpacking
from blocks.records import Interval, Record
from configs.errors import BadInput

BASE, PACKED = "base.gguf", "base"
ROUTER = "router"
TOKENIZER = "tokenizer"
CARD = "README.md"
DESCRIPTION = "release.json"


class Part(Record):
    """One modifier of a release: its GGUF adapter (path in the folder), the domains it covers, and its measured gain
    there."""

    path: str
    domains: tuple[str, ...]
    gain: Interval


class Description(Record):
    """release.json. Token counts are the most that is served; exact match is on held-out questions, answered by
    ``engine``, which serving makes again; ``base``: the model, a GGUF file or a folder in which it is packed; ``log``:
    what serving may write down."""

    title: str
    profile: str
    context_tokens: int
    answer_tokens: int
    parameters: int
    modifiers: dict[str, Part]
    exact_match_base: Interval
    exact_match_routed: Interval
    routed_minus_base: Interval
    log: Literal["full", "numbers", "off"] = "numbers"
    engine: EngineDescription
    base: Literal["base.gguf", "base"] = "base.gguf"

    @model_validator(mode="before")
    @classmethod
    def _as_before_there_was_one(cls, found: Any) -> Any:
        """Of an older release: what it was answered with, whatever it was measured with."""
        if isinstance(found, dict) and "engine" not in found and "context_tokens" in found:
            return found | {"engine": {"kind": "llama.cpp", "context": found["context_tokens"]}}
        return found


def describe(folder: Path) -> Description:
    """release.json of a release folder.

    Raises:
        BadInput: it is not there or not readable.
    """
    try:
        return Description.model_validate_json((folder / DESCRIPTION).read_text())
    except (OSError, ValueError):
        raise BadInput(f"{folder} holds no readable {DESCRIPTION}; make a release with: cogumi run") from None


def base_file(folder: Path, described: Description) -> Path:
    """The GGUF file of a release's base, unpacked where it is packed.

    Raises:
        BadInput, DamagedArtifact: as :func:`blocks.models.unpacking.kept`.
    """
    return unpacking.kept(folder / PACKED) if described.base == PACKED else folder / BASE
