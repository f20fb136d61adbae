"""Some lines of one file, with where they stand. Not here: reading them (lines.py), what is in them (fields.py)."""

from pathlib import Path
from typing import NamedTuple

import numpy as np


class Block(NamedTuple):
    """Some rows of ``path``: row ``first``, ``first`` + 1, …; ``numbers`` are their line numbers, from 1."""

    path: Path
    first: int
    lines: list[bytes]
    numbers: np.ndarray

    def where(self, index: int) -> str:
        """For error messages."""
        return f"{self.path}:{self.numbers[index]}"
