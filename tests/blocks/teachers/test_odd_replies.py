"""What a provider may send, in both wire formats, against the real server: nothing of it ends more than its own call.

Every mode is one question among others of one ``ask``; the others are answered. What the mode itself comes to is in the
table.
"""

import base64
import gzip
import json
from decimal import Decimal
from typing import Any

import pytest

from blocks.teachers.calling import bounded
from blocks.teachers.calling.ask import Request, ask
from blocks.teachers.reporting.summary import summary
from configs.errors import BadInput
from configs.phases.teachers import Teachers
from tests.blocks.teachers.conftest import requests, settings, teacher
from tests.blocks.teachers.server import Running

WIRES = {"openai": "m", "anthropic": "claude"}
DEEP = b"[" * 100_000


def body(content: bytes | str, status: int = 200, *head: str) -> dict[str, Any]:
    raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    return {"bytes": base64.b64encode(raw).decode(), "status": status, "head": list(head)}


def error(status: int, message: Any, code: Any = "odd", *head: str) -> dict[str, Any]:
    return body(json.dumps({"error": {"message": message, "code": code, "type": code}}), status, *head)


def wire(text: str) -> dict[str, Any]:
    return {"wire": base64.b64encode(text.encode("latin-1")).decode()}


# In both wire formats alike: bytes that are no answer.
BODIES: dict[str, dict[str, Any]] = {
    "nothing": body(b""),
    "204": body(b"", 204),
    "nested": body(b'{"choices":' + b"[" * 2000 + b"]" * 2000 + b"}"),
    "nested and open": body(DEEP),
    "nested objects": body(b'{"a":' * 5000 + b"1" + b"}" * 5000),
    "nested in an error": body(b'{"error":' * 5000 + b"1" + b"}" * 5000, 400),
    "nested text in an error": error(500, "[" * 5000),
    "list": body("[1, 2]"),
    "number": body("12"),
    "long number": body("9" * 5000),
    "infinite": body("1e999"),
    "NaN": body("NaN"),
    "string": body('"hello"'),
    "null": body("null"),
    "true": body("true"),
    "half": body('{"choices": [{"mess'),
    "page": body("<html><body>Welcome</body></html>", 200, "content-type: text/html; charset=nonsense"),
    "page 502": body("<html><head><title>502 Bad Gateway</title></head></html>", 502),
    "no Unicode": body(b'{"choices": "\xff\xfe\xfd"}'),
    "UTF-16": body('{"x": 1}'.encode("utf-16")),
    "odd charset": body("{}", 200, "content-type: application/json; charset=utf-7"),
    "text/event-stream": body("data: {}\n\n", 200, "content-type: text/event-stream"),
    "gzip in gzip": body(gzip.compress(gzip.compress(b" " * 2_000_000)), 200, "content-encoding: gzip, gzip"),
    "gzip bomb": body(gzip.compress(b" " * 50_000_000), 200, "content-encoding: gzip"),
    "not gzip": body(b"plain", 200, "content-encoding: gzip"),
    "half a gzip": body(gzip.compress(b'{"x": 1}')[:-9], 200, "content-encoding: gzip"),
    "unknown encoding": body(b"x", 200, "content-encoding: br"),
    "endless encodings": body(b"x", 200, "content-encoding: " + "gzip, " * 500 + "gzip"),
    "endless": {"bytes": base64.b64encode(b" " * 65536).decode(), "endless": True},
    "endless error": {"bytes": base64.b64encode(b"x" * 65536).decode(), "endless": True, "status": 500},
    "error in a 200": error(200, "upstream broke"),
    "error code in a 200": error(200, "upstream broke", 502),
    "error list": body('{"error": ["a", {"b": 1}]}', 500),
    "error number": body('{"error": 5}', 500),
    "error null": body('{"error": null}', 500),
    "error that is a list": body('[{"error": {"code": 500, "message": "x"}}]', 500),
    "message that is an object": error(500, {"a": ["b"]}, ["c"]),
    "surrogate": body('{"error": {"message": "half \\ud800", "code": "\\udfff"}}', 500),
    "NUL": error(500, "a\x00b", "c\x00d"),
    "escapes": error(500, "\x1b[2J\x07 red"),
    "long error": error(500, "x" * 1_000_000, "y" * 1_000_000),
    "bytes in an error": body(b"\xff\xfe\x00\x01" * 50, 503),
    "599": error(599, "x"),
    "529": error(529, "x"),
    "999": error(999, "x"),
    "redirect": body(b"", 302, "location: http://127.0.0.1:9/v1/chat/completions"),
    "304": body(b"", 304),
    "300": body(b"", 300),
    "no HTTP": wire("SSH-2.0-OpenSSH_9.6\r\n"),
    "closed": wire(""),
    "informational": wire("HTTP/1.1 103 Early Hints\r\n\r\n" * 20 + "HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n"),
    "odd chunks": wire("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nx\r\n"),
    "open chunk": wire('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"a"'),
    "negative length": wire("HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n{}"),
    "two lengths": wire("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}"),
    "long head": wire("HTTP/1.1 200 OK\r\n" + "".join(f"x-{at}: {'y' * 1000}\r\n" for at in range(300)) + "\r\n"),
    "101": wire("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
    "bytes in the head": wire("HTTP/1.1 500 \xff\r\nretry-after: \xff\xfe\r\ncontent-length: 0\r\n\r\n"),
}  # fmt: skip
WAITS = ("Fri, 31 Dec 99999 23:59:59 GMT", "inf", "1e400", "9" * 400, "3600")
NO_WAITS = (
    "-5",
    "NaN",
    "-inf",
    "Thu, 99 Foo 2025 99:99:99 GMT",
    "0x10",
    "\xb2",
    "",
    "1970",
    "Wed, 21 Oct 2015 07:28:00 GMT" * 50,
)
LEFT_ALONE = {name: BODIES.pop(name) for name in ("redirect", "304", "300")}
LEFT_ALONE |= {f"wait {said}": error(429, "slow down", "rate", f"retry-after: {said}") for said in WAITS}
BODIES |= {
    f"wait {said}": error(500, "slow down", "rate", f"retry-after: {said}") for said in NO_WAITS if said != "1970"
}


def question(text: str) -> Request:
    plain = requests(1)[0]
    return plain.model_copy(update={"messages": (plain.messages[0].model_copy(update={"content": text}),)})


def chain(server: Running, provider: str, raw: dict[str, dict[str, Any]], **changes: Any) -> Teachers:
    """A teacher that answers the questions of ``raw`` so, and all others well; behind it one that answers
    everything."""
    server.plan(raw=raw)
    first = teacher(server.url, WIRES[provider], provider, **{"max_retries": 1} | changes)
    return settings(first, teacher(server.url, "backup"), concurrency=8)


@pytest.mark.parametrize("provider", WIRES)
def test_no_body_ends_more_than_its_own_call(server: Running, provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blocks.teachers.calling.items.BREAKS_AFTER", 10_000)
    teachers = chain(server, provider, BODIES)
    mixed = [question(text) for name in BODIES for text in (name, f"plain {name}")]
    answers = ask(mixed, "questions", teachers)
    assert [answer.text for answer in answers] == [f"answer to {request.messages[0].content}" for request in mixed]
    assert [answer.call.teacher for answer in answers] == ["t1", "t0"] * len(BODIES)
    told = {one.teacher: one for one in summary(teachers)}["t0"]
    assert told.reserved == 0
    assert told.spent >= Decimal(server.counts()["nano"]).scaleb(-9) - sum(
        answer.call.dollars for answer in answers if answer.call.teacher == "t1"
    )
    assert [reason for reason in [*told.faults, *told.rejects] if not reason.isprintable() or len(reason) > 340] == []
    assert all(answer.from_journal for answer in ask(mixed, "questions", teachers)), "and the rerun needs nobody"


@pytest.mark.parametrize("provider", WIRES)
@pytest.mark.parametrize("mode", LEFT_ALONE)
def test_who_asks_for_a_year_or_points_elsewhere_is_left_alone(server: Running, provider: str, mode: str) -> None:
    answers = ask([question(mode)], "questions", chain(server, provider, LEFT_ALONE, max_retries=9))
    assert [answer.call.teacher for answer in answers] == ["t1"]
    assert sum(server.counts()["tries"].values()) == 2, "one try each"


def test_a_redirect_carries_no_key_along(server: Running) -> None:
    """To another host and to this one; Anthropic's key would go along with httpx's own redirects."""
    for provider in WIRES:
        for status in (301, 302, 303, 307, 308):
            raw = {f"{provider} {status}": body(b"", status, f"location: {server.url}/control/counts")}
            with pytest.raises(BadInput, match=rf"t0: {status}.*set base_url"):
                ask(
                    [question(f"{provider} {status}")], "questions", settings(chain(server, provider, raw).models["t0"])
                )


USED = {"usage": {"prompt_tokens": 50, "completion_tokens": 400, "input_tokens": 50, "output_tokens": 400}}
CHARGED = (50 * 1_000 + 400 * 4_000) * Decimal("1e-9")
FLAGGED = {"code": 403, "message": "content was flagged"}


def plainly(found: Any) -> dict[str, Any]:
    return body(json.dumps(found))


@pytest.mark.parametrize("provider", WIRES)
@pytest.mark.parametrize("name", ["large", "encoded", "not gzip", "no JSON"])
def test_an_answer_that_nobody_can_read_ends_no_run(server: Running, provider: str, name: str) -> None:
    """Not even one that is asked last or alone, when nobody else's answer shows that the teacher is well."""
    raw = {
        "large": body(b" " * 2_000_000),
        "encoded": body(b"x", 200, "content-encoding: br"),
        "not gzip": body(b"plain", 200, "content-encoding: gzip"),
        "no JSON": body(b'data: {"choices": []}\n\ndata: [DONE]\n\n'),
    }
    teachers = settings(chain(server, provider, {name: raw[name]}).models["t0"])
    first, odd = ask([question("plain"), question(name)], "questions", teachers)
    assert (first.reject, odd.text) == (None, "")
    assert str(odd.reject).startswith("unreadable: ")
    spent = summary(teachers)[0].spent
    assert ask([question(name)], "questions", teachers)[0].reject == odd.reject
    assert summary(teachers)[0].spent >= spent >= first.call.dollars + odd.call.dollars


@pytest.mark.parametrize("provider", WIRES)
def test_an_error_with_tokens_is_charged_as_it_says(server: Running, provider: str) -> None:
    found = {"top": {"error": FLAGGED} | USED}
    if provider == "openai":
        found["choice"] = {
            "choices": [{"message": {"content": "half"}, "finish_reason": "error", "error": FLAGGED}]
        } | USED
    teachers = settings(chain(server, provider, {name: plainly(one) for name, one in found.items()}).models["t0"])
    answers = ask([question(name) for name in found], "questions", teachers)
    assert [answer.reject for answer in answers] == ["content filter: 403: content was flagged"] * len(found)
    assert summary(teachers)[0].spent == len(found) * CHARGED


@pytest.mark.parametrize("provider", WIRES)
@pytest.mark.parametrize(
    ("status", "message"),
    [(400, "content was flagged by moderation"), (402, "Insufficient credits"), (429, "slow down"), (500, "broke")],
)
def test_a_status_of_failure_with_tokens_stays_counted(
    server: Running, provider: str, status: int, message: str
) -> None:
    found = {"error": {"message": message}} | USED
    teachers = chain(server, provider, {"odd": body(json.dumps(found), status, "retry-after: 0")}, max_retries=0)
    assert ask([question("odd")], "questions", teachers)[0].call.teacher == "t1"
    told = {one.teacher: one for one in summary(teachers)}["t0"]
    assert (told.spent > 0, told.reserved) == (True, 0)


@pytest.mark.parametrize("provider", WIRES)
@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}, "choices": None},
            "1008: insufficient balance",
        ),
        ({"error_code": 110, "error_msg": "Access token invalid: invalid API key"}, "110: Access token invalid"),
        ({"detail": "Invalid API key"}, "Invalid API key"),
        ({"code": 401, "message": "Incorrect API key provided"}, "Incorrect API key provided"),
    ],
)
def test_an_account_fault_in_a_200_is_one_in_the_providers_words(
    server: Running, provider: str, found: Any, words: str
) -> None:
    teachers = settings(chain(server, provider, {"odd": plainly(found)}).models["t0"])
    with pytest.raises(BadInput, match=words):
        ask([question("odd")], "questions", teachers)
    assert sum(server.counts()["tries"].values()) == 1
    assert summary(teachers)[0].spent == 0


@pytest.mark.parametrize("provider", [*WIRES, "groq", "together"])
def test_an_answer_may_take_as_long_as_the_setting_says(
    server: Running, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms: list[bounded.Room] = []
    usual = bounded._content

    async def content(response: Any, room: bounded.Room) -> bytes:
        rooms.append(room)
        return await usual(response, room)

    monkeypatch.setattr(bounded, "_content", content)
    ask(
        [question("plain")],
        "questions",
        settings(teacher(server.url, WIRES.get(provider, "m"), provider, timeout_s=4000)),
    )
    assert [room.seconds for room in rooms] == [4000]
