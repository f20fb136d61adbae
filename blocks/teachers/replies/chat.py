"""OpenAI's chat.completions wire format, which Groq, Together, OpenRouter and the rehearsal teachers speak too.

Not here: connections (providers/, bounded.py), counts (counts.py), errors (faults.py).
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

from blocks.journal.budget import Usage
from blocks.models.reasoning import after_leading
from blocks.teachers.calling.bounded import Room, expecting
from blocks.teachers.calling.faults import Fault, clean, from_sdk, from_status, unexpected, unreadable
from blocks.teachers.provider import Call, Reply
from blocks.teachers.replies.counts import usage_of_chat
from blocks.teachers.replies.error_bodies import counts_tokens, is_error
from blocks.teachers.replies.finish import end_of, shown
from blocks.teachers.replies.parts import parts_of

_OWN_SECTIONS = ("<draft>", "<thinking>")


def body(call: Call, *, limit: str) -> dict[str, Any]:
    """The request body. ``limit`` is what the provider calls the bound on generated tokens."""
    made: dict[str, Any] = {
        "model": call.model,
        "messages": [{"role": m.role, "content": m.content} for m in call.messages],
        limit: call.max_tokens,
    }
    if call.temperature is not None:
        made["temperature"] = call.temperature
    return made


def headers(call: Call) -> dict[str, str]:
    """The request's own headers."""
    return {"Idempotency-Key": call.idempotency_key} if call.idempotency_key is not None else {}


async def fetch(sdk: ModuleType, sent: Awaitable[Any], room: Room | None = None) -> Any:
    """The JSON of an SDK's response (its raw-response wrapper, or the HTTP response itself).

    Raises:
        Fault: whatever went wrong.
    """
    try:
        with expecting(room or Room()):
            response = await sent
        content = getattr(response, "http_response", response).content
    except Exception as error:
        raise from_sdk(error, sdk) from None
    return decoded(content)


def decoded(content: bytes) -> Any:
    """JSON from bytes; a byte that is no Unicode costs its letter and not the answer.

    Raises:
        Fault: it is no JSON, or nests deeper than any reply does.
    """
    try:
        return json.loads(content.decode(json.detect_encoding(content), "replace").removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        raise unreadable("the answer is not JSON") from None


def strictly(read: Callable[[Any], Reply], found: Any) -> Reply:
    """Read an answer; a Fault for whatever goes wrong with it, since a provider may send anything."""
    try:
        return read(found)
    except Fault:
        raise
    except Exception as error:
        raise unexpected(error, "the answer") from None


def read(found: Any) -> Reply:
    """A chat.completions response as a reply.

    Raises:
        Fault: it is an error in a 200, broken off, or not in the format.
    """
    return strictly(_read, found)


def _read(found: Any) -> Reply:
    choices = found.get("choices") if isinstance(found, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    if is_error(found) and not isinstance(choice, dict):
        return error_in_200(found, found.get("usage"), usage_of_chat)
    if isinstance(choice, dict) and choice.get("error"):
        return error_in_200({"error": choice["error"]}, found.get("usage"), usage_of_chat, begun=True)
    message = choice.get("message") if isinstance(choice, dict) else None
    parts = parts_of(message.get("content")) if isinstance(message, dict) else None
    if choice is None or message is None or parts is None:
        raise unreadable("the answer is not in the chat.completions format")
    said = choice.get("finish_reason")
    thought = parts.thought or any(
        message.get(name) for name in ("reasoning_content", "reasoning", "reasoning_details", "thinking")
    )
    refusal = message.get("refusal")
    refused = parts.refused or (refusal if isinstance(refusal, str) else "without words" if refusal else "")
    return reply_of(parts.text, thought, refused, said, usage_of_chat(found.get("usage")))


def reply_of(text: str, thought: bool, refused: str, said: Any, usage: Usage | None) -> Reply:
    """A reply from what any wire format holds. ``thought``: there was reasoning beside the text; ``said`` is the finish
    reason.

    Raises:
        Fault: the answer broke off.
    """
    end = end_of(said)
    if end == "refused":
        return Reply(clean(text), usage, refused="refused by the provider" if said == "refusal" else "content filter")
    if refused:
        return Reply("", usage, refused=f"refused: {clean(refused)[:200]}")
    if end == "broken":
        raise Fault("retry", f"the answer broke off (finish reason: {shown(said)})", billed=True, unreadable=True)
    if end == "tool":
        return Reply(clean(text), usage, refused=f"wants a tool instead of answering (finish reason: {shown(said)})")
    whole = clean(text)
    answer = _final(whole)
    return Reply(answer, usage, cut=end == "cut" or (not answer.strip() and (thought or bool(whole.strip()))))


def _final(text: str) -> str:
    """The answer behind the reasoning that a text begins with. A hard answer's own sections are no reasoning
    (template.py)."""
    return text if text.lstrip().startswith(_OWN_SECTIONS) else after_leading(text)


def error_in_200(
    found: dict[str, Any], usage: Any, read_usage: Callable[[Any], Usage | None], *, begun: bool = False
) -> Reply:
    """An error that came with status 200 instead of an answer, or, ``begun``, beside a part of one. A refusal for which
    the provider counts tokens is a reply, since it is charged.

    Raises:
        Fault: it is no such refusal.
    """
    inside = found.get("error") or found
    code = inside.get("code", inside.get("status")) if isinstance(inside, dict) else None
    status = (
        int(code)
        if isinstance(code, int | str)
        and not isinstance(code, bool)
        and str(code).isdecimal()
        and 400 <= int(str(code)[:4]) < 600
        else 500
    )
    fault = from_status(status, {}, found)
    counted = counts_tokens(usage)
    if counted and fault.kind == "reject":
        return Reply("", read_usage(usage), refused=fault.reason)
    fault.billed = fault.billed or counted or (begun and fault.kind == "retry" and not fault.limited)
    raise fault


async def in_time(seconds: float, sent: Awaitable[Any]) -> Any:
    """What arrives within ``seconds``.

    Raises:
        Fault: it did not.
    """
    try:
        async with asyncio.timeout(seconds):
            return await sent
    except TimeoutError:
        raise Fault("retry", f"no answer in {seconds:g} s", billed=True) from None
