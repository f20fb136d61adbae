"""What can go wrong with one call, and what follows: try again, ask the next teacher, or leave this teacher alone.

Not here: waiting and trying again (one_call.py), what a provider's error says (error_bodies.py).
"""

import email.utils
import json
import logging
import math
import random
import re
import time
import traceback
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Literal

from blocks.teachers.replies.error_bodies import counts_tokens, is_page, told, whose
from configs.errors import CogumiError

log = logging.getLogger("cogumi.teachers")
Kind = Literal["retry", "reject", "unavailable", "unclear"]
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
LONGEST_ASKED_S = 7 * 86_400.0
"""More than any provider means: what it asks for beyond is read as this."""
# A gateway gave up on a call that the model may have answered all the same, and charged.
MAYBE_ANSWERED = {408, 499, 504, 520, 524}
_NEVER_SENT = {
    "ConnectError",
    "ConnectTimeout",
    "PoolTimeout",
    "ProxyError",
    "UnsupportedProtocol",
    "InvalidURL",
    "LocalProtocolError",
}
_KEY_LIKE = re.compile(r"\b(sk|gsk|key|tgp|pk|xai)[-_][A-Za-z0-9_\-*]{8,}|\bBearer\s+\S+", re.IGNORECASE)
NOT_UNICODE = "bad request: the prompt holds characters that are not Unicode text"


class Fault(Exception):
    """One call failed. ``billed``: the provider may have charged it. ``wait``: seconds it asked for.

    retry: can pass by itself. reject: this teacher will never answer this request. unavailable: this teacher answers
    nobody here (wrong key, no credit, no such model). unclear: the provider took offence at this request or at what all
    requests have in common, and did not say which; it is not final unless the teacher is seen to answer others.
    ``unreadable``: an answer came that cannot be read. ``unanswered``: no answer of the provider's own came. ``gone``:
    the provider says that what was asked for is not there.
    """

    def __init__(
        self,
        kind: Kind,
        reason: str,
        *,
        billed: bool = False,
        wait: float | None = None,
        limited: bool = False,
        unreadable: bool = False,
        unanswered: bool = False,
    ) -> None:
        super().__init__(reason)
        self.kind, self.reason, self.billed, self.wait, self.limited, self.unreadable = (
            kind,
            reason,
            billed,
            wait,
            limited,
            unreadable,
        )
        self.unanswered, self.gone = unanswered, False

    @property
    def repeatable(self) -> bool:
        """Whether the call has no outcome yet, so that it can be asked again under the same Idempotency-Key. After any
        other fault the provider may repeat that fault for ever."""
        return self.unanswered or self.limited or self.kind == "unavailable"


def unreadable(reason: str) -> Fault:
    """A reply came, and was charged, and cannot be read."""
    return Fault("retry", reason, billed=True, unreadable=True)


def unexpected(error: Exception, what: str) -> Fault:
    """An error that nobody foresaw, met while ``what`` was read: it costs this call and no other, and the log tells its
    place."""
    at = traceback.extract_tb(error.__traceback__)[-1:]
    place = f"{at[0].filename.rpartition('/')[2]}:{at[0].lineno}" if at else "?"
    log.error(
        "%s could not be read: %s at %s; this is a fault of Cogumi, please report it", what, type(error).__name__, place
    )
    return unreadable(f"{what} could not be read ({type(error).__name__} at {place})")


def from_sdk(error: Exception, sdk: ModuleType) -> Fault:
    """An exception of one of the SDKs (all four have the same classes), or of anything below them, as a fault."""
    for inner in (error, error.__cause__, error.__context__):
        if isinstance(inner, Fault):
            return inner
    if isinstance(error, sdk.APIStatusError):
        fault = from_status(error.status_code, error.response.headers, error.body)
        fault.billed = fault.billed or counts_tokens(
            _beside(error.response.content)
        )  # OpenAI's SDK keeps what is within "error" alone
        return fault
    if isinstance(error, sdk.APITimeoutError | sdk.APIConnectionError):
        cause = type(error.__cause__).__name__ if error.__cause__ else ""
        what = "no answer in time" if isinstance(error, sdk.APITimeoutError) else "connection broke"
        return Fault(
            "retry", f"{what} ({cause or type(error).__name__})", billed=cause not in _NEVER_SENT, unanswered=True
        )
    if isinstance(error, CogumiError):
        raise error
    if isinstance(error, TimeoutError):
        return Fault("retry", "no answer in time", billed=True, unanswered=True)
    return unexpected(error, "the response")


def _beside(content: bytes) -> Any:
    """The ``usage`` in the body of an error, if any."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found.get("usage") if isinstance(found, dict) else None


def from_status(status: int, headers: Mapping[str, str], body: Any) -> Fault:
    """A fault from an HTTP status and the error's body, in whatever form.

    What the body says of account, key, model or settings counts more than the status; only what it positively says of
    the request itself is final for the request.
    """
    fault = _from_status(status, headers, body)
    fault.billed = fault.billed or (isinstance(body, dict) and counts_tokens(body.get("usage")))
    fault.gone = status in (404, 410) and not is_page(body)
    return fault


def _from_status(status: int, headers: Mapping[str, str], body: Any) -> Fault:
    code, words = told(body)
    code = "" if code == str(status) else code
    reason = f"{status} {code}".strip() + (f": {words}" if words else "")
    wait = retry_after(headers)
    if 300 <= status < 400:
        return Fault(
            "unavailable",
            f"{reason} (redirects are not followed, since they would carry the key along; set base_url to where the "
            "API is)",
        )
    blame = None if is_page(body) else whose(body, limited=status == 429)
    if blame == "account":
        return Fault("unavailable", reason)
    if blame == "request":
        return Fault("reject", f"content filter: {reason}" if _is_content(code, words) else f"bad request: {reason}")
    if status in (409, 425, 429):
        return Fault("retry", reason, wait=wait, limited=True)
    if status == 408 or not 400 <= status < 500 or status == 499:
        return Fault("retry", reason, wait=wait, billed=status in MAYBE_ANSWERED, unanswered=status in MAYBE_ANSWERED)
    if status == 413 and not is_page(body) and "rate" not in f"{code} {words}".lower() and " per " not in words:
        return Fault("reject", f"bad request: {reason}")
    if status in (400, 413, 422):
        return Fault("unclear", reason)
    return Fault("unavailable", reason)


def _is_content(code: str, words: str) -> bool:
    return bool(
        re.search(
            r"filter|polic|moderation|flagged|safety|prohibited|inspection|invalid_prompt|blocked",
            f"{code} {words}".lower(),
        )
    )


def from_recorded(reason: str) -> Kind:
    """What a refusal that an earlier version recorded means by the rules of now. ``reason`` is as the journal has
    it."""
    told_then = re.match(r"bad request: (?:(\d{3}) ?([^ :]*): ?)?(.*)", reason, re.DOTALL)
    if told_then is None or reason == NOT_UNICODE:
        return "reject"
    status, code, words = told_then.groups()
    return from_status(int(status or 400), {}, {"error": {"code": code or "", "message": words}}).kind


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the provider asked to wait, from retry-after-ms or Retry-After (seconds or a date), within a week; None
    where it does not say so in words that can be read."""
    for name, share in (("retry-after-ms", 1000), ("retry-after", 1)):
        said = headers.get(name)
        if said is None:
            continue
        try:
            seconds = float(said[:100]) / share
        except ValueError:
            seconds = _until(said) if share == 1 else math.nan
        if not math.isnan(seconds):
            return min(max(0.0, seconds), LONGEST_ASKED_S)
    return None


def _until(date: str) -> float:
    """Seconds until an HTTP date; NaN where it is none, and infinite where it is beyond all calendars."""
    parsed = email.utils.parsedate_tz(date[:100])
    try:
        return email.utils.mktime_tz(parsed) - time.time() if parsed else math.nan
    except (OverflowError, OSError, ValueError):
        return math.inf if parsed and parsed[0] > 9999 else math.nan


def backoff(retry: int, asked: float | None) -> float:
    """Seconds before retry number ``retry`` (from 0): exponential with full jitter, never less than the provider
    asked."""
    return max(asked or 0.0, random.uniform(0, min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(retry, 30))))


def clean(text: str) -> str:
    """Text that every database and file can hold: no NUL, no half of a surrogate pair."""
    return text.replace("\x00", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def redact(text: str, keys: list[str]) -> str:
    """A provider's message as one short line in which no key stands, and nothing that a terminal would obey."""
    text = clean(text[:20_000])
    for key in keys:
        text = text.replace(key, "***")
    line = " ".join(_KEY_LIKE.sub("***", text).split())
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in line)[:300]
