"""Together through its own SDK."""

import httpx
import together

from blocks.teachers.calling.bounded import for_tokens, http
from blocks.teachers.provider import Call, Reply, provider
from blocks.teachers.replies import chat
from configs.phases.teachers import TeacherModel


@provider("together")
class Together:
    """A client of one model."""

    def __init__(self, teacher: TeacherModel, key: str) -> None:
        self._timeout_s = teacher.timeout_s
        self._client = together.AsyncTogether(
            api_key=key,
            base_url=teacher.base_url,
            timeout=teacher.timeout_s,
            max_retries=0,
            http_client=http(together, httpx.Limits),
        )

    async def complete(self, call: Call) -> Reply:
        """Complete one conversation."""
        create = self._client.chat.completions.with_raw_response.create
        sent = create(
            **chat.body(call, limit="max_tokens"), extra_body=call.options or None, extra_headers=chat.headers(call)
        )
        return chat.read(await chat.fetch(together, sent, for_tokens(call.max_tokens, self._timeout_s)))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
