"""OpenAI, and any server that speaks its wire format under another base_url, through the openai SDK."""

from typing import Any

import openai

from blocks.teachers import chat
from blocks.teachers.provider import Call, Reply, provider
from configs.phases.teachers import TeacherModel


@provider("openai")
class OpenAI:
    """A client of one model. The SDK's own retries are off: ours are the only ones."""

    limit = "max_completion_tokens"

    def __init__(self, teacher: TeacherModel, key: str, **more: Any) -> None:
        self._client = openai.AsyncOpenAI(api_key=key or "none", base_url=teacher.base_url, timeout=teacher.timeout_s, max_retries=0, **more)

    async def complete(self, call: Call) -> Reply:
        """Complete one conversation."""
        return await chat.complete(self._client.chat.completions.with_raw_response.create, openai, chat.body(call, limit=self.limit), call.options)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
