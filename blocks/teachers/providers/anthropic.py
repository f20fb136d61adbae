"""Anthropic through its own SDK, with prompt caching: the system message is a block that the provider keeps.

Not here: streaming.
"""

from typing import Any

import anthropic

from blocks.budget import Usage
from blocks.teachers.chat import clean
from blocks.teachers.faults import Fault, from_sdk
from blocks.teachers.provider import Call, Reply, provider
from configs.phases.teachers import TeacherModel


@provider("anthropic")
class Anthropic:
    """A client of one model."""

    def __init__(self, teacher: TeacherModel, key: str) -> None:
        self._client = anthropic.AsyncAnthropic(api_key=key, base_url=teacher.base_url, timeout=teacher.timeout_s, max_retries=0)

    async def complete(self, call: Call) -> Reply:
        """Complete one conversation."""
        try:
            response = await self._client.messages.with_raw_response.create(**body(call), extra_body=call.options or None)
            found = response.http_response.json()
        except ValueError as error:
            if isinstance(error, UnicodeEncodeError):
                raise from_sdk(error, anthropic) from None
            raise Fault("retry", "the answer is not JSON", billed=True) from None
        except Exception as error:
            raise from_sdk(error, anthropic) from None
        return read(found)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


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
