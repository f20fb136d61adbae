"""What providers say in the bodies of their errors: the code and the words, and whose fault it is by them.

Bodies come as OpenAI's, Anthropic's and Together's objects, OpenRouter's with another provider's body inside of it,
lists (Gemini), ``detail`` (FastAPI), plain text, and a gateway's page of HTML. Not here: statuses (faults.py).
"""

import json
import re
from html import unescape
from typing import Any, Literal

Whose = Literal["account", "request"]
_DEPTH, _LENGTH = 10, 2000
_CODES = ("code", "type", "error_code", "error_type", "status", "status_code")
_WORDS = (
    "message",
    "msg",
    "error_message",
    "error_description",
    "detail",
    "title",
    "error",
    "raw",
    "errors",
    "metadata",
    "innererror",
    "reason",
    "error_msg",
    "status_msg",
    "base_resp",
)
_TOKENS = ("prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens")
_NO_CODE = {"error", "none", "null", "fail", "failed"}


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


_ACCOUNT_CODES = _any(
    r"insufficient_(quota|credits?|funds|balance|permissions?)|billing_\w+|payment_required|credit_limit\w*|usage_limit\w*",
    r"spend\w*_limit\w*|key_limit\w*|account_\w+|access_(terminated|denied)|organization_\w+|project_\w+",
    r"invalid_(api_key|organization|project|authentication)|incorrect_api_key\w*|authentication_error|unauthorized",
    r"permission_(error|denied)|forbidden|unauthenticated|unsupported_(country\w*|parameter|value|model)|unknown_parameter",
    r"model_(not_found|decommissioned|terms_required|not_active|not_available|permission\w*|unavailable|deprecated)",
    r"not_found_error|invalid_model|unknown_model",
    r"arrearage|accountoverdue\w*|exceeded_current_quota\w*|setlimitexceeded|blocked_api_access|budget_exceeded|auth_error",
)
"""The account, its key, the model, or a setting: a person mends it, and then the same request is answered."""
_NO_MONEY = (
    r"credit balance|billing hard limit|insufficient (credits|balance|funds)|credits are depleted|used all available "
    r"credits"
    r"|account[\w <>.-]{0,60}\b(suspended|overdue)|overdue (balance|payment)|in arrears|余额不足|欠费"
)
"""What even an answer with the status of a rate limit means by itself."""
_SETTING = (
    "temperature|top_p|top_k|max_tokens|max_completion_tokens|"
    "reasoning_effort|response_format|stop|seed|system|thinking"
)
_LIMIT = r"max(_completion|_output)?_tokens"
_ACCOUNT_WORDS = _any(
    rf"{_NO_MONEY}|in good standing|enable billing|budget has been exceeded|(spend|spending) limit\b|on-demand "
    r"throughput",
    r"only authorized for use|invalid[\w ]{0,20} token passed",
    r"(insufficient|not enough|out of|more|have no) (credits?|funds|balance|quota)\b|credit limit exceeded",
    r"can only afford|billing hard limit|billing (is )?not active|check your plan and billing|key limit exceeded",
    r"(reached|exceeded) your (specified )?(workspace )?(api )?(usage|spend\w*|monthly) limits?",
    r"(account|organi[sz]ation|project|workspace|team)[\w .'-]{0,40}\b(deactivated|disabled|restricted|suspended)\b",
    r"(account|organi[sz]ation|project|workspace|team)[\w .'-]{0,40}\b(terminated|blocked|verified)\b",
    r"(invalid|incorrect|missing|expired|revoked|disabled|wrong|no|bad)[\w ]{0,12} (api[ -]?key|x-api-key|bearer)\b",
    r"(invalid|incorrect|missing|expired|revoked|wrong|no|bad)[\w ]{0,12} (credentials?|(access|auth) token)\b",
    r"api key[\w ]{0,20}\b(invalid|expired|disabled|revoked|not valid|limit)",
    r"does not have (access|permission)|not (authorized|permitted) to (use|access)|unable to access[\w -]{0,20} model",
    r"\bmodel\b[\w ./:`'\"-]{0,120}(does not exist|not found|decommissioned|deprecated|no longer "
    r"(available|supported))",
    r"\bmodel\b[\w ./:`'\"-]{0,120}(retired|removed|shut down|terms acceptance|is not available|not a valid model)",
    r"\b(no|invalid|unknown|not a valid) (such )?model\b|no (allowed )?(endpoints|providers)\b",
    r"not available in your (region|country)|(region|country|location)[\w, ]{0,40}not supported",
    r"unsupported (parameter|value|model)|unrecognized request argument|unknown (parameter|field|name)\b",
    r"extra inputs are not permitted|unexpected (keyword|field|parameter)|maximum allowed number of output tokens",
    rf"\b({_SETTING})\b[\w :`'\"-]{{0,60}}(not supported|unsupported|deprecated|cannot both|not allowed|invalid)",
    rf"does not support[\w `'\"]{{0,30}}({_SETTING}|parameter|value|reasoning)",
    rf"{_LIMIT}[`'\" ]{{0,3}}is too large|{_LIMIT}[\w `':,]{{0,30}}(must be (less|at most)|<=|>)",
)
_REQUEST_CODES = _any(
    r"\w*content_?(filter|policy)\w*|responsibleaipolicyviolation|moderation\w*|data_inspection_failed|invalid_prompt",
    r"safety\w*|prohibited_content|context_(length|window)_exceeded|string_above_max_length|request_too_large",
    r"prompt_too_long|exceed_context_size_error|exceeds_context\w*",
)
"""Positively the request's own fault: its content, or its length."""
_REQUEST_WORDS = _any(
    r"\b(input|prompt|request|content|message)s? (was|were|has been|is|got) (flagged|blocked|rejected)\b",
    r"flagged (for|as|by)\b|content (filtering|management|moderation) policy|blocked by content|content policy "
    r"violation",
    r"requires moderation|violat\w+ (our |the |openai's )?(usage|content|safety) polic",
    r"maximum context length|prompt is too long|(context|input) (window|length|size)[\w `]{0,30}exceed",
    r"exceeds?[\w ]{0,30}context (window|length|size|limit)|longer than the model'?s context|too many input tokens",
    r"less than the context length|inputs?`?[\"']? tokens \+|reduce the length of|string too long",
    r"\b(prompt|input|request|payload|message)s?[\w ]{0,20} (is )?too (long|large)\b",
    r"must (be|have) non-?empty|must not be empty",
)
_RATE_WORDS = _any(r"\b(tokens|requests) per (min|minute|day|hour)|\b[tr]p[md]\b|rate.?limit")


def told(body: Any) -> tuple[str, str]:
    """The code and the words of an error's body, where it has them; the words are one line."""
    codes, words = _codes_and_words(body)
    named = [code for code in codes if not code.isdecimal()] or codes
    return named[0] if named else "", ": ".join(words)[:_LENGTH]


def whose(body: Any, *, limited: bool) -> Whose | None:
    """Whose fault it is by what the body says; None where it does not say. ``limited``: the status means a rate limit,
    whose words name plans and bills too and ask for fewer tokens, so that only a code is believed.

    A code counts before words, since words may repeat what was asked.
    """
    codes, words = _codes_and_words(body)
    lower, said = [code.lower() for code in codes], " ".join(words)[:_LENGTH].lower()
    if any(_REQUEST_CODES.fullmatch(code) for code in lower):
        return "request"
    if any(_ACCOUNT_CODES.fullmatch(code) for code in lower):
        return "account"
    if limited:
        return "account" if re.search(_NO_MONEY, said) else None
    if _RATE_WORDS.search(said) or any(_RATE_WORDS.search(code) for code in lower):
        return None
    if "context" in said and _REQUEST_WORDS.search(said):  # such a message may name max_tokens too
        return "request"
    if _ACCOUNT_WORDS.search(said):
        return "account"
    return "request" if _REQUEST_WORDS.search(said) else None


def is_error(body: Any) -> bool:
    """Whether a body that came with status 200 is an error all the same: as OpenRouter's, or as MiniMax
    (``base_resp``), Baidu (``error_code``), older vLLM (``object: error``), FastAPI (``detail``) and gateways (``code``
    with ``message``) write them."""
    if not isinstance(body, dict):
        return False
    if body.get("error"):
        return True
    marked = any(body.get(name) for name in ("error_code", "error_msg", "base_resp", "detail")) or "error" in (
        body.get("object"),
        body.get("type"),
    )
    return bool((marked or (body.get("code") and (body.get("message") or body.get("msg")))) and told(body)[1])


def counts_tokens(usage: Any) -> bool:
    """Whether the ``usage`` beside an error says that tokens were used, which are charged."""
    return isinstance(usage, dict) and any(usage.get(name) for name in _TOKENS)


def is_page(body: Any) -> bool:
    """Whether a gateway answered with a page instead of the provider."""
    return isinstance(body, str) and bool(
        re.match(r"\s*<(!doctype|html|head|body|\?xml|title|h1)", body[:200], re.IGNORECASE)
    )


def _codes_and_words(body: Any) -> tuple[list[str], list[str]]:
    codes: list[str] = []
    words: list[str] = []
    _walk(body, codes, words, 0)
    return codes[:8], words[:4]


def _walk(found: Any, codes: list[str], words: list[str], depth: int) -> None:
    if depth > _DEPTH or len(words) >= 4:
        return
    if isinstance(found, str):
        _say(found, codes, words, depth)
    elif isinstance(found, list):
        for each in found[:3]:
            _walk(each, codes, words, depth + 1)
    elif isinstance(found, dict):
        for name in _CODES:
            code = found.get(name)
            if (
                isinstance(code, str | int)
                and not isinstance(code, bool)
                and code != ""
                and str(code)[:80].lower() not in _NO_CODE
            ):
                codes.append(" ".join(str(code)[:80].split()))
        for name in _WORDS:
            _walk(found.get(name), codes, words, depth + 1)


def _say(text: str, codes: list[str], words: list[str], depth: int) -> None:
    """A text: a body within the body, a page, or words."""
    text = text[: 16 * _LENGTH].strip()
    if text[:1] in ("{", "["):
        try:
            inside = json.loads(text)
        except (ValueError, RecursionError):
            pass
        else:
            return _walk(inside, codes, words, depth + 1)
    if is_page(text):
        title = re.search(r"<(title|h1)[^>]*>([^<]{1,300})", text, re.IGNORECASE)
        text = "a page: " + unescape(title[2] if title else re.sub(r"<[^>]{0,300}>", " ", text[:_LENGTH]))
    line = " ".join(text.split())[:_LENGTH]
    if line and line not in words:
        words.append(line)
