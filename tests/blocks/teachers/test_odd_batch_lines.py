"""Lines of a batch's results that may be anything: each costs its own call at most, and the rest of the batch is
collected."""

import base64
import json
from decimal import Decimal
from typing import Any

import pytest

from blocks.teachers.calling.ask import ask
from blocks.teachers.reporting.summary import summary
from tests.blocks.teachers.conftest import requests, settings, teacher
from tests.blocks.teachers.server import Running

MODELS = {"openai": "m", "anthropic": "claude"}
OPEN, CLOSED = b"[" * 2000, b"[" * 2000 + b"]" * 2000


def answered(**changes: Any) -> bytes:
    """A line that both wire formats read as an answer of this call, with fields changed."""
    message = {"role": "assistant", "content": "odd answer"}
    chat: dict[str, Any] = {
        "choices": [{"message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 3},
    }
    claude: dict[str, Any] = {
        "type": "message",
        "content": [{"type": "text", "text": "odd answer"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 9, "output_tokens": 3},
    }
    line: dict[str, Any] = {
        "custom_id": "KEY",
        "response": {"status_code": 200, "body": chat},
        "result": {"type": "succeeded", "message": claude},
    }
    if "count" in changes:
        chat["usage"]["prompt_tokens"] = claude["usage"]["input_tokens"] = "COUNT"
    if "text" in changes:
        message["content"] = claude["content"][0]["text"] = changes["text"]
    made = json.dumps(line | {name: value for name, value in changes.items() if name not in ("count", "text")})
    return made.replace('"COUNT"', str(changes.get("count"))).encode()


# Each with what is read of it: the answer, or nothing, so that the next teacher is asked.
LINES: dict[str, tuple[bytes, str | None]] = {
    "nested 2,000 deep": (b'{"custom_id": "KEY", "response": %b, "result": %b}' % (CLOSED, CLOSED), None),
    "nested and open": (b'{"custom_id": "KEY", "response": %b' % OPEN, None),
    "a count of 30 digits": (answered(count="9" * 30), "odd answer"),
    "a count of 5,000 digits": (answered(count="9" * 5000), None),
    "a count below zero": (answered(count=-5), "odd answer"),
    "a count that is no number": (answered(count="NaN"), "odd answer"),
    "a lone surrogate in the answer": (answered(text="half \ud800"), "half \ufffd"),
    "a lone surrogate in the id": (answered(custom_id="\udfff"), None),
    "bytes that are no Unicode": (answered(text="byte X").replace(b"X", b"\xff"), "byte \ufffd"),
    "a null byte": (answered(text="a\x00b"), "a\ufffdb"),
    "half a line": (b'{"custom_id": "KEY", "response": {"status_code": 2', None),
    "no JSON": (b"<html>502 Bad Gateway</html>", None),
    "null": (b"null", None),
    "a list": (b'["KEY"]', None),
    "an id that is a number": (answered(custom_id=7), None),
    "an id of nobody": (answered(custom_id="f" * 31), None),
    "no id": (b'{"response": {"status_code": 200}}', None),
    "fields of other types": (answered(response=5, result=[1]), None),
    "fields within of other types": (
        answered(response={"status_code": "200", "body": "x"}, result={"type": "succeeded", "message": 7}),
        None,
    ),
    "a status that is true": (answered(response={"status_code": True, "body": {}}, result={"type": True}), None),
    "nothing in it": (b'{"custom_id": "KEY"}', None),
    "an empty line": (b" \r", None),
    "twice, the second worse": (answered() + b"\n" + answered(response=None, result=None), "odd answer"),
    "twice, the second other": (answered() + b"\n" + answered(text="other"), "odd answer"),
}


@pytest.mark.parametrize("provider", MODELS)
@pytest.mark.parametrize("name", LINES)
def test_an_odd_line_costs_its_own_call_only(server: Running, provider: str, name: str) -> None:
    line, read = LINES[name]
    server.plan(lines={"question 1": base64.b64encode(line).decode()}, looks=1)
    batched = teacher(server.url, MODELS[provider], provider, batch=True, max_retries=0)
    teachers = settings(batched, teacher(server.url, "backup"))
    first, odd, third = ask(requests(3), "questions", teachers)
    assert (first.text, third.text) == ("answer to question 0", "answer to question 2")
    assert (first.call.teacher, third.call.teacher) == ("t0", "t0")
    assert (odd.text, odd.call.teacher) == ((read, "t0") if read is not None else ("answer to question 1", "t1"))
    counts = server.counts()
    assert (counts["batches"]["submissions"], sum(counts["tries"].values())) == (1, 0 if read is not None else 1)
    told = summary(teachers)
    assert sum(one.reserved for one in told) == 0
    if read is None and name != "an empty line":  # what has no line at all was not answered
        assert sum(one.spent for one in told) >= Decimal(counts["nano"]).scaleb(-9)
    assert all(answer.from_journal for answer in ask(requests(3), "questions", teachers)), "and the rerun needs nobody"
