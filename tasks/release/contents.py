"""What lies in a release folder: the names of its parts and release.json, which describes them.

Not here: making one (assemble.py), answering from one (deployments/serving).
"""

from pathlib import Path
from typing import Literal

from blocks.records import Interval, Record
from configs.errors import BadInput

BASE = "base.gguf"
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
    """release.json. Token counts are the most that is served; exact match is on held-out questions; ``log``: what
    serving may write down."""

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


def describe(folder: Path) -> Description:
    """release.json of a release folder.

    Raises:
        BadInput: it is not there or not readable.
    """
    try:
        return Description.model_validate_json((folder / DESCRIPTION).read_text())
    except (OSError, ValueError):
        raise BadInput(f"{folder} holds no readable {DESCRIPTION}; make a release with: cogumi run") from None
