"""OpenAI's wire format through the openai SDK, for every provider that speaks it.

Not here: which provider it is (openai.py, openrouter.py, rehearsal.py).
"""

from typing import Any

import httpx2
import openai

from blocks.teachers.calling.bounded import bounded, for_tokens, http
from blocks.teachers.provider import Call, Reply
from blocks.teachers.replies import chat
from configs.phases.teachers import TeacherModel


class OpenAIWire:
    """A client of one model. The SDK's own retries are off: ours are the only ones."""

    sdk = openai
    limit = "max_completion_tokens"  # what the provider calls the bound on generated tokens

    def __init__(self, teacher: TeacherModel, key: str, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._timeout_s = teacher.timeout_s
        client = (
            bounded(httpx2.AsyncClient)(transport=transport) if transport is not None else http(openai, httpx2.Limits)
        )
        self._client = openai.AsyncOpenAI(
            api_key=key or "none",
            base_url=teacher.base_url,
            timeout=teacher.timeout_s,
            max_retries=0,
            http_client=client,
        )

    async def complete(self, call: Call) -> Reply:
        """Complete one conversation."""
        return await self._send(call, chat.body(call, limit=self.limit) | call.options)

    async def _send(self, call: Call, made: dict[str, Any]) -> Reply:
        """By the SDK's plain ``post``: its typed method walks every field of the body first and takes twice the
        time."""
        sent = self._client.post(
            "/chat/completions", body=made, cast_to=httpx2.Response, options={"headers": chat.headers(call)}
        )
        return chat.read(await chat.fetch(openai, sent, for_tokens(call.max_tokens, self._timeout_s)))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
