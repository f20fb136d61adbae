"""Processes of their own that ask: forked from a server that has the imports done, so that starting one costs little.

Each may be killed at any moment. Not here: what is expected of them.
"""

import multiprocessing
import os
import signal
import sys
from decimal import Decimal
from multiprocessing.context import ForkServerProcess
from typing import Any

from blocks.teachers.calling.ask import ask
from configs.errors import BudgetSpent
from configs.phases.teachers import Teachers
from deployments.terminal.shutdown import catch_sigterm
from tests.blocks.teachers.conftest import requests, settings, teacher

INTERRUPTED = 130
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.blocks.teachers.workers", "blocks.teachers.providers.openai"])


def _ask(environment: dict[str, str], start: int, count: int, teachers: Teachers) -> None:
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # not ignored, as in the background
    catch_sigterm()
    try:
        answers = ask(requests(count, start), "questions", teachers)
    except BudgetSpent:
        sys.exit(4)
    except (KeyboardInterrupt, SystemExit):
        sys.exit(INTERRUPTED)
    assert [answer.text for answer in answers] == [f"answer to question {at}" for at in range(start, start + count)]


def asking(
    url: str,
    count: int,
    *,
    start: int = 0,
    cap: Decimal = Decimal(1000),
    journal: str | None = None,
    concurrency: int = 16,
    provider: str = "openai",
    **changes: Any,
) -> ForkServerProcess:
    """A process that asks ``count`` questions; it ends with 0, with 4 when the budget is spent, with 130
    interrupted."""
    environment = {name: os.environ[name] for name in ("COGUMI_HOME", "TEST_KEY")}
    model = teacher(url, "claude" if provider == "anthropic" else "m", provider, **changes)
    teachers = settings(model, cap_dollars=cap, journal=journal, concurrency=concurrency)
    process = _context.Process(target=_ask, args=(environment, start, count, teachers))
    process.start()
    return process


def code(process: ForkServerProcess) -> int | None:
    """Wait for its end; the exit code."""
    process.join(300)
    return process.exitcode
