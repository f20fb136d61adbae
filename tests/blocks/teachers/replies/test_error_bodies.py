"""Whose fault an error is, by the providers' documented bodies: only what is the request's own is final for it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st

from blocks.teachers.calling.faults import LONGEST_ASKED_S, from_recorded, from_status, redact, retry_after
from tests.blocks.teachers.test_reading import JSON


def openai(message: str, code: Any = None, kind: Any = "invalid_request_error") -> Any:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def claude(kind: str, message: str) -> Any:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def router(code: int, message: str, raw: Any = None) -> Any:
    return {
        "error": {
            "code": code,
            "message": message,
            "metadata": {"raw": raw, "provider_name": "X", "reasons": ["violence"], "flagged_input": "invalid api key"},
        }
    }


INVALID = "invalid_request_error"
ACCOUNT: list[tuple[int, Any]] = [
    (400, claude(INVALID, "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to "
                          "upgrade or purchase credits.")),
    (400, claude(INVALID, "You have reached your specified API usage limits. You will regain access on 2026-01-01 at "
                          "00:00 UTC.")),
    (400, claude(INVALID, "This organization has been disabled.")),
    (400, claude(INVALID, "max_tokens: 100000 > 8192, which is the maximum allowed number of output tokens for "
                          "claude-3-5-sonnet")),
    (400, claude(INVALID, "`temperature` and `top_p` cannot both be specified for this model. Please use only one.")),
    (401, claude("authentication_error", "invalid x-api-key")),
    (403, claude("permission_error", "Your API key does not have permission to use the specified resource.")),
    (404, claude("not_found_error", "model: claude-9")),
    (402, claude("billing_error", "pay")),
    (429, openai("You exceeded your current quota, please check your plan and billing "
                 "details.", "insufficient_quota", "insufficient_quota")),
    (400, openai("Billing hard limit has been reached", "billing_hard_limit_reached")),
    (429, openai("Your account is not active, please check your billing details on our "
                 "website.", "billing_not_active")),
    (400, openai("Invalid API key", "invalid_api_key")),
    (401, openai("Incorrect API key provided: sk-12345678901234567890", "invalid_api_key")),
    (403, openai("Country, region, or territory not supported", "unsupported_country_region_territory")),
    (401, openai("The OpenAI account associated with this API key has been deactivated.", "account_deactivated")),
    (404, openai("The model `gpt-9` does not exist or you do not have access to it.", "model_not_found")),
    (400, openai("The model `gpt-3` has been deprecated, learn more here", "model_not_found")),
    (403, openai("Project `proj_x` does not have access to model `gpt-4o`", "model_not_found")),
    (400, openai("Your organization must be verified to use the model `gpt-5`.", None)),
    (400, openai("Unsupported value: 'temperature' does not support 0.5 with this model. Only the default (1) value is "
                 "supported.", "unsupported_value")),
    (400, openai("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' "
                 "instead.", "unsupported_parameter")),
    (400, openai("max_tokens is too large: 100000. This model supports at most 16384 completion tokens, whereas you "
                 "provided 100000.", "invalid_value")),
    (400, openai("Unrecognized request argument supplied: reasoning_effort", None)),
    (400, openai("Organization has been restricted. Please reach out to support if you believe this was in "
                 "error.", "organization_restricted")),
    (400, openai("The model `mixtral-8x7b-32768` has been decommissioned and is no longer "
                 "supported.", "model_decommissioned")),
    (400, openai("The model `x` requires terms acceptance. Please have the org admin accept the "
                 "terms", "model_terms_required")),
    (400, openai("Unable to access non-serverless model meta-llama/X. Please create a dedicated "
                 "endpoint", "model_not_available")),
    (402, openai("Credit limit exceeded, please navigate to "
                 "https://api.together.xyz/settings/billing", None, "credit_limit")),
    (401, {"error": {"message": "Invalid API key provided.", "type": INVALID, "param": None,
    "code": "invalid_api_key"}}),
    (402, router(402, "This request requires more credits, or fewer max_tokens. You requested up to 32768 tokens, but "
                      "can only afford 1234.")),
    (402, router(402, "Insufficient credits. Add more using https://openrouter.ai/credits")),
    (404, router(404, "No endpoints found matching your data policy.")),
    (400, router(400, "openai/gpt-99 is not a valid model ID")),
    (403, router(403, "Key limit exceeded (total limit).")),
    (400, router(400, "Provider returned error", json.dumps(claude(INVALID,
    "Your credit balance is too low to access the Anthropic API.")))),
    (500, openai("quota", "insufficient_quota")),
    (403, "<html><head><title>403 Forbidden</title></head><body>nginx</body></html>"),
    (401, ""), (402, None), (403, {}), (404, "not found"), (405, {}), (407, None), (410, {}), (451, {}), (302, None),
    (400, {"detail": "Invalid credentials"}),
    (400, [{"error": {"code": 400, "message": "API key not valid. Please pass a valid API "
                                              "key.", "status": "INVALID_ARGUMENT"}}]),
    (422, {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted", "type": "extra_forbidden"}]}),
    (400, {"code": "Arrearage", "message": "Access denied, please make sure your account is in good "
                                           "standing.", "request_id": "x"}),
    (429, openai("Your account org-1 <ak-2> is suspended, please check your plan and billing "
                 "details", None, "exceeded_current_quota_error")),
    (429, openai("You exceeded your current token quota: 0, please check your account "
                 "balance", None, "exceeded_current_quota_error")),
    (429, {"error": {"code": "1113", "message": "余额不足或无可用资源包,请充值。"}}),
    (429, {"code": "Some resource has been exhausted",
    "error": "Your team x has either used all available credits or reached its monthly spending limit."}),
    (429, [{"error": {"code": 429, "message": "Your prepayment credits are depleted. Please go to AI "
                                              "Studio.", "status": "RESOURCE_EXHAUSTED"}}]),
    (400, [{"error": {"code": 400, "message": "Please enable billing on project #123",
    "status": "FAILED_PRECONDITION"}}]),
    (400, claude(INVALID, "You have reached your specified workspace API usage limits. You will regain access on "
                          "2026-01-01 at 00:00 UTC.")),
    (400, claude(INVALID, "This credential is only authorized for use with Claude Code and cannot be used for other "
                          "API requests.")),
    (400, openai("Organization has reached its configured spend limit. API access is blocked until the next billing "
                 "cycle.", "blocked_api_access")),
    (429, openai("Your account [210] has reached the set inference limit for the [x] "
                 "model", "SetLimitExceeded", "TooManyRequests")),
    (400, openai("Budget has been exceeded! Current cost: 10.0, Max budget: 5.0", "400", "budget_exceeded")),
    (400, openai("Authentication Error, Invalid proxy server token passed.", "400", "auth_error")),
    (400, {"message": "Invocation of model ID x with on-demand throughput isn't supported. Retry your request with an "
                      "inference profile."}),
]  # fmt: skip
OWN: list[tuple[int, Any]] = [
    (400, openai("This model's maximum context length is 8192 tokens. Your messages are 9001. Please reduce the length "
                 "of the messages.", "context_length_exceeded")),
    (400, openai("This model's maximum context length is 8192 tokens. Please reduce the length of the messages.")),
    (400, openai("Invalid prompt: your prompt was flagged as potentially violating our usage "
                 "policy.", "invalid_prompt")),
    (400, openai("The response was filtered due to the prompt triggering our content management "
                 "policy.", "content_filter")),
    (400, openai("Your request was rejected as a result of our safety system.", "content_policy_violation")),
    (400, openai("Invalid 'messages[0].content': string too long. Expected a string with maximum length "
                 "1048576.", "string_above_max_length")),
    (400, claude(INVALID, "prompt is too long: 210000 tokens > 200000 maximum")),
    (400, claude(INVALID, "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input "
                          "length or `max_tokens`")),
    (400, claude(INVALID, "Output blocked by content filtering policy")),
    (400, claude(INVALID, "messages: text content blocks must be non-empty")),
    (413, claude("request_too_large", "Request exceeds the maximum size")),
    (422, openai('`inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000 `inputs` tokens and 512 '
                 '`max_new_tokens`', None, "Input validation error")),
    (403, openai("Input token count + max_tokens parameter must be less than the context length of the model being "
                 "queried.")),
    (403, router(403, "openai/gpt-4 requires moderation on OpenAI. Your input was flagged for \"violence\". No credits "
                      "were charged.")),
    (400, router(400, "Provider returned error", json.dumps(openai("maximum context length is 8192 tokens",
    "context_length_exceeded")))),
    (500, {"error": {"code": 500, "message": "the request exceeds the available context size, try increasing "
                                             "it", "type": "exceed_context_size_error"}}),
]  # fmt: skip
UNCLEAR: list[tuple[int, Any]] = [
    (400, openai("Something about your request")),
    (400, {}),
    (400, None),
    (400, ""),
    (400, []),
    (422, {"error": {"message": "bad"}}),
    (400, "Bad Request"),
    (400, "<html><head><title>400 Bad Request</title></head></html>"),
    (413, "<html><title>413 Request Entity Too Large</title>"),
    (
        413,
        openai(
            "Request too large on tokens per minute (TPM): Limit 6000. Upgrade at "
            "https://console.groq.com/settings/billing",
            "rate_limit_exceeded",
        ),
    ),
    (400, openai("Failed to call a function. Please adjust your prompt.", "tool_use_failed")),
]
PASSING: list[tuple[int, Any]] = [
    (429, openai("Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000. Add a payment method at "
                 "https://x/billing.", "rate_limit_exceeded")),
    (429, openai("Rate limit reached. Need more tokens? Upgrade to Dev Tier at "
                 "https://console.groq.com/settings/billing", "rate_limit_exceeded")),
    (429, claude("rate_limit_error", "This request would exceed your organization's rate limit of 50,000 input tokens "
                                     "per minute")),
    (529, claude("overloaded_error", "Overloaded")), (500, claude("api_error", "Internal server error")), (503,
    openai("The engine is currently overloaded",
    None,
    "server_error")),
    (502, router(502, "Provider returned error", "upstream connect error")), (520, "<html>"), (522, None), (524,
    "timeout"), (408, {}), (409, {}), (425, {}), (599, {}), (999, {}),
    (502, "<html><head><title>502 Bad Gateway</title></head></html>"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "table"),
    [("unavailable", ACCOUNT), ("reject", OWN), ("unclear", UNCLEAR), ("retry", PASSING)],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_whose_fault_it_is(kind: str, table: list[tuple[int, Any]]) -> None:
    for status, body in table:
        bodies = [body]
        if isinstance(body, dict) and isinstance(body.get("error"), dict):
            bodies += [body["error"], [body], json.dumps(body)]  # as the SDKs unwrap it, as Gemini wraps it, as text
        for found in bodies:
            assert from_status(status, {}, found).kind == kind, (status, found, from_status(status, {}, found).reason)


def test_the_providers_own_words_are_the_reason() -> None:
    assert from_status(*ACCOUNT[0][:1], {}, ACCOUNT[0][1]).reason.startswith(
        "400 invalid_request_error: Your credit balance is too low"
    )
    nested = from_status(
        400, {}, router(400, "Provider returned error", json.dumps(claude(INVALID, "Your credit balance is too low")))
    )
    assert nested.reason == "400 invalid_request_error: Provider returned error: Your credit balance is too low"
    assert (
        from_status(403, {}, "<html><head><title>Access &amp; denied</title></head>").reason
        == "403: a page: Access & denied"
    )
    assert from_status(422, {}, {"detail": [{"msg": "Field required", "loc": ["x"]}]}).reason == "422: Field required"
    assert from_status(400, {}, "plain words").reason == "400: plain words"
    assert redact("\x1b[31mred\x07 half \ud800 NUL\x00\nline", []).isprintable()


@how(max_examples=200, deadline=None)
@given(status=st.integers(100, 999), body=JSON | st.text(max_size=50), said=st.text(max_size=20) | st.floats().map(str))
def test_no_error_is_an_error_of_ours(status: int, body: Any, said: str) -> None:
    fault = from_status(status, {"retry-after": said}, body)
    assert fault.kind in ("retry", "reject", "unavailable", "unclear")
    assert fault.wait is None or 0 <= fault.wait <= LONGEST_ASKED_S
    assert redact(fault.reason, ["key"]).isprintable()


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("-5", 0), ("NaN", None), ("inf", LONGEST_ASKED_S), ("-inf", 0), ("1e400", LONGEST_ASKED_S), ("9" * 400,
    LONGEST_ASKED_S), ("", None), ("soon", None),
     ("Fri, 31 Dec 99999 23:59:59 GMT", LONGEST_ASKED_S), ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_ASKED_S),
     ("Thu, 99 Foo 2025 99:99:99 GMT", None), ("\ud800", None)],
)  # fmt: skip
def test_waits_are_bounded(said: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": said}) == seconds
    assert retry_after({"retry-after-ms": "nan", "retry-after": "3"}) == 3


def test_what_earlier_versions_recorded_as_final() -> None:
    for status, body in ACCOUNT:
        if isinstance(body, dict) and isinstance(body.get("error"), dict) and 400 <= status < 500:
            error = body["error"]
            assert (
                from_recorded(f"bad request: {status} {error.get('code') or error.get('type')}: {error['message']}")
                != "reject"
            ), body
    assert from_recorded("bad request: Your credit balance is too low") == "unavailable"
    assert from_recorded("bad request: 400 context_length_exceeded: too long") == "reject"
    for own in (
        "content filter: 400 content_filter: no",
        "empty answer",
        "refused: no",
        "bad request: the prompt holds characters that are not Unicode text",
    ):
        assert from_recorded(own) == "reject"
