"""The rehearsal teachers: answered in this process, through the real openai SDK and its wire format, without a network."""

import json

import httpx2
import openai

from blocks.rehearsal import teachers
from blocks.teachers import chat
from blocks.teachers.provider import Call, Reply, provider
from blocks.teachers.providers.openai import OpenAI
from configs.phases.teachers import TeacherModel


class _InProcess(httpx2.AsyncBaseTransport):
    """Hands a request body to the rehearsal world instead of a socket."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json=teachers.complete(json.loads(await request.aread())))


@provider("rehearsal")
class Rehearsal(OpenAI):
    """A client of one rehearsal teacher. Another attempt is another seed: its answers are otherwise the same each time."""

    def __init__(self, teacher: TeacherModel, key: str) -> None:
        local = teacher.model_copy(update={"base_url": "http://rehearsal/v1"})
        super().__init__(local, key, http_client=httpx2.AsyncClient(transport=_InProcess()))

    async def complete(self, call: Call) -> Reply:
        """Complete one conversation."""
        made = chat.body(call, limit="max_tokens") | {"seed": call.attempt}
        return await chat.complete(self._client.chat.completions.with_raw_response.create, openai, made, call.options)
