"""Which code this is: the package's version and a digest of everything that a run executes.

A deployment carries it (prefect.yaml), and flows/dispatch.py compares it with its own. Not here: a step's own version, which decides
on caching (tasks/step.py).
"""

import hashlib
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("configs", "blocks", "tasks", "flows")


@lru_cache(maxsize=1)
def code_version() -> str:
    """``version+digest``, such as ``0.1.0+3f2a9c01b7de``; the same in a checkout and in an image that was built from it."""
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            if path.suffix in {".py", ".yaml"}:
                digest.update(f"{path.relative_to(root).as_posix()}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return f"{version('cogumi')}+{digest.hexdigest()[:12]}"


def step() -> dict[str, str]:
    """For ``build`` in prefect.yaml: what ``{{ code.version }}`` stands for."""
    return {"version": code_version()}
