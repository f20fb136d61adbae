"""A misbehaving server, and settings that ask it."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from blocks.models.template import Message
from blocks.teachers.calling.ask import Request
from configs.phases.teachers import Prices, TeacherModel, Teachers
from tests.blocks.teachers import server as wire

PRICES = Prices(
    input=Decimal(1), cached=Decimal("0.1"), cache_write=Decimal("1.25"), output=Decimal(4), batch=Decimal("0.5")
)


@pytest.fixture(scope="package")
def running() -> Iterator[wire.Running]:
    with wire.Running() as started:
        yield started


@pytest.fixture
def server(running: wire.Running, monkeypatch: pytest.MonkeyPatch) -> wire.Running:
    """The server, with nothing planned or counted yet; the first wait before a retry is short."""
    monkeypatch.setenv("TEST_KEY", wire.KEY)
    monkeypatch.setattr("blocks.teachers.calling.faults.FIRST_WAIT_S", 0.01)
    running.reset()
    return running


def teacher(url: str, model: str = "m", provider: str = "openai", **changes: Any) -> TeacherModel:
    """A teacher on the test server, at the server's own prices."""
    plain = {
        "provider": provider,
        "model": model,
        "base_url": url + ("/v1" if provider in ("openai", "openrouter") else ""),
        "options": {},
        "temperature": True,
        "key_env": "TEST_KEY",
        "block": None,
        "prices": PRICES,
        "requests_per_minute": None,
        "tokens_per_minute": None,
        "timeout_s": 20,
        "max_retries": 4,
        "batch": False,
        "idempotent_s": 0,
    }
    return TeacherModel.model_validate(plain | changes)


def settings(*chain: TeacherModel, **changes: Any) -> Teachers:
    """Teachers t0, t1, … as the failover chain of the role "questions"."""
    models = {f"t{at}": model for at, model in enumerate(chain)}
    plain = {
        "account": "test",
        "cap_dollars": Decimal(1000),
        "journal": None,
        "concurrency": 16,
        "limiter": "journal",
        "batch_poll_s": 0.05,
        "models": models,
        "roles": {"questions": tuple(models)},
    }
    return Teachers.model_validate(plain | changes)


def requests(count: int, start: int = 0, **changes: Any) -> list[Request]:
    """Distinct questions."""
    plain = {"purpose": "test", "max_tokens": 20, "temperature": 0.5}
    return [
        Request.model_validate(plain | {"messages": (Message(role="user", content=f"question {at}"),)} | changes)
        for at in range(start, start + count)
    ]
