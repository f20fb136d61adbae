"""How many calls a second go through the whole path (journal, budget, limits, provider, journal) at zero latency.

``python -m tests.benchmarks.teachers [calls]``: per row, calls by the wall clock and by CPU time of this process, the
latter being what one core does. "path alone" has a provider that answers at once; "rehearsal SDK" is the openai SDK
answered in this process by a constant; "loopback" is the SDK over HTTP to the test server in a process of its own;
"prefect" asks Prefect's global limits for every call, as against the journal's own buckets in the row before it.
"""

import os
import sys
import tempfile
import time
from typing import Any

import httpx2

os.environ["COGUMI_HOME"] = tempfile.mkdtemp(prefix="cogumi-bench-")
os.environ["TEST_KEY"] = "sk-test-0123456789abcdef"

from blocks.journal.budget import Usage
from blocks.storage.home import configure_prefect
from blocks.teachers.calling.ask import ask
from blocks.teachers.provider import Call, Reply, provider
from blocks.teachers.providers._openai_wire import OpenAIWire
from configs.phases.teachers import TeacherModel, Teachers
from tests.blocks.teachers.conftest import requests, settings, teacher
from tests.blocks.teachers.server import Running

CONSTANT = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "answer"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
}


@provider("at-once")
class AtOnce:
    """Answers without doing anything."""

    def __init__(self, teacher: TeacherModel, key: str) -> None:
        pass

    async def complete(self, call: Call) -> Reply:
        """The same for everybody."""
        return Reply("answer", Usage(prompt=10, cached=0, written=0, completion=2))

    async def close(self) -> None:
        """Nothing to close."""


class _InProcess(httpx2.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await request.aread()
        return httpx2.Response(200, json=CONSTANT)


@provider("in-process")
class InProcess(OpenAIWire):
    """The openai SDK without a socket."""

    def __init__(self, teacher: TeacherModel, key: str) -> None:
        super().__init__(
            teacher.model_copy(update={"base_url": "http://here/v1"}),
            key,
            http=httpx2.AsyncClient(transport=_InProcess()),
        )


def measure(name: str, count: int, teachers: Teachers) -> None:
    """Ask new questions, print calls per second."""
    ask(requests(1, 10**6), "questions", teachers)  # imports and tables are not what is measured
    asked = requests(count)
    wall, cpu = time.monotonic(), time.process_time()
    answers = ask(asked, "questions", teachers)
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    assert not any(answer.from_journal for answer in answers)
    print(f"{name:34s} {count / wall:7.0f} /s wall {count / cpu:7.0f} /s of CPU", flush=True)


def main(count: int) -> None:
    """All rows."""
    fast: dict[str, Any] = {"requests_per_minute": 6_000_000, "tokens_per_minute": 2_000_000_000}
    measure("path alone", count, settings(teacher("", "a", "at-once"), concurrency=64))
    measure("path alone, journal's limits", count, settings(teacher("", "b", "at-once", **fast), concurrency=64))
    measure("rehearsal SDK, in-process", count, settings(teacher("", "c", "in-process"), concurrency=64))
    with Running() as server:
        measure("loopback HTTP", count, settings(teacher(server.url, "d"), concurrency=64))
    configure_prefect()
    from prefect.testing.utilities import prefect_test_harness

    from tests.blocks.teachers.test_prefect import make_limits

    with prefect_test_harness(server_startup_timeout=120):
        limited = settings(teacher("", "e", "at-once", requests_per_minute=6_000), concurrency=64, limiter="prefect")
        make_limits({"cogumi-t0-requests": 1_000_000.0})
        measure("path alone, Prefect's limits", count // 20, limited)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
