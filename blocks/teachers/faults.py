"""What can go wrong with one call, and what follows: try again, ask the next teacher, or leave this teacher alone.

Not here: waiting and trying again (asking.py).
"""

import email.utils
import random
import re
import time
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Literal

Kind = Literal["retry", "reject", "unavailable"]
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
# A gateway gave up on a call that the model may have answered all the same, and charged.
MAYBE_ANSWERED = {408, 504, 520, 524}
_NEVER_SENT = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol"}
_KEY_LIKE = re.compile(r"\b(sk|gsk|key|tgp|pk|xai)[-_][A-Za-z0-9_\-*]{8,}|\bBearer\s+\S+", re.IGNORECASE)


class Fault(Exception):
    """One call failed. ``billed``: the provider may have charged it. ``wait``: seconds it asked for.

    retry: can pass by itself. reject: this teacher will never answer this request. unavailable: this teacher answers
    nobody here (wrong key, no credit, no such model).
    """

    def __init__(self, kind: Kind, reason: str, *, billed: bool = False, wait: float | None = None, limited: bool = False) -> None:
        super().__init__(reason)
        self.kind, self.reason, self.billed, self.wait, self.limited = kind, reason, billed, wait, limited


def from_sdk(error: Exception, sdk: ModuleType) -> Fault:
    """An exception of one of the SDKs (all four have the same classes) as a fault; anything else is raised again."""
    if isinstance(error, sdk.APIStatusError):
        return from_status(error.status_code, error.response.headers, error.body)
    if isinstance(error, sdk.APITimeoutError | sdk.APIConnectionError):
        cause = type(error.__cause__).__name__ if error.__cause__ else ""
        what = "no answer in time" if isinstance(error, sdk.APITimeoutError) else "connection broke"
        return Fault("retry", f"{what} ({cause or type(error).__name__})", billed=cause not in _NEVER_SENT)
    if isinstance(error, UnicodeEncodeError):
        return Fault("reject", "bad request: the prompt holds characters that are not Unicode text")
    raise error


def from_status(status: int, headers: Mapping[str, str], body: Any) -> Fault:
    """A fault from an HTTP status and the error body in OpenAI's or Anthropic's form."""
    code, message = _told(body)
    reason = f"{status} {code}: {message}" if message else f"{status} {code}".strip()
    if code in ("insufficient_quota", "billing_not_active") or status in (401, 402, 404):
        return Fault("unavailable", reason)
    if ("content" in code and ("filter" in code or "policy" in code)) or (status == 403 and "flagged" in message):
        return Fault("reject", f"content filter: {reason}")
    if status == 403:
        return Fault("unavailable", reason)
    if status in (409, 425, 429):
        return Fault("retry", reason, wait=retry_after(headers), limited=True)
    if status == 408 or status >= 500:
        return Fault("retry", reason, wait=retry_after(headers), billed=status in MAYBE_ANSWERED)
    return Fault("reject", f"bad request: {reason}")


def _told(body: Any) -> tuple[str, str]:
    """Code and message from an error body, where it has them."""
    error = body.get("error", body) if isinstance(body, dict) else None
    if isinstance(error, dict):
        return str(error.get("code") or error.get("type") or ""), str(error.get("message") or "")
    return "", str(error or "")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the provider asked to wait, from retry-after-ms or Retry-After (seconds or a date)."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        if "retry-after" in headers:
            return max(0.0, float(headers["retry-after"]))
    except ValueError:
        date = email.utils.parsedate_tz(headers.get("retry-after", ""))
        return max(0.0, email.utils.mktime_tz(date) - time.time()) if date else None
    return None


def backoff(retry: int, asked: float | None) -> float:
    """Seconds before retry number ``retry`` (from 0): exponential with full jitter, never less than the provider asked."""
    return max(asked or 0.0, random.uniform(0, min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**retry)))


def redact(text: str, keys: list[str]) -> str:
    """A provider's message as one short line in which no key stands."""
    for key in keys:
        text = text.replace(key, "***")
    return " ".join(_KEY_LIKE.sub("***", text).split())[:300]
