"""What is read from a reply in both wire formats: counts, parts, finish reasons and reasoning; and what is billed for
it."""

import json
import logging
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st

from blocks.journal.budget import Usage, price, worst_case
from blocks.teachers.calling.ask import ask
from blocks.teachers.calling.faults import Fault
from blocks.teachers.provider import Reply
from blocks.teachers.providers import anthropic
from blocks.teachers.replies import chat
from blocks.teachers.replies.finish import end_of
from blocks.teachers.reporting.summary import summary
from tests.blocks.teachers.conftest import PRICES, requests, settings, teacher
from tests.blocks.teachers.server import Running

OPENAI = {"prompt_tokens": 10, "completion_tokens": 5}
CLAUDE = {"input_tokens": 10, "output_tokens": 5}


def chatted(content: Any = "hi", *, finish: Any = "stop", usage: Any = OPENAI, **message: Any) -> Any:
    return {
        "choices": [{"message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}],
        "usage": usage,
    }


def messaged(content: Any = "hi", *, stop: Any = "end_turn", usage: Any = CLAUDE) -> Any:
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return {"type": "message", "content": parts, "stop_reason": stop, "usage": usage}


def both(wire: str, content: Any = "hi", finish: Any = None, usage: Any = None) -> Reply:
    if wire == "openai":
        return chat.read(chatted(content, finish=finish or "stop", usage=usage))
    return anthropic.read(messaged(content, stop=finish or "end_turn", usage=usage))


ODD_COUNTS = [
    -1,
    -(10**12),
    10**16,
    10**300,
    1.5,
    3.0,
    1e308,
    float("nan"),
    "12",
    "",
    True,
    False,
    None,
    [1],
    {"a": 1},
    [],
]


@pytest.mark.parametrize("wire", ["openai", "anthropic"])
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("found", ODD_COUNTS, ids=repr)
def test_a_count_that_cannot_be_is_not_believed_and_the_answer_is_kept(wire: str, which: int, found: Any) -> None:
    usage = dict(OPENAI if wire == "openai" else CLAUDE)
    usage[list(usage)[which]] = found
    reply = both(wire, usage=usage)
    assert reply.text == "hi"
    assert reply.usage is None or (found is None and which == 1), "nothing said counts as zero, which no answer took"


@pytest.mark.parametrize("wire", ["openai", "anthropic"])
@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        [],
        "12",
        7,
        True,
        {"prompt_tokens": None, "completion_tokens": None},
        {"input_tokens": None, "output_tokens": None},
    ],
    ids=repr,
)
def test_usage_that_says_nothing_costs_no_answer(wire: str, usage: Any) -> None:
    reply = both(wire, usage=usage)
    assert (reply.text, reply.usage) == ("hi", None)


def test_details_of_counts() -> None:
    def usage(**more: Any) -> Usage | None:
        return chat.read(chatted(usage=OPENAI | more)).usage

    assert usage(prompt_tokens_details={"cached_tokens": 4}) == Usage(prompt=10, cached=4, written=0, completion=5)
    assert usage(prompt_tokens_details={"cached_tokens": None}) == usage(prompt_tokens_details=None) == usage()
    assert usage(prompt_tokens_details={"cached_tokens": 11}) is None, "more cached than there were"
    assert usage(prompt_tokens_details="4") is None
    assert usage(prompt_tokens_details={"cached_tokens": -4}) is None
    assert usage(total_tokens=45) == Usage(prompt=10, cached=0, written=0, completion=35), (
        "reasoning that is counted beside"
    )
    assert usage(completion_tokens_details={"reasoning_tokens": 30}) == Usage(
        prompt=10, cached=0, written=0, completion=35
    )
    assert usage(completion_tokens_details={"reasoning_tokens": 3}) == usage()
    read = anthropic.read(
        messaged(usage=CLAUDE | {"cache_read_input_tokens": 3, "cache_creation_input_tokens": None})
    ).usage
    assert read == Usage(prompt=13, cached=3, written=0, completion=5)
    assert anthropic.read(messaged(usage=CLAUDE | {"cache_read_input_tokens": -3})).usage is None


def worst() -> Decimal:
    """What is set aside for one question."""
    return Decimal(worst_case(PRICES, requests(1)[0].messages, 20, batch=False)).scaleb(-9)


@pytest.mark.parametrize(
    ("provider", "model", "path"),
    [("openai", "m", "usage.completion_tokens"), ("anthropic", "claude", "usage.output_tokens")],
)
def test_what_is_billed_for_counts(
    server: Running, provider: str, model: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Impossible: the worst case. Above what was set aside and possible: as told, so that the account never knows too
    little."""
    caplog.set_level(logging.WARNING, logger="cogumi.teachers")
    most = worst()
    for at, (found, billed) in enumerate(
        [(-(10**12), most), (10**16, most), (90_000_000, most), (0, most), (None, most), (5000, None)]
    ):
        server.plan(
            raw={
                "question 0": {
                    "changes": {path: found} | ({"usage.total_tokens": "DELETED"} if provider == "openai" else {})
                }
            }
        )
        teachers = settings(teacher(server.url, model, provider), account=f"a{at}")
        (answer,) = ask(requests(1, attempt=at), "questions", teachers)
        assert answer.text == "answer to question 0"
        (told,) = summary(settings(account=f"a{at}", roles={}))
        assert (told.spent, told.reserved, told.lost) == (answer.call.dollars, 0, 0)
        if billed is not None:
            assert answer.call.dollars == billed, found
        else:
            usage = Usage(prompt=answer.prompt_tokens, cached=0, written=0, completion=5000)
            assert answer.call.dollars == Decimal(price(PRICES, usage, batch=False)).scaleb(-9) > most
    assert "counts more than was set aside" in caplog.text
    caplog.clear()
    server.plan(raw={f"question {at}": {"changes": {"usage": {}}} for at in range(10, 20)})
    assert len(ask(requests(10, 10), "questions", settings(teacher(server.url, model, provider)))) == 10
    assert len(caplog.records) == 1, "once for a teacher"


PARTS: list[tuple[Any, str | None, bool, str | None]] = [
    ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "ab", False, None),
    ([{"type": "output_text", "text": "a"}], "a", False, None),
    ([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}], "a", False, None),
    (
        [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "a"}],
        "a",
        False,
        None,
    ),
    ([{"type": "redacted_thinking", "data": "x"}, {"type": "text", "text": "a"}], "a", False, None),
    ([{"type": "reasoning", "text": "hm"}, {"type": "text", "text": "a"}], "a", False, None),
    ([{"type": "thinking", "thinking": "hm"}], "", True, None),
    ([{"type": "refusal", "refusal": "I will not"}], "", False, "refused: I will not"),
    ([{"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": "a"}], "a", False, None),
    ([{"type": "text", "text": {"value": "a", "annotations": []}}], "a", False, None),
    ([{"text": "a"}], "a", False, None),
    (["a", "b", None], "ab", False, None),
    ([{"type": "text", "text": None}, {"type": ["x"], "text": "y"}, {"type": "text", "text": "a"}], "a", False, None),
    ([], "", False, None),
]


@pytest.mark.parametrize("wire", ["openai", "anthropic"])
@pytest.mark.parametrize(("content", "text", "cut", "refused"), PARTS, ids=repr)
def test_content_in_parts(wire: str, content: Any, text: str, cut: bool, refused: str | None) -> None:
    reply = both(wire, content)
    assert (reply.text, reply.cut, reply.refused) == (text, cut, refused)


def test_one_part_or_a_text_where_parts_are_usual() -> None:
    assert chat.read(chatted({"type": "text", "text": "a"})).text == "a"
    assert anthropic.read(messaged([]) | {"content": "a"}).text == "a"
    for content in (5, True, [1], [[]]):
        with pytest.raises(Fault) as fault:
            chat.read(chatted(content))
        assert (fault.value.kind, fault.value.billed, fault.value.unreadable) == ("retry", True, True)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "reasoning_details", "thinking"])
def test_reasoning_in_a_field_of_its_own_is_no_answer(field: str) -> None:
    assert chat.read(chatted("a", **{field: "first I thought {}"})).text == "a"
    for finish in ("stop", "length"):
        for content in (None, "", "\n"):
            reply = chat.read(chatted(content, finish=finish, **{field: "first I thought"}))
            assert (reply.text.strip(), reply.cut, reply.refused) == ("", True, None)


@pytest.mark.parametrize("wire", ["openai", "anthropic"])
@pytest.mark.parametrize(
    ("said", "text", "cut"),
    [
        ("<think>2 + 2, so 4</think>\n\nIt is 4.", "It is 4.", False),
        ("2 + 2, so 4</think>It is 4.", "It is 4.", False),
        ("<think>still thinking", "", True),
        ("<think>all of it</think>", "", True),
        ("<draft>a</draft><thinking>b</thinking>c", "<draft>a</draft><thinking>b</thinking>c", False),
        ("<thinking>b</thinking>c", "<thinking>b</thinking>c", False),
        ("Write `<think>` to open it.", "Write `<think>` to open it.", False),
    ],
)
def test_reasoning_in_the_text_is_no_answer(wire: str, said: str, text: str, cut: bool) -> None:
    reply = both(wire, said)
    assert (reply.text, reply.cut) == (text, cut)


DONE = ("stop", "STOP", "eos", "end_turn", "stop_sequence")
CUT = ("length", "max_tokens", "MAX_TOKENS", "model_length", "model_context_window_exceeded")
REFUSED = ("content_filter", "refusal", "SAFETY", "RECITATION", "content_filtered")
TOOL = ("tool_calls", "tool_use", "function_call")
BROKEN = (
    "error",
    "ERROR",
    "abort",
    "insufficient_system_resource",
    "pause_turn",
    "load",
    "unknown",
    "other",
    "cancelled",
    "",
    "null",
    None,
    {},
    [],
    0,
    True,
    {"type": "stop"},
    "x" * 9999,
)


@pytest.mark.parametrize("wire", ["openai", "anthropic"])
def test_every_finish_reason(wire: str) -> None:
    def read(said: Any) -> Reply:
        return chat.read(chatted("a", finish=said)) if wire == "openai" else anthropic.read(messaged("a", stop=said))

    for said in DONE:
        assert (read(said).text, read(said).cut, read(said).refused) == ("a", False, None), said
    for said in CUT:
        assert (read(said).cut, read(said).refused) == (True, None), said
    for said in REFUSED:
        assert read(said).refused in ("content filter", "refused by the provider"), said
    for said in TOOL:
        assert str(read(said).refused).startswith("wants a tool"), said
    for said in BROKEN:
        with pytest.raises(Fault, match="broke off") as fault:
            read(said)
        assert (fault.value.kind, fault.value.billed) == ("retry", True), said


def test_a_missing_finish_reason_is_not_done() -> None:
    found = chatted()
    del found["choices"][0]["finish_reason"]
    with pytest.raises(Fault, match="finish reason: none"):
        chat.read(found)
    assert end_of("stop ") == "done"


@pytest.mark.parametrize("finish", ["error", "abort", None])
def test_an_answer_that_broke_off_is_asked_again(server: Running, finish: Any) -> None:
    """Forever broken: the others go on, it is paid at worst case each time, and it is final for this teacher by
    count."""
    server.plan(raw={"question 0": {"changes": {"choices.0.finish_reason": finish}}})
    teachers = settings(teacher(server.url, max_retries=3), teacher(server.url, "backup"), concurrency=2)
    answers = ask(requests(30), "questions", teachers)
    assert [answer.call.teacher for answer in answers] == ["t1"] + ["t0"] * 29
    first = {one.teacher: one for one in summary(teachers)}["t0"]
    assert first.lost in (3, 4), "each try may have been charged"
    assert first.lost == 4 or list(first.rejects) == [
        "unreadable: the answer broke off (finish reason: " + ("none)" if finish is None else f"{finish!r})")
    ]


def test_an_error_beside_a_part_of_an_answer() -> None:
    found = chatted("half an", finish="error")
    found["choices"][0]["error"] = {"code": 502, "message": "Provider disconnected"}
    with pytest.raises(Fault, match="502: Provider disconnected") as fault:
        chat.read(found)
    assert (fault.value.kind, fault.value.billed) == ("retry", True)
    found["choices"][0]["error"] = {"code": 402, "message": "Insufficient credits"}
    with pytest.raises(Fault) as fault:
        chat.read(found)
    assert fault.value.kind == "unavailable"
    with pytest.raises(Fault) as fault:
        anthropic.read({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    assert fault.value.kind == "retry"


NAMES = st.sampled_from(["type", "text", "content", "error", "code", "message", "usage", "choices", "prompt_tokens"])
WORDS = st.sampled_from(["stop", "text", "message", "error", 200, "a" * 300])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def shaken(made: Any, path: list[Any], value: Any) -> Any:
    """A reply with one field replaced."""
    found = json.loads(json.dumps(made))
    at = found
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return found


FIELDS: list[list[Any]] = [
    ["choices"],
    ["choices", 0],
    ["choices", 0, "message"],
    ["choices", 0, "message", "content"],
    ["choices", 0, "message", "refusal"],
    ["choices", 0, "error"],
    ["choices", 0, "message", "reasoning"],
    ["choices", 0, "finish_reason"],
    ["choices", 0, "logprobs"],
    ["usage"],
    ["usage", "prompt_tokens"],
    ["error"],
    ["id"],
    ["model"],
    ["usage", "completion_tokens_details"],
    ["usage", "prompt_tokens_details"],
    ["usage", "total_tokens"],
]
CLAUDES: list[list[Any]] = [
    ["type"],
    ["content"],
    ["content", 0],
    ["content", 0, "text"],
    ["content", 0, "type"],
    ["stop_reason"],
    ["usage"],
    ["usage", "input_tokens"],
    ["error"],
    ["id"],
]


@how(max_examples=150, deadline=None)
@given(field=st.sampled_from(FIELDS), claude=st.sampled_from(CLAUDES), value=JSON)
def test_whatever_stands_in_a_field_is_a_reply_or_a_fault(field: list[Any], claude: list[Any], value: Any) -> None:
    for read, found in (
        (chat.read, shaken(chatted(), field, value)),
        (anthropic.read, shaken(messaged(), claude, value)),
        (chat.read, value),
        (anthropic.read, value),
    ):
        reply, reason = None, ""
        try:
            reply = read(found)
        except Fault as fault:
            reason = fault.reason
        assert "could not be read" not in reason, "foreseen, not caught by the last net"
        assert reply is None or isinstance(reply.text, str)
        assert (
            reply is None
            or reply.usage is None
            or min(reply.usage.prompt, reply.usage.cached, reply.usage.completion) >= 0
        )
