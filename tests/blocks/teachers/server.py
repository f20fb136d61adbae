"""A real HTTP server on the loopback that speaks OpenAI's and Anthropic's wire formats, and misbehaves as it is told.

It runs in a process of its own, so that a killed client does not take its counts along. Faults are drawn from each
request's own digest, once per request: the next try of the same request goes well. It counts by request body what it
answered, what of that arrived whole, and what it would charge. What is still being answered when it is told to forget
counts for nobody. With the plan's ``idempotent`` it answers a repeated Idempotency-Key with its first answer, charged
once, and a fault that it answered with that fault. Batches are in batches_server.py.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from typing import Any

from tests.blocks.teachers.batches_server import Batches

FAULTS = ("429", "500", "503", "504", "cut", "broken", "schema", "slow", "twice")
# Nano-dollars per token; the clients of the tests are told the same prices.
INPUT, CACHED, WRITTEN, OUTPUT = 1_000, 100, 1_250, 4_000
KEY = "sk-test-0123456789abcdef"


class Teacher:
    """The server's memory: its plan, and what it counted."""

    def __init__(self) -> None:
        self.plan: dict[str, Any] = {
            "shares": {},
            "latency_s": 0.0,
            "slow_s": 0.0,
            "retry_after": "0.05",
            "modes": {},
            "gather": 0,
        }
        self.tries: Counter[str] = Counter()  # by request digest: everything that came
        self.charged: Counter[str] = Counter()  # an answer was generated, whether or not it arrived
        self.delivered: Counter[str] = Counter()  # the answer went out whole and well
        self.statuses: Counter[str] = Counter()
        self.nano = 0
        self.in_flight = self.most_in_flight = 0
        self.gathered = asyncio.Event()
        self.starts: list[float] = []
        self.bodies: list[Any] = []
        self.names: list[str] = []  # Idempotency-Keys, "" where there is none
        self.firsts: dict[str, tuple[str, Any]] = {}  # by Idempotency-Key: the body's digest, and what was answered
        self.locks: dict[str, asyncio.Lock] = {}
        self.batches = Batches(self)

    def counts(self) -> dict[str, Any]:
        names = ("tries", "charged", "delivered", "statuses", "nano", "most_in_flight", "starts", "bodies", "names")
        return {name: getattr(self, name) for name in names} | {"batches": self.batches.counts()}

    def fault(self, digest: str, model: str) -> str:
        """The fault planned for this try, or ""."""
        if mode := self.plan["modes"].get(model):
            first_only, _, name = mode.rpartition(":")
            return "" if first_only == "first" and self.tries[digest] > 1 else name
        if self.tries[digest] > 1:
            return ""
        at = int(digest[:8], 16) / 0xFFFFFFFF
        for name in FAULTS:
            at -= self.plan["shares"].get(name, 0)
            if at < 0:
                return name
        return ""

    def answer(self, body: dict[str, Any]) -> tuple[dict[str, Any], int]:
        """A completion that repeats what was asked, in the wire format of the body, and its price."""
        anthropic = "system" in body or body["model"].startswith("claude")
        asked = next(m["content"] for m in reversed(body["messages"]) if m["role"] == "user")
        prompt, text = (
            len(json.dumps(body["messages"])) // 4,
            self.plan.get("answers", {}).get(asked, f"answer to {asked}"),
        )
        completion = len(text) // 4 + 1
        cached = prompt // 2 if "cached" in body["model"] else 0
        written = prompt // 4 if "written" in body["model"] else 0
        cost = (prompt - cached - written) * INPUT + cached * CACHED + written * WRITTEN + completion * OUTPUT
        finish = self.plan.get("finish", {}).get(body["model"])
        if anthropic:
            usage = {
                "input_tokens": prompt - cached - written,
                "cache_read_input_tokens": cached,
                "cache_creation_input_tokens": written,
                "output_tokens": completion,
            }
            content = [{"type": "text", "text": text}]
            made = {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": body["model"],
                "content": content,
                "stop_sequence": None,
                "usage": usage,
            }
            return made | {"stop_reason": finish or "end_turn"}, cost
        usage = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached},
        }
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish or "stop"}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [choice],
            "usage": usage,
        }, cost

    def gather(self) -> None:
        """Let the answers go once as many are in flight as the plan wants at once, however long a busy machine takes to
        ask for them."""
        if self.most_in_flight >= self.plan["gather"]:
            self.gathered.set()

    async def complete(self, raw: bytes, headers: dict[str, str], out: asyncio.StreamWriter) -> bool:
        """Answer one completion; whether the connection stays."""
        body = json.loads(raw)
        digest = hashlib.sha256(raw).hexdigest()[:16]
        self.tries[digest] += 1
        if self.plan.get("keep_bodies"):
            self.bodies.append(body)
        self.starts.append(time.time())
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.gather()
        name = headers.get("idempotency-key", "")
        self.names.append(name)
        try:
            async with self.locks.setdefault(name, asyncio.Lock()) if name else contextlib.nullcontext():
                return await self._complete(body, digest, headers, out)
        finally:
            self.in_flight -= 1

    async def _complete(
        self, body: dict[str, Any], digest: str, headers: dict[str, str], out: asyncio.StreamWriter
    ) -> bool:
        key = headers.get("authorization", "").removeprefix("Bearer ") or headers.get("x-api-key", "")
        fault = self.fault(digest, body["model"]) if key == KEY else "401"
        name = headers.get("idempotency-key", "") if self.plan.get("idempotent") else ""
        first = self.firsts.get(name)
        if first is not None and first[0] != digest:
            fault = "422"
        elif first is not None and isinstance(first[1], str):
            fault = first[1]
        self.statuses[fault or "200"] += 1
        if not self.gathered.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.gathered.wait(), 60)
        if self.plan["latency_s"]:
            await asyncio.sleep(self.plan["latency_s"])
        error = {
            "error": {
                "message": f"made to fail; your key {key} is fine",
                "type": "test",
                "code": self.plan.get("code", {}).get(fault, "test"),
            }
        }
        if fault.isdigit():
            if fault == "504":
                self._charge(body, digest, name)
            elif name and fault.startswith("5"):
                self.firsts[name] = digest, fault
            await send(
                out,
                int(fault),
                json.dumps(error).encode(),
                {"retry-after": self.plan["retry_after"]} if fault in ("429", "503") else {},
            )
            return True
        made = self._charge(body, digest, name)
        asked = next((m["content"] for m in reversed(body["messages"]) if m["role"] == "user"), "")
        if body["model"] != "backup" and (raw := self.plan.get("raw", {}).get(asked)):
            return await self._raw(raw, made, out)
        if fault == "slow":
            await asyncio.sleep(self.plan["slow_s"])
        payload = json.dumps(made).encode()
        if fault == "cut":
            out.write(head(200, len(payload), {}) + payload[: len(payload) // 2])
            await out.drain()
            return False
        if fault == "broken":
            payload = payload[:-1]
        elif fault == "schema":
            payload = json.dumps({"id": "x", "object": "something.else", "choices": "none"}).encode()
        await send(out, 200, payload, {})
        if fault == "twice":
            await send(out, 200, payload, {})
        if fault in ("", "twice", "slow"):
            self.delivered[digest] += 1
        return True

    async def _raw(self, raw: dict[str, Any], made: dict[str, Any], out: asyncio.StreamWriter) -> bool:
        """Any bytes at all, for a question that the plan names, and any model but "backup": ``wire`` is sent as it
        stands, ``bytes`` as a body under ``head``, and ``changes`` alter the answer that would have been given;
        ``endless`` is sent until nobody takes it."""
        if "wire" in raw:
            out.write(base64.b64decode(raw["wire"]))
        else:
            payload = (
                base64.b64decode(raw["bytes"])
                if "bytes" in raw
                else json.dumps(_changed(made, raw["changes"])).encode()
            )
            lines = "".join(f"{line}\r\n" for line in raw.get("head", []))
            length = "" if raw.get("endless") else f"content-length: {len(payload)}\r\n"
            out.write(f"HTTP/1.1 {raw.get('status', 200)} X\r\n{length}{lines}\r\n".encode("latin-1") + payload)
            while raw.get("endless"):
                out.write(payload)
                await out.drain()
        await out.drain()
        return False

    def _charge(self, body: dict[str, Any], digest: str, name: str) -> dict[str, Any]:
        if name in self.firsts:
            return dict(self.firsts[name][1])
        made, cost = self.answer(body)
        self.charged[digest] += 1
        self.nano += cost
        if name:
            self.firsts[name] = digest, made
        return made


def _changed(made: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """An answer with fields set by their paths, such as choices.0.message.content; DELETED takes one out."""
    for path, value in changes.items():
        *way, last = path.split(".")
        at: Any = made
        for step in way:
            at = at[int(step) if isinstance(at, list) else step]
        if value == "DELETED":
            del at[last]
        else:
            at[int(last) if isinstance(at, list) else last] = value
    return made


class Desk:
    """Who answers now."""

    def __init__(self) -> None:
        self.teacher = Teacher()


async def handle(desk: Desk, read: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
    """One connection: requests until the client or a planned fault ends it."""
    try:
        while True:
            lines = (await read.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, path, _ = lines[0].split(" ")
            headers = {
                name.strip().lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines[1:] if line)
            }
            raw = await read.readexactly(int(headers.get("content-length", 0)))
            teacher = desk.teacher
            if path == "/control/reset":
                desk.teacher = Teacher()
                await send(out, 200, b"{}", {})
            elif path == "/control/plan":
                teacher.plan.update(json.loads(raw))
                teacher.gather()
                await send(out, 200, b"{}", {})
            elif path == "/control/counts":
                await send(out, 200, json.dumps(teacher.counts()).encode(), {})
            elif path.endswith(("/chat/completions", "/v1/messages")):
                if not await teacher.complete(raw, headers, out):
                    return
            else:
                status, payload = teacher.batches.route(method, path.partition("?")[0], headers, raw)
                await send(out, status, payload, {})
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        out.close()


def head(status: int, length: int, headers: dict[str, str]) -> bytes:
    lines = [
        f"HTTP/1.1 {status} X",
        "content-type: application/json",
        f"content-length: {length}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def send(out: asyncio.StreamWriter, status: int, payload: bytes, headers: dict[str, str]) -> None:
    out.write(head(status, len(payload), headers) + payload)
    await out.drain()


async def serve() -> None:
    desk = Desk()
    server = await asyncio.start_server(lambda read, out: handle(desk, read, out), "127.0.0.1", 0, limit=2**26)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)  # lives until the test closes its end


class Running:
    """The server in its own process: ``with Running() as server``."""

    def __enter__(self) -> "Running":
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.blocks.teachers.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def plan(self, **changes: Any) -> None:
        """Change what the server does."""
        request = urllib.request.Request(self.url + "/control/plan", json.dumps(changes).encode(), method="POST")
        urllib.request.urlopen(request).read()

    def reset(self) -> None:
        """Forget plan and counts."""
        urllib.request.urlopen(urllib.request.Request(self.url + "/control/reset", b"", method="POST")).read()

    def counts(self) -> dict[str, Any]:
        """What the server counted so far."""
        with urllib.request.urlopen(self.url + "/control/counts") as response:
            found: dict[str, Any] = json.load(response)
        return found


if __name__ == "__main__":
    asyncio.run(serve())
