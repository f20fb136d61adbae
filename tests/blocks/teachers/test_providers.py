"""Every provider through its own SDK against the server: what is sent, what is read, what its faults mean; and a new
one."""

from decimal import Decimal
from pathlib import Path

import pytest

from blocks.journal.budget import Usage, price
from blocks.models.template import Message
from blocks.teachers.calling.ask import Request, ask
from blocks.teachers.calling.faults import Fault, backoff, from_status, redact, retry_after
from blocks.teachers.reporting.summary import summary
from configs.errors import BadInput, Transient
from tests.blocks.teachers.conftest import PRICES, requests, settings, teacher
from tests.blocks.teachers.server import Running

WIRE = ("openai", "groq", "together", "openrouter")
ALL = (*WIRE, "anthropic")
TALK = (
    Message(role="system", content="Be brief."),
    Message(role="user", content="one"),
    Message(role="assistant", content="1"),
    Message(role="user", content="two"),
)


@pytest.mark.parametrize("provider", ALL)
def test_what_is_sent_and_read(server: Running, provider: str) -> None:
    server.plan(keep_bodies=True)
    name, options = (
        ("cached-written", {"metadata": {"user_id": "u"}}) if provider == "anthropic" else ("cached", {"user": "u"})
    )
    model = teacher(server.url, name, provider, options=options)
    (answer,) = ask(
        [Request(purpose="p", messages=TALK, max_tokens=20, temperature=0.25)], "questions", settings(model)
    )
    counts = server.counts()
    (body,) = counts["bodies"]
    assert answer.text == "answer to two"
    assert body["model"] == model.model
    assert body["temperature"] == 0.25
    assert answer.cached_tokens == answer.prompt_tokens // 2 > 0
    assert answer.call.dollars == Decimal(counts["nano"]).scaleb(-9), (
        "cached and cache-written tokens at their own prices"
    )
    turns = [{"role": message.role, "content": message.content} for message in TALK]
    if provider == "anthropic":
        assert body["system"] == [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
        assert body["messages"] == turns[1:]
        assert (body["max_tokens"], body["metadata"]) == (20, {"user_id": "u"})
    else:
        assert body["messages"] == turns
        assert body["max_completion_tokens" if provider in ("openai", "groq") else "max_tokens"] == 20
        assert body["user"] == "u"


@pytest.mark.parametrize("provider", ALL)
def test_a_model_that_refuses_a_temperature_gets_none(server: Running, provider: str) -> None:
    server.plan(keep_bodies=True)
    ask(
        requests(1),
        "questions",
        settings(teacher(server.url, "claude" if provider == "anthropic" else "m", provider, temperature=False)),
    )
    assert "temperature" not in server.counts()["bodies"][0]


@pytest.mark.parametrize("provider", ALL)
def test_faults_mean_the_same_through_every_sdk(server: Running, provider: str) -> None:
    names = {
        mode: f"claude-{mode}" if provider == "anthropic" else mode
        for mode in ("429", "500", "cut", "broken", "schema")
    }
    server.plan(modes={name: f"first:{mode}" for mode, name in names.items()})
    for name in names.values():
        (answer,) = ask(requests(1), "questions", settings(teacher(server.url, name, provider), account=name))
        assert answer.text == "answer to question 0"
        (told,) = summary(settings(account=name, roles={}))
        assert (told.calls, told.retries, told.lost) == (1, 1, 0 if name.endswith(("429", "500")) else 1), name
    server.plan(modes={"claude-x": "401"} if provider == "anthropic" else {"x": "401"})
    with pytest.raises(BadInput, match="401"):
        ask(
            requests(1),
            "questions",
            settings(teacher(server.url, "claude-x" if provider == "anthropic" else "x", provider)),
        )


def test_anthropics_refusal_is_one(server: Running) -> None:
    server.plan(finish={"claude": "refusal", "claude-short": "max_tokens"})
    (answer,) = ask(requests(1), "questions", settings(teacher(server.url, "claude", "anthropic")))
    assert answer.reject == "refused by the provider"
    (answer,) = ask(requests(1), "questions", settings(teacher(server.url, "claude-short", "anthropic")))
    assert answer.reject == "cut off at max_tokens"


def test_the_rehearsal_teachers_answer_by_the_same_path() -> None:
    model = teacher("", "rehearsal-large", "rehearsal", base_url=None, key_env=None)
    talk = (
        Message(role="system", content="Task: judge\nDomain: math"),
        Message(role="user", content="QUESTION:\nWhat is 3 + 4?\nANSWER:\n7"),
    )
    request = Request(purpose="judge", messages=talk, max_tokens=200, temperature=0.0)
    first, other = ask([request, request.model_copy(update={"attempt": 1})], "questions", settings(model))
    assert "accuracy" in first.text
    assert first.prompt_tokens > 0
    usage = Usage(prompt=first.prompt_tokens, cached=0, written=0, completion=first.completion_tokens)
    assert first.call.dollars == Decimal(price(PRICES, usage, batch=False)).scaleb(-9)
    assert first.call.call != other.call.call
    with pytest.raises(BadInput, match="no rehearsal teacher"):
        ask([request], "questions", settings(teacher("", "rehearsal-giant", "rehearsal", base_url=None, key_env=None)))


PLUGIN = """
from blocks.journal.budget import Usage
from blocks.teachers.provider import Reply, provider

@provider("parrot")
class Parrot:
    def __init__(self, teacher, key):
        self.key = key

    async def complete(self, call):
        return Reply(f"{call.messages[-1].content}, {self.key}", Usage(prompt=1, cached=0, written=0, completion=1))

    async def close(self):
        pass
"""


def test_a_new_provider_needs_no_change_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an installed package would: a module of its own, and an entry point that names it."""
    (tmp_path / "parrot_provider.py").write_text(PLUGIN)
    info = tmp_path / "parrot-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: parrot\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[cogumi.providers]\nparrot = parrot_provider\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("TEST_KEY", "pretty")
    (answer,) = ask(requests(1), "questions", settings(teacher("", "grey", "parrot")))
    assert answer.text == "question 0, pretty"


@pytest.mark.parametrize(
    ("status", "body", "kind", "billed"),
    [
        (429, {"error": {"code": "rate_limit_exceeded", "message": "slow down"}}, "retry", False),
        (429, {"error": {"code": "insufficient_quota", "message": "no credit"}}, "unavailable", False),
        (529, {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, "retry", False),
        (504, None, "retry", True),
        (524, "timeout", "retry", True),
        (408, {}, "retry", True),
        (402, {"error": {"code": 402, "message": "credits"}}, "unavailable", False),
        (404, {"error": {"code": "model_not_found", "message": "which?"}}, "unavailable", False),
        (403, {"error": {"code": 403, "message": "input flagged by moderation"}}, "reject", False),
        (403, {"error": {"code": "unsupported_country", "message": "not here"}}, "unavailable", False),
        (400, {"error": {"code": "content_policy_violation", "message": "no"}}, "reject", False),
        (413, "too large", "reject", False),
        (413, "<html><head><title>413 Request Entity Too Large</title>", "unclear", False),
        (422, {"error": {"message": "bad"}}, "unclear", False),
    ],
)
def test_what_a_status_means(status: int, body: object, kind: str, billed: bool) -> None:
    fault = from_status(status, {}, body)
    assert (fault.kind, fault.billed) == (kind, billed)


def test_retry_after_in_all_its_forms() -> None:
    assert retry_after({"retry-after": "2.5"}) == 2.5
    assert retry_after({"retry-after-ms": "150", "retry-after": "9"}) == 0.15
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({}) is None
    assert all(backoff(0, 7.0) >= 7 for _ in range(20))
    assert all(0 <= backoff(at, None) <= 30 for at in range(20))
    assert len({backoff(4, None) for _ in range(20)}) > 1, "jitter"


def test_no_key_survives_redaction() -> None:
    told = redact(
        "Incorrect API key provided: sk-proj-abcdefgh12345678. Bearer gsk_12345678abcdefgh\n  key=myownsecret",
        ["myownsecret"],
    )
    assert "abcdefgh" not in told
    assert "myownsecret" not in told
    assert "\n" not in told


def test_openrouters_error_inside_a_200_is_an_error(server: Running) -> None:
    from blocks.teachers.replies.chat import read

    with pytest.raises(Fault) as fault:
        read({"error": {"code": 429, "message": "upstream is busy"}})
    assert (fault.value.kind, fault.value.limited) == ("retry", True)


def test_text_that_no_database_could_hold_is_made_harmless(server: Running) -> None:
    server.plan(answers={"question 0": "a\x00b\ud800c"})
    (answer,) = ask(requests(1), "questions", settings(teacher(server.url)))
    assert answer.text == "a\ufffdb\ufffdc"
    assert ask(requests(1), "questions", settings(teacher(server.url)))[0].text == answer.text
    bad = Request(purpose="p", messages=(Message(role="user", content="half \ud800"),), max_tokens=5, temperature=0)
    (answer,) = ask([bad], "questions", settings(teacher(server.url)))
    assert answer.reject is not None
    assert answer.reject.startswith("bad request")


def test_an_answer_without_usage_is_kept_at_its_worst_case(server: Running) -> None:
    server.plan(raw={"question 0": {"changes": {"usage": None}}})
    (answer,) = ask(requests(1), "questions", settings(teacher(server.url)))
    assert answer.text == "answer to question 0"
    assert answer.call.dollars > Decimal(server.counts()["nano"]).scaleb(-9)


def test_all_down_is_transient(server: Running) -> None:
    server.plan(modes={"a": "503", "b": "500"}, retry_after="0")
    with pytest.raises(Transient, match=r"t0: 503 .*; t1: 500"):
        ask(
            requests(2),
            "questions",
            settings(teacher(server.url, "a", max_retries=1), teacher(server.url, "b", max_retries=1)),
        )
