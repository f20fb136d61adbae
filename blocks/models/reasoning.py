"""A reasoning model's answer without its reasoning: the one place that knows how models of every family mark it.

Taken for reasoning: a tagged section at the start of a text (several may follow each other); whatever comes before a
closing tag whose opening tag stood in the prompt (templates of DeepSeek and Qwen); every channel of gpt-oss but the
final one; a text that begins with "Thought:" up to its "Answer:". Further on in a text only the tags that models
reserve for it (``<think>`` and its like) count, and not within code or quotes, nor where a sentence goes on in lower
case behind them: an answer may speak of tags. Reasoning that is not closed was cut off: then there is no answer. Not
here: the sections of this project's own hard answers (template.py), and what a provider sends in a field of its own
(teachers/chat.py).
"""

import re
from collections.abc import Iterator

_RESERVED = {
    "<think>": "</think>",
    "[think]": "[/think]",
    "<seed:think>": "</seed:think>",
    "◁think▷": "◁/think▷",
    "<|start_thinking|>": "<|end_thinking|>",
    "<|begin_of_thought|>": "<|end_of_thought|>",
}
_NAMES = ("thinking", "thoughts", "thought", "reasoning", "reflection", "scratchpad", "internal_monologue")
_PAIRS = _RESERVED | {f"<{name}>": f"</{name}>" for name in _NAMES}


def _any(tags: list[str]) -> str:
    return "(?:" + "|".join(map(re.escape, tags)) + ")"


_OPENING = re.compile(_any([*_PAIRS]), re.IGNORECASE)
_RESERVED_OPENING = re.compile(_any([*_RESERVED]), re.IGNORECASE)
_BEGINS_LINE = re.compile(r"^[ \t]*+(?P<tag>" + _any([*_RESERVED]) + ")", re.IGNORECASE | re.MULTILINE)
_CLOSING = re.compile(_any([*_RESERVED.values()]), re.IGNORECASE)
_CLOSES = {opening: re.compile(re.escape(closing), re.IGNORECASE) for opening, closing in _PAIRS.items()}
_CODE = re.compile(
    r"^[ \t]*+(?P<fence>```+|~~~+).*?(?:^[ "
    r"\t]*+(?P=fence)|\Z)|(?<!`)`(?!`)[^`\n]*+`(?!`)|(?<!`)``(?!`)(?:[^`\n]|`(?!`))*+``(?!`)",
    re.DOTALL | re.MULTILINE,
)
_GOES_ON = re.compile(r"[ \t]+[a-z]")
_QUOTES = "\"'`“”‘’«»"
_WRAPPED = re.compile(r"<(?P<tag>answer|output|response)>(?P<text>.*?)(?:</(?P=tag)>)?\s*", re.DOTALL | re.IGNORECASE)
_SOLUTION = re.compile(r"<\|(?:begin_of_solution|start_response|end_of_solution|end_response)\|>", re.IGNORECASE)
_CHANNEL = re.compile(r"\s*(?:<\|start\|>assistant)?<\|channel\|>")
_FINAL = re.compile(r"<\|channel\|>final\b[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>")
_END = re.compile(r"<\|(?:return|end|call)\|>")
_BARE_FINAL = "assistantfinal"  # the channels of gpt-oss where a server dropped the control tokens
_THOUGHT = re.compile(r"[\s*#]*(?:thoughts?|thinking|here(?: i|')s my thought process)[ \t*]*:", re.IGNORECASE)
_ANSWER = re.compile(
    r"^[ \t*#]*(?:(?:final )?(?:answer|response|output)|here(?: i|')s my response)[ \t*]*:[ \t*]*",
    re.IGNORECASE | re.MULTILINE,
)


def answer_of(text: str) -> str:
    """What a text says beside its reasoning; a text without reasoning as it stands. Empty where it is reasoning alone,
    or breaks off in it."""
    rest = after_leading(text)
    code = _code(rest)
    if closed := [tag.end() for tag in _meant(_CLOSING, rest, code)]:
        rest = rest[closed[-1] :]
        code = _code(rest)
    if next(_meant(_BEGINS_LINE, rest, code), None) is not None:
        return ""
    return text if rest == text else _unwrapped(rest)


def after_leading(text: str) -> str:
    """The text behind the reasoning that it begins with; reasoning that is opened and closed further on stays."""
    if _CHANNEL.match(text):
        finals = list(_FINAL.finditer(text))
        return _END.split(text[finals[-1].end() :], maxsplit=1)[0].strip() if finals else ""
    if text.startswith("analysis") and _BARE_FINAL in text:
        return text.rpartition(_BARE_FINAL)[2].strip()
    at = 0
    while opened := _OPENING.match(text, _past_space(text, at)):
        closed = _CLOSES[opened[0].lower()].search(text, opened.end())
        if closed is None:
            return ""
        at = closed.end()
    rest = text[at:]
    code = _code(rest)
    first_opened = next(_meant(_RESERVED_OPENING, rest, code), None)
    before = len(rest) if first_opened is None else first_opened.start()
    if unopened := [tag.end() for tag in _meant(_CLOSING, rest, code) if tag.end() <= before]:
        rest = rest[unopened[-1] :]
    if _THOUGHT.match(rest) and (answers := list(_ANSWER.finditer(rest))):
        rest = rest[answers[-1].end() :]
    return text if rest == text else _unwrapped(rest)


def _past_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _code(text: str) -> list[tuple[int, int]]:
    """The spans of fenced blocks and of code in backticks, where tags make it worth to look."""
    return (
        [found.span() for found in _CODE.finditer(text)]
        if _RESERVED_OPENING.search(text) or _CLOSING.search(text)
        else []
    )


def _meant(tag: "re.Pattern[str]", text: str, code: list[tuple[int, int]]) -> Iterator["re.Match[str]"]:
    """The tags in a text that are neither code nor spoken of."""
    at = 0
    for found in tag.finditer(text):
        while at < len(code) and code[at][1] <= found.start():
            at += 1
        within = at < len(code) and code[at][0] <= found.start()
        begins = found.start("tag") if "tag" in tag.groupindex else found.start()
        quoted = any(
            character in _QUOTES
            for character in text[max(begins - 1, 0) : begins] + text[found.end() : found.end() + 1]
        )
        if not within and not quoted and not _GOES_ON.match(text, found.end()):
            yield found


def _unwrapped(text: str) -> str:
    """The answer out of the wrapping that some models put around what follows their reasoning."""
    text = _SOLUTION.sub("", text).strip()
    found = _WRAPPED.fullmatch(text)
    return found["text"].strip() if found else text
