"""The rehearsal teachers: answered in this process, through the real openai SDK and its wire format, without a
network."""

import json

import httpx2

from blocks.rehearsal import teachers
from blocks.teachers.provider import Call, Reply, provider
from blocks.teachers.providers._openai_wire import OpenAIWire
from blocks.teachers.replies import chat
from configs.errors import BadInput
from configs.phases.teachers import TeacherModel


class _InProcess(httpx2.AsyncBaseTransport):
    """Hands a request body to the rehearsal world instead of a socket."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            return httpx2.Response(200, json=teachers.complete(json.loads(await request.aread())))
        except BadInput as error:
            return httpx2.Response(404, json={"error": {"message": str(error), "code": "model_not_found"}})


@provider("rehearsal")
class Rehearsal(OpenAIWire):
    """A client of one rehearsal teacher. Another attempt is another seed: its answers are otherwise the same each
    time."""

    def __init__(self, teacher: TeacherModel, key: str) -> None:
        local = teacher.model_copy(update={"base_url": "http://rehearsal/v1"})
        super().__init__(local, key, transport=_InProcess())

    async def complete(self, call: Call) -> Reply:
        """Complete one conversation."""
        return await self._send(call, chat.body(call, limit="max_tokens") | {"seed": call.attempt} | call.options)
