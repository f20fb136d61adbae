"""Groq through its own SDK."""

import groq

from blocks.teachers import chat
from blocks.teachers.provider import Call, Reply, provider
from configs.phases.teachers import TeacherModel


@provider("groq")
class Groq:
    """A client of one model."""

    def __init__(self, teacher: TeacherModel, key: str) -> None:
        self._client = groq.AsyncGroq(api_key=key, base_url=teacher.base_url, timeout=teacher.timeout_s, max_retries=0)

    async def complete(self, call: Call) -> Reply:
        """Complete one conversation."""
        return await chat.complete(self._client.chat.completions.with_raw_response.create, groq, chat.body(call, limit="max_completion_tokens"), call.options)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
