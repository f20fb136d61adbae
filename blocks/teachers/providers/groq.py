"""Groq through its own SDK."""

import groq
import httpx

from blocks.teachers.calling.bounded import for_tokens, http
from blocks.teachers.provider import Call, Reply, provider
from blocks.teachers.providers._batch_files import BatchFiles
from blocks.teachers.replies import chat
from configs.phases.teachers import TeacherModel


@provider("groq")
class Groq(BatchFiles):
    """A client of one model."""

    sdk = groq
    limit = "max_completion_tokens"

    def __init__(self, teacher: TeacherModel, key: str) -> None:
        self._timeout_s = teacher.timeout_s
        self._client = groq.AsyncGroq(
            api_key=key,
            base_url=teacher.base_url,
            timeout=teacher.timeout_s,
            max_retries=0,
            http_client=http(groq, httpx.Limits),
        )

    async def complete(self, call: Call) -> Reply:
        """Complete one conversation."""
        create = self._client.chat.completions.with_raw_response.create
        sent = create(
            **chat.body(call, limit=self.limit), extra_body=call.options or None, extra_headers=chat.headers(call)
        )
        return chat.read(await chat.fetch(groq, sent, for_tokens(call.max_tokens, self._timeout_s)))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
