"""Secrets with a provider's own prefix, JSON web tokens, private keys. Not here: passwords, which have no form."""

import base64
import re

_KEY = re.compile(
    r"\b(?:sk-(?:ant-(?:api\d\d-)?|proj-|or-(?:v\d-)?|svcacct-)?|gsk_|gh[pousr]_|github_pat_|AKIA|AIza|xox[abprs]-|hf_|[sr]k_live_|tgp_v1_|xai-)"
    r"([A-Za-z0-9_-]{10,})"
)
_SHORTEST = (
    ("AKIA", 16),
    ("AIza", 35),
    ("xox", 10),
    ("sk-", 20),
    ("gsk_", 20),
    ("gh", 22),
    ("hf_", 30),
    ("sk_", 20),
    ("rk_", 20),
    ("tgp", 20),
    ("xai", 20),
)
_TOKEN = re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.(eyJ[A-Za-z0-9_-]{10,})\.[A-Za-z0-9_-]{10,}")
_PEM = re.compile(
    r"-----BEGIN (?:[A-Z]+ )*PRIVATE "
    r"KEY-----(?:\s|\\n)+(?:Proc-Type:|[A-Za-z0-9+/=]{20}|[A-Za-z0-9+/=]{4,}(?:\s*\n|\s*$|\\n))"
)
_SAMPLE = re.compile(
    r"example|sample|dummy|placeholder|your|fake|test|xxxx|1234567890|0123456789|abcdefgh|changeme|redacted|\bdeadbeef",
    re.IGNORECASE,
)
# Documented by their providers as samples: the beginnings suffice.
_DOCUMENTED = (
    "AKIAIOSFODNN7",
    "AKIAI44QH8DHB",
    "AIzaSyDaGmWKa4JsXZ-HjGw7ISLn_3namBGewQe",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
)


def key(text: str) -> bool:
    """A secret with a provider's own prefix, a JSON web token, or a private key in PEM form. Samples out of
    documentation, placeholders and names made of words pass."""
    if any(_is_secret(found) for found in _KEY.finditer(text)):
        return True
    return any(not _is_sample(found[1]) for found in _TOKEN.finditer(text)) or _PEM.search(text) is not None


def _is_secret(found: re.Match[str]) -> bool:
    whole, secret = found[0], found[1]
    shortest = next(size for prefix, size in _SHORTEST if whole.startswith(prefix))
    if len(secret) < shortest or whole.startswith(_DOCUMENTED) or _SAMPLE.search(secret) or len(set(secret)) < 8:
        return False
    if whole.startswith(("AKIA", "AIza", "xox")):  # of a fixed form that no word has
        return True
    runs = re.split(r"[-_]", secret)
    return any(len(run) >= 10 and _is_random(run) for run in runs) or (
        _is_random("".join(runs)) and max(map(len, runs)) > 7
    )


def _is_random(run: str) -> bool:
    """Letters with digits among them, in no order that a word has: a slug has its digits at an end, if any."""
    inner = run.strip("0123456789")
    return sum(char.isdigit() for char in inner) >= 2 or (
        any(char.isdigit() for char in inner) and not inner.islower() and not inner.isupper()
    )


def _is_sample(payload: str) -> bool:
    """Whether a token's payload is that of the examples in the documentation of JSON web tokens."""
    try:
        content = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    except ValueError:
        return False
    return any(known in content for known in (b"John Doe", b"1234567890", b"Jane Doe", b"example.com", b'"joe"'))
