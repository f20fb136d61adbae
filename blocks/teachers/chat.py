"""OpenAI's chat.completions wire format, which Groq, Together, OpenRouter and the rehearsal teachers speak too.

Not here: connections (providers/).
"""

from collections.abc import Awaitable
from types import ModuleType
from typing import Any

from blocks.budget import Usage
from blocks.teachers.faults import Fault, from_sdk, from_status
from blocks.teachers.provider import Call, Reply


def body(call: Call, *, limit: str) -> dict[str, Any]:
    """The request body. ``limit`` is what the provider calls the bound on generated tokens."""
    made: dict[str, Any] = {"model": call.model, "messages": [{"role": m.role, "content": m.content} for m in call.messages], limit: call.max_tokens}
    if call.temperature is not None:
        made["temperature"] = call.temperature
    return made


def http(sdk: ModuleType, limits: Any) -> Any:
    """The SDK's own HTTP client with one connection per call. A connection that is used again can hand a repeated or
    late response to the next request, and nothing in the response says so; a handshake is little beside an answer."""
    return sdk.DefaultAsyncHttpxClient(limits=limits(max_keepalive_connections=0))


async def fetch(sdk: ModuleType, sent: Awaitable[Any]) -> Any:
    """The JSON of an SDK's response (its raw-response wrapper, or the HTTP response itself).

    Raises:
        Fault: whatever went wrong.
    """
    try:
        response = await sent
        return getattr(response, "http_response", response).json()
    except UnicodeEncodeError as error:
        raise from_sdk(error, sdk) from None
    except ValueError:
        raise Fault("retry", "the answer is not JSON", billed=True) from None
    except Exception as error:
        raise from_sdk(error, sdk) from None


def read(found: Any) -> Reply:
    """A chat.completions response as a reply.

    Raises:
        Fault: it is an error in a 200, or not in the format.
    """
    if isinstance(found, dict) and found.get("error") and not found.get("choices"):
        code = found["error"].get("code") if isinstance(found["error"], dict) else None
        raise from_status(code if isinstance(code, int) else 500, {}, found)
    try:
        choice = found["choices"][0]
        message, finish = choice["message"], choice.get("finish_reason")
        content = message.get("content")
        if content is not None and not isinstance(content, str):
            raise TypeError
        usage = _usage(found.get("usage"))
    except (KeyError, IndexError, TypeError, AttributeError, ValueError):
        raise Fault("retry", "the answer is not in the chat.completions format", billed=True) from None
    if finish == "content_filter":
        return Reply(clean(content or ""), usage, refused="content filter")
    if message.get("refusal"):
        return Reply("", usage, refused=f"refused: {clean(str(message['refusal']))[:200]}")
    return Reply(clean(content or ""), usage, cut=finish == "length")


def _usage(found: Any) -> Usage | None:
    if found is None:
        return None
    cached = (found.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return Usage(prompt=found["prompt_tokens"], cached=cached, written=0, completion=found["completion_tokens"])


def clean(text: str) -> str:
    """Text that every database and file can hold: no NUL, no half of a surrogate pair."""
    return text.replace("\x00", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
