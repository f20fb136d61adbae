"""A store as a folder and on S3."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.storage import places
from tests import s3


@pytest.fixture(scope="session")
def moto() -> Iterator[tuple[str, int]]:
    with s3.server() as address:
        yield address


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, state: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The store's location."""
    if request.param == "s3":
        address = request.getfixturevalue("moto")
        s3.use(monkeypatch, *address, s3.bucket(*address))
    return places.location()
