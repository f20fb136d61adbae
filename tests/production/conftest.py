"""What the kill tests share."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests import postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Where Prefect's server and the journal write."""
    with postgres.running(contrib=True) if request.param == "postgresql" else nullcontext() as url:
        if url is None:
            yield {"COGUMI_JOURNAL": f"sqlite:///{tmp_path / 'journal.db'}"}
        else:
            yield {"COGUMI_JOURNAL": url, "PREFECT_SERVER_DATABASE_CONNECTION_URL": url.replace("+psycopg", "+asyncpg")}
