"""Anthropic through its own SDK, with prompt caching: the system message is a block that the provider keeps.

Not here: streaming.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import anthropic
import httpx2

from blocks.budget import Usage
from blocks.teachers.chat import clean, fetch, http
from blocks.teachers.faults import Fault, from_sdk
from blocks.teachers.provider import Call, Reply, provider
from configs.phases.teachers import TeacherModel


@provider("anthropic")
class Anthropic:
    """A client of one model."""

    def __init__(self, teacher: TeacherModel, key: str) -> None:
        self._client = anthropic.AsyncAnthropic(api_key=key, base_url=teacher.base_url, timeout=teacher.timeout_s, max_retries=0, http_client=http(anthropic, httpx2.Limits))

    async def complete(self, call: Call) -> Reply:
        """Complete one conversation."""
        made = body(call)
        further = {name: made.pop(name) for name in ("temperature",) if name in made} | call.options
        return read(await fetch(anthropic, self._client.messages.with_raw_response.create(**made, extra_body=further or None)))

    async def submit(self, marker: str, calls: Mapping[str, Call]) -> str:
        """Submit calls as one batch. Its requests carry the keys; the provider keeps no marker."""
        try:
            made = await self._client.messages.batches.create(requests=[{"custom_id": key, "params": body(call) | call.options} for key, call in calls.items()])  # type: ignore[typeddict-item]
        except Exception as error:
            raise from_sdk(error, anthropic) from None
        return made.id

    async def find(self, marker: str, keys: set[str], since: float, others: set[str], poll_s: float) -> str | None:
        """The batch whose requests carry these keys: of those made since then, of this size, and not known otherwise. Keys
        can be read only in results, so one that is still in progress is taken for it once it has ended."""
        try:
            async for batch in await self._client.messages.batches.list(limit=100):
                if batch.created_at.timestamp() < since - 300:  # newest first
                    return None
                counts = batch.request_counts
                if batch.id in others or counts.processing + counts.succeeded + counts.errored + counts.canceled + counts.expired != len(keys):
                    continue
                while (results := await self.collect(batch.id)) is None:
                    await asyncio.sleep(poll_s)
                if results.keys() & keys:
                    return batch.id
        except Fault:
            raise
        except Exception as error:
            raise from_sdk(error, anthropic) from None
        return None

    async def collect(self, batch: str) -> dict[str, Reply | Fault] | None:
        """The replies and errors of a finished batch, by key; of a repeated line the first counts."""
        try:
            if (await self._client.messages.batches.retrieve(batch)).processing_status != "ended":
                return None
            results: dict[str, Reply | Fault] = {}
            async for line in await self._client.messages.batches.results(batch):
                if line.custom_id not in results:
                    results[line.custom_id] = _result(line.result)
            return results
        except Exception as error:
            raise from_sdk(error, anthropic) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _result(result: Any) -> Reply | Fault:
    """One result of a batch."""
    if result.type == "succeeded":
        try:
            return read(result.message.to_dict())
        except Fault as fault:
            return fault
    if result.type == "errored":
        error = result.error.error
        if error.type == "invalid_request_error":
            return Fault("reject", f"bad request: {error.message}")
        return Fault("retry", f"{error.type}: {error.message}")
    return Fault("retry", f"the batch {result.type} before it was answered")


def body(call: Call) -> dict[str, Any]:
    """The request body: system messages in one cached block, the others as turns."""
    system = "\n\n".join(message.content for message in call.messages if message.role == "system")
    made: dict[str, Any] = {
        "model": call.model,
        "max_tokens": call.max_tokens,
        "messages": [{"role": message.role, "content": message.content} for message in call.messages if message.role != "system"],
    }
    if system:
        made["system"] = [{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}]
    if call.temperature is not None:
        made["temperature"] = call.temperature
    return made


def read(found: Any) -> Reply:
    """A message as a reply.

    Raises:
        Fault: it is not in the format.
    """
    try:
        if found["type"] != "message":
            raise ValueError
        text = "".join(part["text"] for part in found["content"] if part["type"] == "text")
        usage = _usage(found["usage"])
        stop = found.get("stop_reason")
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Fault("retry", "the answer is not in the messages format", billed=True) from None
    if stop == "refusal":
        return Reply(clean(text), usage, refused="refused by the provider")
    return Reply(clean(text), usage, cut=stop == "max_tokens")


def _usage(found: Any) -> Usage:
    """Anthropic counts tokens read from and written to the cache beside the other prompt tokens."""
    read_tokens, written = found.get("cache_read_input_tokens") or 0, found.get("cache_creation_input_tokens") or 0
    return Usage(prompt=found["input_tokens"] + read_tokens + written, cached=read_tokens, written=written, completion=found["output_tokens"])
