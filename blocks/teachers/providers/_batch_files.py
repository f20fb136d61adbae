"""OpenAI's batch API, which Groq speaks too: a file of requests in, a file of replies out, the marker as metadata.

Not here: when a batch is submitted or looked for (batches.py), the lines of a file (_batch_lines.py).
"""

import json
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from blocks.teachers.calling.faults import Fault, from_status, unreadable
from blocks.teachers.provider import Call, Reply
from blocks.teachers.providers._batch_lines import Results, expect, identity, read_lines
from blocks.teachers.replies import chat
from blocks.teachers.replies.error_bodies import told

URL = "/v1/chat/completions"
DONE = ("completed", "failed", "expired", "cancelled")
MOST_PAGES = 200


class BatchFiles:
    """Mixed into a provider whose ``_client`` is an SDK client with ``files`` and ``batches``. Answers are read as
    plain JSON: the SDKs' own types take on whatever comes."""

    sdk: ModuleType
    limit: str
    _client: Any

    async def submit(self, marker: str, calls: Mapping[str, Call]) -> str:
        """Upload the requests and create the batch. Only the creation can leave it open whether there is one."""
        lines = [
            json.dumps(
                {
                    "custom_id": key,
                    "method": "POST",
                    "url": URL,
                    "body": chat.body(call, limit=self.limit) | call.options,
                }
            )
            for key, call in calls.items()
        ]
        try:
            file = await self._fetch(
                self._client.files.with_raw_response.create(
                    file=(f"{marker}.jsonl", "\n".join(lines).encode()), purpose="batch"
                )
            )
            name = identity(file.get("id"), "the file")
        except Fault as fault:
            fault.billed = False  # a file alone costs nothing
            raise
        made = await self._fetch(
            self._client.batches.with_raw_response.create(
                completion_window="24h", endpoint=URL, input_file_id=name, metadata={"marker": marker}
            )
        )
        return identity(made.get("id"), "the batch")

    async def find(self, marker: str, keys: set[str], since: float, others: set[str], poll_s: float) -> str | None:
        """The batch whose metadata holds the marker."""
        query: dict[str, str] = {}
        for _ in range(MOST_PAGES):
            page = await self._fetch(self._client.batches.with_raw_response.list(extra_query=query))
            data = page.get("data")
            found = [batch for batch in data if isinstance(batch, dict)] if isinstance(data, list) else []
            for batch in found:
                metadata = batch.get("metadata")
                if isinstance(metadata, dict) and metadata.get("marker") == marker:
                    return identity(batch.get("id"), "the batch")
                created = batch.get("created_at")
                if (
                    isinstance(created, int | float) and not isinstance(created, bool) and created < since - 3600
                ):  # newest first
                    return None
            last = found[-1].get("id") if found else None
            if page.get("has_more") is not True or not isinstance(last, str) or query.get("after") == last:
                return None
            query = {"after": last}
        return None

    async def collect(self, batch: str) -> Results | None:
        """The replies and errors of a finished batch, by key; of a repeated line the first counts. A batch that was
        refused as a whole is a Fault of kind reject."""
        found = await self._fetch(self._client.batches.with_raw_response.retrieve(batch))
        if found.get("status") not in DONE:
            return None
        files = {
            name: identity(found[name], "a file of results")
            for name in ("output_file_id", "error_file_id")
            if found.get(name)
        }
        if found["status"] == "failed" and not found.get("output_file_id"):
            raise Fault("reject", f"batch {batch} failed: {_errors(found)}")
        results: Results = {}
        for name in ("output_file_id", "error_file_id"):
            if name in files:
                await read_lines(self.sdk, lambda name=name: self._content(files[name]), _line, results)  # type: ignore[misc]
            if name == "output_file_id":
                expect(results, found.get("request_counts"), "completed")
        return results

    async def _content(self, name: str) -> Any:
        """Fetch a file, into the room that is there for it."""
        return await self._client.files.with_raw_response.content(name)

    async def _fetch(self, sent: Any) -> dict[str, Any]:
        """The object that a request is answered by.

        Raises:
            Fault: whatever went wrong.
        """
        found = await chat.in_time(float(self._client.timeout), chat.fetch(self.sdk, sent))
        if not isinstance(found, dict):
            raise unreadable("the answer about the batch is not an object")
        return found


def _line(entry: dict[str, Any]) -> Reply | Fault:
    """One line of an output or error file."""
    response, error = entry.get("response"), entry.get("error")
    response = response if isinstance(response, dict) else {}
    status, body = response.get("status_code"), response.get("body")
    if status == 200 and type(status) is int:
        return chat.read(body)
    if type(status) is int and 300 <= status < 600:
        return from_status(status, {}, body or {"error": error})
    return from_status(500, {}, {"error": error}) if error else unreadable("its line of the batch is not in the format")


def _errors(batch: dict[str, Any]) -> str:
    errors = batch.get("errors")
    return told(errors.get("data") if isinstance(errors, dict) else errors)[1] or "no reason given"
