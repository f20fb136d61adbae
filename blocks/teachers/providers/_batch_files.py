"""OpenAI's batch API, which Groq speaks too: a file of requests in, a file of replies out, the marker as metadata.

Not here: when a batch is submitted or looked for (batches.py).
"""

import json
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from blocks.teachers import chat
from blocks.teachers.faults import Fault, from_sdk, from_status
from blocks.teachers.provider import Call, Reply

URL = "/v1/chat/completions"
DONE = ("completed", "failed", "expired", "cancelled")


class BatchFiles:
    """Mixed into a provider whose ``_client`` is an SDK client with ``files`` and ``batches``."""

    sdk: ModuleType
    limit: str
    _client: Any

    async def submit(self, marker: str, calls: Mapping[str, Call]) -> str:
        """Upload the requests and create the batch. Only the creation can leave it open whether there is one."""
        lines = [json.dumps({"custom_id": key, "method": "POST", "url": URL, "body": chat.body(call, limit=self.limit) | call.options}) for key, call in calls.items()]
        try:
            file = await self._client.files.create(file=(f"{marker}.jsonl", "\n".join(lines).encode()), purpose="batch")
        except Exception as error:
            fault = from_sdk(error, self.sdk)
            fault.billed = False  # a file alone costs nothing
            raise fault from None
        try:
            made = await self._client.batches.create(completion_window="24h", endpoint=URL, input_file_id=file.id, metadata={"marker": marker})
        except Exception as error:
            raise from_sdk(error, self.sdk) from None
        return str(made.id)

    async def find(self, marker: str, keys: set[str], since: float, others: set[str], poll_s: float) -> str | None:
        """The batch whose metadata holds the marker."""
        try:
            page = await self._client.batches.list()
            async for batch in _all(page):
                if (batch.metadata or {}).get("marker") == marker:
                    return str(batch.id)
                if batch.created_at < since - 3600:  # newest first
                    return None
        except Exception as error:
            raise from_sdk(error, self.sdk) from None
        return None

    async def collect(self, batch: str) -> dict[str, Reply | Fault] | None:
        """The replies and errors of a finished batch, by key; of a repeated line the first counts. A batch that was refused
        as a whole is a Fault of kind reject."""
        try:
            found = await self._client.batches.retrieve(batch)
            if found.status not in DONE:
                return None
            if found.status == "failed" and not found.output_file_id:
                raise Fault("reject", f"batch {batch} failed: {_errors(found)}")
            results: dict[str, Reply | Fault] = {}
            for name in (found.output_file_id, found.error_file_id):
                if name:
                    for line in (await self._content(name)).decode().split("\n"):
                        if line.strip():
                            _line(line, results)
            return results
        except Fault:
            raise
        except Exception as error:
            raise from_sdk(error, self.sdk) from None

    async def _content(self, name: str) -> bytes:
        """The bytes of a file."""
        return bytes((await self._client.files.content(name)).content)


def _line(line: str, results: dict[str, Reply | Fault]) -> None:
    """One line of an output or error file."""
    try:
        entry = json.loads(line)
        key, response = entry["custom_id"], entry.get("response") or {}
    except (ValueError, KeyError, TypeError, AttributeError):
        return
    if key in results:
        return
    if response.get("status_code") == 200:
        try:
            results[key] = chat.read(response["body"])
        except Fault as fault:
            results[key] = fault
    else:
        body = response.get("body") or {"error": entry.get("error")}
        results[key] = from_status(int(response.get("status_code") or 500), {}, body)


async def _all(page: Any) -> Any:
    """Every batch of a listing: OpenAI's SDK pages, Groq's gives one list."""
    if hasattr(page, "__aiter__"):
        async for batch in page:
            yield batch
    else:
        for batch in page.data:
            yield batch


def _errors(batch: Any) -> str:
    data = (batch.errors.data if batch.errors else None) or []
    return "; ".join(str(error.message) for error in data[:3]) or "no reason given"
