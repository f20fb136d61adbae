"""The batch APIs of the test server: OpenAI's (files and batches, also under Groq's path) and Anthropic's.

A batch is done when it has been looked at ``looks`` times. Result lines come out of order, and the first one twice. The
plan's ``lines`` are the raw lines of questions, in whose bytes KEY stands for the custom_id and GOOD for the line that
would have been given.
"""

import base64
import json
import re
import time
from collections import Counter
from email import message_from_bytes
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.blocks.teachers.server import Teacher


class Batches:
    """Files and batches of one server."""

    def __init__(self, teacher: "Teacher") -> None:
        self.teacher = teacher
        self.files: dict[str, bytes] = {}
        self.made: dict[str, dict[str, Any]] = {}
        self.looks: Counter[str] = Counter()
        self.submissions = 0

    def counts(self) -> dict[str, Any]:
        return {
            "submissions": self.submissions,
            "made": len(self.made),
            "calls": Counter(key for batch in self.made.values() for key in batch["keys"]),
        }

    def route(self, method: str, path: str, headers: dict[str, str], raw: bytes) -> tuple[int, bytes]:
        plan = self.teacher.plan
        path = path.removeprefix("/openai").removeprefix("/v1")
        if answer := plan.get("gone", {}).get(path.rpartition("/batches/")[2]):  # a batch that it has forgotten
            error = {"error": {"type": "not_found_error", "message": "No such batch"}, "type": "error"}
            return (
                (404, b"<html><head><title>404 Not Found</title></head></html>")
                if answer == "page"
                else _json(error, answer)
            )
        if path.startswith("/messages/batches"):
            return self._anthropic(method, path.removeprefix("/messages/batches").strip("/"), raw)
        if path == "/files" and method == "POST":
            name = f"file-{len(self.files)}"
            self.files[name] = _upload(headers, raw)
            return _json(
                {
                    "id": name,
                    "object": "file",
                    "bytes": 1,
                    "created_at": 1,
                    "filename": "x",
                    "purpose": "batch",
                    "status": "processed",
                }
            )
        if found := re.fullmatch(r"/files/([\w-]+)/content", path):
            return 200, self._cut(self.files[found[1]])
        if path == "/batches" and method == "POST":
            asked = json.loads(raw)
            lines = [json.loads(line) for line in self.files[asked["input_file_id"]].decode().split("\n") if line]
            batch = self._keep([line["custom_id"] for line in lines])
            batch |= {"lines": lines, "metadata": asked["metadata"], "input_file_id": asked["input_file_id"]}
            if plan.get("submission") == "lost reply":
                plan["submission"] = ""
                return _json({"error": {"message": "gateway", "code": "gateway"}}, 504)
            return _json(self._openai(batch))
        if path == "/batches":
            return _json(
                {
                    "object": "list",
                    "data": [self._openai(batch) for batch in reversed(self.made.values())],
                    "has_more": False,
                }
            )
        if found := re.fullmatch(r"/batches/([\w-]+)", path):
            return _json(self._openai(self._look(found[1])))
        return _json({"error": {"message": f"no route {method} {path}", "code": "test"}}, 404)

    def _keep(self, keys: list[str]) -> dict[str, Any]:
        self.submissions += 1
        batch = {"id": f"batch_{len(self.made)}", "keys": keys, "created": time.time(), "done": False}
        self.made[str(batch["id"])] = batch
        return batch

    def _look(self, name: str) -> dict[str, Any]:
        batch = self.made[name]
        self.looks[name] += 1
        if not batch["done"] and self.looks[name] >= self.teacher.plan.get("looks", 2):
            batch["done"] = True
            if "lines" in batch and self.teacher.plan.get("batch") != "failed":
                self._work(batch)
        return batch

    def _work(self, batch: dict[str, Any]) -> None:
        """Answer an OpenAI batch: an output file, and an error file for what the plan refuses."""
        out: list[tuple[dict[str, Any], str]] = []
        errors = []
        for line in batch["lines"]:
            body = line["body"]
            key = line["custom_id"]
            if "refuse" in body["messages"][-1]["content"]:
                errors.append(
                    {
                        "id": "r",
                        "custom_id": key,
                        "response": {
                            "status_code": 400,
                            "body": {"error": {"message": "no", "code": "content_filter"}},
                        },
                        "error": None,
                    }
                )
            elif "expire" in body["messages"][-1]["content"] and self.teacher.plan.get("batch") != "kind":
                continue
            else:
                made, cost = self.teacher.answer(body)
                self.teacher.charged[key] += 1
                self.teacher.nano += cost // 2
                answered = {
                    "id": "r",
                    "custom_id": key,
                    "response": {"status_code": 200, "request_id": "x", "body": made},
                    "error": None,
                }
                out.append((answered, body["messages"][-1]["content"]))
        batch["completed"] = len(out)
        lines = [self._line(line, asked) for line, asked in reversed(out)]
        batch["output"], batch["errors"] = f"file-{len(self.files)}", f"file-{len(self.files) + 1}"
        self.files[batch["output"]] = b"\n".join([*lines, *lines[:1]])
        self.files[batch["errors"]] = "\n".join(json.dumps(line) for line in errors).encode()

    def _openai(self, batch: dict[str, Any]) -> dict[str, Any]:
        failed = batch["done"] and "output" not in batch
        return {
            "id": batch["id"],
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "created_at": int(batch["created"]),
            "input_file_id": batch["input_file_id"],
            "metadata": batch["metadata"],
            "status": "failed" if failed else "completed" if batch["done"] else "in_progress",
            "request_counts": {"total": len(batch["keys"]), "completed": batch.get("completed", 0), "failed": 0},
            "output_file_id": batch.get("output"),
            "error_file_id": batch.get("errors"),
            "errors": {"object": "list", "data": [{"message": "token limit"}]} if failed else None,
        }

    def _anthropic(self, method: str, rest: str, raw: bytes) -> tuple[int, bytes]:
        if not rest and method == "POST":
            requests = json.loads(raw)["requests"]
            batch = self._keep([request["custom_id"] for request in requests])
            batch["requests"] = requests
            if self.teacher.plan.get("submission") == "lost reply":
                self.teacher.plan["submission"] = ""
                return _json({"type": "error", "error": {"type": "timeout_error", "message": "gateway"}}, 504)
            return _json(self._message_batch(batch))
        if not rest:
            return _json(
                {
                    "data": [self._message_batch(batch) for batch in reversed(self.made.values())],
                    "has_more": False,
                    "first_id": None,
                    "last_id": None,
                }
            )
        name, _, results = rest.partition("/")
        if not results:
            return _json(self._message_batch(self._look(name)))
        lines = []
        for request in reversed(self.made[name]["requests"]):
            content = request["params"]["messages"][-1]["content"]
            if "refuse" in content:
                result: dict[str, Any] = {
                    "type": "errored",
                    "error": {
                        "type": "error",
                        "error": {
                            "type": "invalid_request_error",
                            "message": "Output blocked by content filtering policy",
                        },
                    },
                }
            elif "expire" in content and self.teacher.plan.get("batch") != "kind":
                result = {"type": "expired"}
            else:
                made, cost = self.teacher.answer(request["params"])
                if not self.made[name].get("charged"):
                    self.teacher.charged[request["custom_id"]] += 1
                    self.teacher.nano += cost // 2
                result = {"type": "succeeded", "message": made}
            lines.append(self._line({"custom_id": request["custom_id"], "result": result}, content))
        self.made[name]["charged"] = True
        return 200, self._cut(b"\n".join([*lines, lines[0]]))

    def _cut(self, content: bytes) -> bytes:
        """Results of which the plan has a connection lose all but some lines, so many times."""
        if self.teacher.plan.get("cuts", 0) <= 0 or b'"custom_id"' not in content:
            return content
        self.teacher.plan["cuts"] -= 1
        return b"".join(content.splitlines(keepends=True)[: self.teacher.plan.get("cut_at", 0)])

    def _line(self, line: dict[str, Any], asked: str) -> bytes:
        """A line of results: as it should be, or as the plan has it for this question."""
        good = json.dumps(line).encode()
        odd = self.teacher.plan.get("lines", {}).get(asked)
        return (
            base64.b64decode(odd).replace(b"KEY", str(line["custom_id"]).encode()).replace(b"GOOD", good)
            if odd is not None
            else good
        )

    def _message_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(batch["created"]))
        counts = {"processing": 0, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0} | {
            "succeeded" if batch["done"] else "processing": len(batch["keys"])
        }
        return {
            "id": batch["id"],
            "type": "message_batch",
            "created_at": created,
            "expires_at": created,
            "ended_at": created if batch["done"] else None,
            "archived_at": None,
            "cancel_initiated_at": None,
            "processing_status": "ended" if batch["done"] else "in_progress",
            "request_counts": counts,
            "results_url": f"/v1/messages/batches/{batch['id']}/results" if batch["done"] else None,
        }


def _upload(headers: dict[str, str], raw: bytes) -> bytes:
    """The file part of a multipart upload."""
    message = message_from_bytes(b"content-type: " + headers["content-type"].encode() + b"\r\n\r\n" + raw)
    for part in message.get_payload():  # type: ignore[union-attr]
        if part.get_filename():  # type: ignore[union-attr]
            payload = part.get_payload(decode=True)  # type: ignore[union-attr]
            assert isinstance(payload, bytes)
            return payload
    raise AssertionError("no file in the upload")


def _json(value: Any, status: int = 200) -> tuple[int, bytes]:
    return status, json.dumps(value).encode()
