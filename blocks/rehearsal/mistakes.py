"""Plausible wrong answers: off by one, two words swapped, another name of the passage, the wrong operator.

Not here: when a teacher errs (teachers.py).
"""

import json
import re
from random import Random

from blocks.records import Expected

_OTHER_SIGN = {"+": "-", "-": "+", "*": "+", "<": ">", ">": "<", "!=": "=="}


def mistake(expected: Expected, response: str, prompt: str, rng: Random) -> str:
    """A wrong answer of the same shape as ``response``, made of what stands in the prompt."""
    if expected.kind == "code":
        return _wrong_code(response, rng)
    if expected.kind == "call":
        return _wrong_call(response, prompt, rng)
    if expected.kind == "value":
        return _off(response, rng)
    return _wrong_text(response, prompt, rng)


def cut(text: str, rng: Random) -> str:
    """A text that breaks off somewhere in its second half."""
    return text[: rng.randint(len(text) // 2, max(len(text) // 2, len(text) - 3))]


def _off(number: str, rng: Random) -> str:
    return str(int(number) + rng.choice((-10, -1, 1, 10)))


def _wrong_code(response: str, rng: Random) -> str:
    """A changed operator or number in the returned expression."""
    head, returns, body = response.partition("return ")
    signs = list(re.finditer(r"!=|[-+*<>]", body))
    numbers = list(re.finditer(r"\d+", body))
    if signs and rng.random() < 0.5:
        at = rng.choice(signs)
        return head + returns + body[: at.start()] + _OTHER_SIGN[at[0]] + body[at.end() :]
    at = rng.choice(numbers)
    return head + returns + body[: at.start()] + str(int(at[0]) + 1) + body[at.end() :]


def _wrong_call(response: str, prompt: str, rng: Random) -> str:
    call = json.loads(response)
    name = rng.choice([key for key in call if key != "tool"])
    call[name] = call[name] + 1 if isinstance(call[name], int) else _other_word(call[name], prompt, rng)
    return json.dumps(call, separators=(",", ":"))


def _wrong_text(response: str, prompt: str, rng: Random) -> str:
    words = response.split()
    if words[0].isdecimal() or words[-1].isdecimal():  # a count beside words
        at = 0 if words[0].isdecimal() else -1
        words[at] = str(int(words[at]) + 1)
        return " ".join(words)
    different = [(i, j) for i in range(len(words)) for j in range(i) if words[i] != words[j]]
    if not different:
        return _other_word(response, prompt, rng)
    i, j = rng.choice(different)
    words[i], words[j] = words[j], words[i]
    return " ".join(words)


def _other_word(word: str, prompt: str, rng: Random) -> str:
    """Another word of the prompt, of the same capitalisation where there is one."""
    words = [other for other in dict.fromkeys(re.findall(r"[A-Za-z]{3,}", prompt)) if other != word]
    alike = [other for other in words if other[0].isupper() == word[0].isupper()]
    return rng.choice(alike or words)
