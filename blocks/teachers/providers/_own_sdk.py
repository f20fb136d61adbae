"""OpenAI's wire format through a provider's own SDK, which is made as OpenAI's was.

Not here: which provider it is (groq.py, together.py).
"""

from types import ModuleType
from typing import Any

import httpx

from blocks.teachers.calling.bounded import for_tokens, http
from blocks.teachers.provider import Call, Reply
from blocks.teachers.replies import chat
from configs.phases.teachers import TeacherModel


class OwnSdk:
    """A client of one model. ``sdk`` and its ``client``; ``limit``: what the provider calls the bound on generated
    tokens."""

    sdk: ModuleType
    client: Any
    limit: str

    def __init__(self, teacher: TeacherModel, key: str) -> None:
        self._timeout_s = teacher.timeout_s
        self._client = self.client(
            api_key=key,
            base_url=teacher.base_url,
            timeout=teacher.timeout_s,
            max_retries=0,
            http_client=http(self.sdk, httpx.Limits),
        )

    async def complete(self, call: Call) -> Reply:
        """Complete one conversation."""
        create = self._client.chat.completions.with_raw_response.create
        sent = create(
            **chat.body(call, limit=self.limit), extra_body=call.options or None, extra_headers=chat.headers(call)
        )
        return chat.read(await chat.fetch(self.sdk, sent, for_tokens(call.max_tokens, self._timeout_s)))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
