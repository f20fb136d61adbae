"""A student's chat format read off its Jinja template: the template is rendered for probing conversations, and what
stands between their contents is the format.

That works for every template that is a sequence of turns; any other is refused with one line. Templates come with
models, so they run in Jinja's sandbox. Not here: what the format is used for (template.py), and whether llama.cpp
renders it alike (blocks/engines/llama_cpp/rendering.py).
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from blocks.models import json_object, template, vocabulary
from blocks.models.template import ANSWER, LLAMA, NOTHING, Message, Reading, Template
from configs.errors import BadInput

Turns = Sequence[tuple[str, str]]  # (role, content)
Rendering = Callable[[Turns, bool], str]
_TEXTS = ("Qaddw", "Rbeex", "Scffy", "Tdggz", "Uehhq")  # of the probes; no template contains them
# Conversations on which every rendering has to be the same: lines, signs, several scripts, Jinja's own marks.
PROBES: tuple[Turns, ...] = (
    (("user", "What is 3 + 4?"),),
    (("user", "Zwölf Äpfel\n\n\tund 日本語 🙂 {{ x }} {% y %} <b>&amp;</b>"), ("assistant", "{}"), ("user", '"\\n"')),
    (("user", "a"), ("assistant", "b\nc"), ("user", "d"), ("assistant", "None"), ("user", "0")),
)
_SPACED = "  x\n y \n"


class Source(NamedTuple):
    """What a chat format is read from. ``where``: for messages. ``jinja``: the chat template. ``control``: the control
    tokens of the vocabulary. ``special``: bos_token, eos_token, … as the template knows them. ``stops``: tokens that
    end an answer, as configured and by llama.cpp. ``reading``: what the tokenizer does to texts."""

    where: Path
    jinja: str | None
    control: frozenset[str]
    special: dict[str, str]
    stops: tuple[str, ...]
    reading: Reading


def of_folder(folder: Path) -> Template:
    """As :meth:`blocks.models.template.Template.of`."""
    words = vocabulary.read(folder, None)
    control = frozenset(text for text, number in words.ids.items() if words.kinds[number] == "control")
    return derive(
        Source(
            where=folder,
            jinja=words.template,
            control=control,
            special=words.special,
            stops=(*_configured_stops(folder, words.tokens), *(one for one in template.ENDS if one in words.ids)),
            reading=words.reading,
        )
    )


def derive(source: Source) -> Template:
    """The chat format of ``source``.

    Raises:
        BadInput: no chat template, no end token, or a template that is no sequence of turns.
    """
    if template.of_llama(source.control):
        return LLAMA
    where = f"{source.where}: its tokenizer"
    if not source.jinja:
        raise BadInput(
            f"{where} has no chat template; take the chat (instruct) version of the model, or add chat_template.jinja"
        )
    return of_jinja(source.jinja, source)


def of_jinja(jinja: str, source: Source) -> Template:
    """The chat format that ``jinja`` writes, with the tokens of ``source``."""

    def render(turns: Turns, generate: bool) -> str:
        return rendered(jinja, source.special, turns, generate)

    frame = _frame(render, source)
    closing = _first_token(frame["assistant>user"], source.control)
    if closing is None:
        raise BadInput(
            f"{source.where}: its chat template ends the assistant's turn with {frame['assistant>user'][:40]!r}, which "
            "does not begin with an end token (an added token with special true); an answer would never end"
        )
    joints = "".join(frame.values())
    control = tuple(sorted({closing, *(token for token in source.control if token in joints)}))
    if (pair := template.overlapping(control)) is not None:
        raise BadInput(f"{source.where}: control tokens {pair[0]!r} and {pair[1]!r} cannot be told apart in a text")
    pad = source.special.get("pad_token")
    found = Template(
        name=template.named(frame, closing),
        frame=frame,
        closing=closing,
        stops=tuple(dict.fromkeys([closing, *source.stops])),
        pad=pad if pad in source.control else closing,
        control=control,
        system=_slipped_in(frame),
        trims=_SPACED not in render([("user", _SPACED)], True),
        thinking_off="enable_thinking" in jinja and frame["user>assistant"] != frame[f"user>{ANSWER}"],
        reading=source.reading,
    )
    refuse_unequal(found, render, source.where, "Jinja")
    return found


def refuse_unequal(found: Template, render: Rendering, where: Path, who: str) -> None:
    """Hold the format against another rendering of the probing conversations.

    Raises:
        BadInput: they differ.
    """
    for turns in probes(found):
        messages = [Message.model_validate({"role": role, "content": content}) for role, content in turns]
        ours, theirs = found.render(messages, generate=True), render(turns, True)
        if ours != theirs:
            at = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), 0)
            raise BadInput(
                f"{where}: its chat template, rendered by {who}, is no plain sequence of turns: for {len(turns)} "
                f"messages it has {theirs[max(0, at - 20) : at + 30]!r} instead of "
                f"{ours[max(0, at - 20) : at + 30]!r}; give the student a template that writes every message as it is"
            )


def probes(found: Template) -> list[Turns]:
    """The probing conversations that a format can write."""
    wanted: list[Turns] = [*PROBES, (("user", _SPACED), ("assistant", _SPACED), ("user", _SPACED))]
    if f"{NOTHING}>system" in found.frame:
        wanted += [(("system", "Be brief.\n"), *turns) for turns in wanted[:2]]
    return wanted


def rendered(jinja: str, special: dict[str, str], turns: Turns, generate: bool) -> str:
    """A conversation by the Jinja template, as transformers renders it.

    Raises:
        BadInput: the template is no Jinja, refuses the conversation, or writes the date.
    """
    messages = [{"role": role, "content": content} for role, content in turns]
    text: str = _compiled(jinja).render(
        messages=messages,
        add_generation_prompt=generate,
        enable_thinking=False,
        tools=None,
        documents=None,
        **special,
    )
    return text


@lru_cache(maxsize=8)
def _compiled(jinja: str) -> Any:
    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """``{% generation %}`` marks the assistant's words for training; it writes nothing."""

        tags = {"generation"}  # noqa: RUF012 - as Jinja declares it

        def parse(self, parser: Any) -> list[nodes.Node]:
            next(parser.stream)
            body: list[nodes.Node] = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return body

    def refuse(message: str) -> NoReturn:
        raise TemplateError(message)

    def dated(form: str) -> NoReturn:
        raise TemplateError("it writes the date, so that a model would be asked otherwise every day")

    def to_json(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
        import json

        return json.dumps(value, ensure_ascii=ensure_ascii, **options)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = to_json
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = dated
    return environment.from_string(jinja)


def _frame(render: Rendering, source: Source) -> dict[str, str]:
    """What stands between the contents of turns, by the roles before and after."""

    def joints(roles: Sequence[str], generate: bool) -> list[str] | None:
        """What stands before, between and after the contents of turns with these roles; None where one is not there
        exactly once, or the template refuses them."""
        contents = _TEXTS[: len(roles)]
        try:
            text = render(list(zip(roles, contents, strict=True)), generate)
        except Exception as error:  # the template's own raise_exception, and all that Jinja raises
            faults.append(" ".join(str(error).split())[:120] or type(error).__name__)
            return None
        found = []
        for content in contents:
            before, there, text = text.partition(content)
            if not there:
                return None
            found.append(before)
        return [*found, text]

    faults: list[str] = []
    asked = joints(["user", "assistant", "user", "assistant", "user"], True)
    answered = joints(["user", "assistant"], False)
    if asked is None or answered is None or asked[1:3] != asked[3:5]:
        why = f" ({faults[0]})" if faults else ""
        raise BadInput(
            f"{source.where}: its chat template does not write user, assistant, user, … as one turn after the other"
            f"{why}; give the student one that does"
        )
    first, to_answer, to_user, opened = asked[0], asked[1], asked[2], asked[5]
    frame = {
        f"{NOTHING}>user": first,
        "user>assistant": to_answer,
        "assistant>user": to_user,
        f"user>{ANSWER}": opened,
        f"assistant>{NOTHING}": answered[2],
    }
    guided = joints(["system", "user", "assistant", "user"], True)
    if guided is not None and guided[2:] == [to_answer, to_user, opened]:
        frame |= {f"{NOTHING}>system": guided[0], "system>user": guided[1]}
    return frame


def _first_token(text: str, control: frozenset[str]) -> str | None:
    return max((token for token in control if text.startswith(token)), key=len, default=None)


def _slipped_in(frame: dict[str, str]) -> str | None:
    """The system text that stands there although the conversation has none."""
    opening, closing, first = (frame.get(one, "") for one in (f"{NOTHING}>system", "system>user", f"{NOTHING}>user"))
    inside = first.removeprefix(opening).removesuffix(closing)
    return inside if opening and closing and len(opening) + len(inside) + len(closing) == len(first) else None


def _configured_stops(folder: Path, tokens: list[str]) -> tuple[str, ...]:
    """The tokens that end an answer by generation_config.json or config.json, where the folder has them."""
    for name in ("generation_config.json", "config.json"):
        if (folder / name).is_file():
            ids = json_object.read(folder / name).get("eos_token_id")
            listed = ids if isinstance(ids, list) else [ids]
            found = [tokens[one] for one in listed if type(one) is int and 0 <= one < len(tokens)]
            if found:
                return tuple(found)
    return ()
