"""Anthropic through its own SDK, with prompt caching: the system message is a block that the provider keeps.

Not here: streaming.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import anthropic
import httpx2

from blocks.teachers.calling.bounded import for_tokens, http
from blocks.teachers.calling.faults import Fault, from_status, unreadable
from blocks.teachers.provider import Call, Reply, provider
from blocks.teachers.providers._batch_lines import Results, expect, identity, read_lines
from blocks.teachers.replies import chat
from blocks.teachers.replies.counts import usage_of_messages
from blocks.teachers.replies.error_bodies import is_error, told
from blocks.teachers.replies.parts import parts_of
from configs.phases.teachers import TeacherModel

MOST_PAGES = 100
_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""Anthropic's error types, which stand alone in the lines of a batch, by the status they have elsewhere."""


@provider("anthropic")
class Anthropic:
    """A client of one model."""

    def __init__(self, teacher: TeacherModel, key: str) -> None:
        self._client = anthropic.AsyncAnthropic(
            api_key=key,
            base_url=teacher.base_url,
            timeout=teacher.timeout_s,
            max_retries=0,
            http_client=http(anthropic, httpx2.Limits),
        )
        self._timeout_s = teacher.timeout_s

    async def complete(self, call: Call) -> Reply:
        """Complete one conversation."""
        made = body(call)
        further = {name: made.pop(name) for name in ("temperature",) if name in made} | call.options
        sent = self._client.messages.with_raw_response.create(
            **made, extra_body=further or None, extra_headers=chat.headers(call)
        )
        return read(await chat.fetch(anthropic, sent, for_tokens(call.max_tokens, self._timeout_s)))

    async def submit(self, marker: str, calls: Mapping[str, Call]) -> str:
        """Submit calls as one batch. Its requests carry the keys; the provider keeps no marker."""
        requests: Any = [{"custom_id": key, "params": body(call) | call.options} for key, call in calls.items()]
        made = await self._fetch(self._client.messages.batches.with_raw_response.create(requests=requests))
        return identity(made.get("id"), "the batch")

    async def find(self, marker: str, keys: set[str], since: float, others: set[str], poll_s: float) -> str | None:
        """The batch whose requests carry these keys: of those made since then, of this size, and not known otherwise.
        Keys can be read only in results, so one that is still in progress is taken for it once it has ended."""
        after: str | None = None
        for _ in range(MOST_PAGES):
            options: dict[str, Any] = {"after_id": after} if after else {}
            page = await self._fetch(self._client.messages.batches.with_raw_response.list(limit=100, **options))
            data = page.get("data")
            for batch in data if isinstance(data, list) else []:
                if not isinstance(batch, dict):
                    continue
                if (created := _seconds(batch.get("created_at"))) is not None and created < since - 300:  # newest first
                    return None
                counts = batch.get("request_counts")
                size = sum(count for count in counts.values() if type(count) is int) if isinstance(counts, dict) else 0
                if batch.get("id") in others or size != len(keys):
                    continue
                name = identity(batch.get("id"), "the batch")
                while (results := await self.collect(name)) is None:
                    await asyncio.sleep(poll_s)
                if results.keys() & keys:
                    return name
            last = page.get("last_id")
            if page.get("has_more") is not True or not isinstance(last, str) or last == after:
                return None
            after = last
        return None

    async def collect(self, batch: str) -> Results | None:
        """The replies and errors of a finished batch, by key; of a repeated line the first counts."""
        found = await self._fetch(self._client.messages.batches.with_raw_response.retrieve(batch))
        if found.get("processing_status") != "ended":
            return None
        results: Results = {}
        # Not the SDK's ``results``: it goes where the provider's ``results_url`` leads, with the key.
        sent = lambda: self._client.get(f"/v1/messages/batches/{batch}/results", cast_to=httpx2.Response)  # noqa: E731
        await read_lines(anthropic, sent, _line, results)
        expect(results, found.get("request_counts"), "succeeded")
        return results

    async def _fetch(self, sent: Any) -> dict[str, Any]:
        """The object that a request is answered by.

        Raises:
            Fault: whatever went wrong.
        """
        found = await chat.in_time(self._timeout_s, chat.fetch(anthropic, sent))
        if not isinstance(found, dict):
            raise unreadable("the answer about the batch is not an object")
        return found

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _line(entry: dict[str, Any]) -> Reply | Fault:
    """One result of a batch."""
    result = entry.get("result")
    kind = result.get("type") if isinstance(result, dict) else None
    if isinstance(result, dict) and kind == "succeeded":
        return read(result.get("message"))
    if isinstance(result, dict) and kind == "errored":
        error = result.get("error")
        status = _STATUSES.get(told(error)[0], 500)
        return from_status(status, {}, error)
    if kind in ("expired", "canceled"):
        return Fault("retry", f"the batch {kind} before it was answered")
    return unreadable("its line of the batch is not in the format")


def _seconds(date: Any) -> float | None:
    """Seconds since 1970 of a date in ISO's form; None where it is none."""
    try:
        return datetime.fromisoformat(date).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def body(call: Call) -> dict[str, Any]:
    """The request body: system messages in one cached block, the others as turns."""
    system = "\n\n".join(message.content for message in call.messages if message.role == "system")
    made: dict[str, Any] = {
        "model": call.model,
        "max_tokens": call.max_tokens,
        "messages": [
            {"role": message.role, "content": message.content} for message in call.messages if message.role != "system"
        ],
    }
    if system:
        made["system"] = [{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}]
    if call.temperature is not None:
        made["temperature"] = call.temperature
    return made


def read(found: Any) -> Reply:
    """A message as a reply.

    Raises:
        Fault: it is an error in a 200, broken off, or not in the format.
    """
    return chat.strictly(_read, found)


def _read(found: Any) -> Reply:
    if is_error(found) and "content" not in found:
        return chat.error_in_200(found, found.get("usage"), usage_of_messages)
    parts = parts_of(found.get("content")) if isinstance(found, dict) and found.get("type") == "message" else None
    if parts is None:
        raise unreadable("the answer is not in the messages format")
    return chat.reply_of(
        parts.text, parts.thought, parts.refused, found.get("stop_reason"), usage_of_messages(found.get("usage"))
    )
