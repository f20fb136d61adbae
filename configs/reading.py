"""YAML that a person wrote, read within bounds: its bytes, its depth, what its aliases repeat, and which kinds of
values it holds.

A document is what a profile needs and no more: mappings with text as keys, lists, text, numbers, true, false and null.
Not here: what the fields mean (schema.py, phases/).
"""

import os
import re
import stat
from pathlib import Path
from typing import Any

import yaml

from configs.errors import BadInput

BYTES = 1 << 18  # the largest profile here has a tenth of that
DEPTH = 40  # a profile has 8
NODES = 20_000  # keys and values, what an alias repeats counted each time
ALIASES = 200
DIGITS = 400  # of one number; no float has an exponent of more, no 64 bits more than 20
SHOWN = 100  # characters of a person's text in an error

_CORE = "tag:yaml.org,2002:"
_NO_TEXT = re.compile("[\0\ud800-\udfff]")  # no file's name and no server takes them
_PLAIN = {_CORE + name for name in ("null", "bool", "int", "float", "str", "seq", "map", "merge")}


def read_yaml(path: Path) -> Any:
    """What stands in a YAML file.

    Raises:
        BadInput: it is no file, too large, not UTF-8, not YAML, or more than settings hold.
    """
    return parse_yaml(_text(path), str(path))


def parse_yaml(text: str, where: str) -> Any:
    """What ``text`` says; ``where`` names it in errors.

    Raises:
        BadInput: as :func:`read_yaml`.
    """
    try:
        return yaml.load(text, _Bounded)
    except yaml.MarkedYAMLError as error:
        problem, mark = " ".join(str(error.problem or error.context).split()), error.problem_mark or error.context_mark
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise BadInput(f"{where}: not readable as YAML: {cut(problem, 400)}{place}") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the latter two of escapes that are no character
        raise BadInput(f"{where}: not readable as YAML: {cut(' '.join(str(error).split()), 400)}") from None


def cut(text: str, length: int = SHOWN) -> str:
    """``text``, its middle left out where it is longer than ``length`` characters."""
    if len(text) <= length:
        return text
    head, tail = text[: length * 2 // 3], text[-(length // 3) :]
    return f"{head} … ({len(text) - len(head) - len(tail):,} characters left out) … {tail}"


def quoted(value: object) -> str:
    """A value as Python writes it, cut; one that cannot be written (an integer of thousands of digits) by its kind."""
    try:
        return repr(cut(value)) if isinstance(value, str) else cut(repr(value))
    except (ValueError, RecursionError):
        return f"a {type(value).__name__}"


def _text(path: Path) -> str:
    """The file's text. Whatever else has a name is not opened for long: a pipe would wait for its writer, a device may
    have no end."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        raise BadInput(f"{path}: {'a folder' if stat.S_ISDIR(mode) else 'a device, pipe or socket'}; name a YAML file")
    with os.fdopen(handle, "rb") as file:
        try:
            raw = file.read(BYTES + 1)
        except OSError as error:
            raise BadInput(f"{path}: cannot be read ({error.strerror})") from None
    if len(raw) > BYTES:
        raise BadInput(f"{path}: larger than {BYTES // 1024} KB, which no settings are; name another file")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not readable as YAML: byte {error.start + 1} is not UTF-8; save it as UTF-8") from None


class _Bounded(yaml.SafeLoader):
    """YAML without surprises. Dates and ``1:30`` are text (YAML 1.1 has 90 for it), numbers of absurd length and
    foreign tags are errors, and so is a key that stands there twice, of which the later one would count without a
    word."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.depth = self.aliases = 0
        self.sizes: dict[int, int] = {}  # id of a node → nodes in it, what aliases repeat counted again
        self.total = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Count before anything is made."""
        mark = self.peek_event().start_mark
        alias = self.check_event(yaml.events.AliasEvent)
        anchor = getattr(self.peek_event(), "anchor", None)
        if alias:
            self.aliases += 1
            target = self.anchors.get(anchor)
            if target is not None and id(target) not in self.sizes:
                raise _refused(f"{cut(str(anchor))!r} contains itself", mark)
            if self.aliases > ALIASES:
                raise _refused(f"more than {ALIASES} aliases; write the values out", mark)
        self.depth += 1
        if self.depth > DEPTH:
            raise _refused(f"nested more than {DEPTH} deep", mark)
        before = self.total
        self.total += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        if alias:
            self.total += self.sizes.get(id(node), 0)
        elif node is not None:
            self.sizes[id(node)] = self.total - before
        if self.total > NODES:
            raise _refused(f"more than {NODES:,} values, what aliases repeat counted; that is no profile", mark)
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """A mapping whose keys are text, each of them once."""
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag == _CORE + "merge":
                continue
            if not isinstance(key, yaml.ScalarNode):
                raise _refused("a list or a mapping as a key; keys are text", key.start_mark)
            if key.tag != _CORE + "str":
                kind = key.tag.removeprefix(_CORE)
                raise _refused(
                    f"the key {cut(key.value)!r} is read as {kind}; keys are text, write it in quotes", key.start_mark
                )
            if key.value in seen:
                raise _refused(f"{cut(key.value)!r} stands there twice", key.start_mark)
            seen.add(key.value)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """A value of a kind that settings have."""
        if node.tag not in _PLAIN:
            raise _refused(
                f"could not determine a constructor for the tag {cut(node.tag)!r}; settings are text, numbers, lists "
                "and mappings",
                node.start_mark,
            )
        if isinstance(node, yaml.ScalarNode) and node.tag in (_CORE + "int", _CORE + "float"):
            if len(node.value) > DIGITS:
                raise _refused(f"a number of {len(node.value):,} characters", node.start_mark)
            if ":" in node.value:
                raise _refused(f"{cut(node.value)!r} is no number", node.start_mark)
        if isinstance(node, yaml.ScalarNode) and _NO_TEXT.search(node.value):
            raise _refused("a character that no text has (NUL, or half of a pair)", node.start_mark)
        try:
            return super().construct_object(node, deep)
        except (
            ValueError,
            KeyError,
            AttributeError,
            IndexError,
        ):  # a tag that its text does not fit, such as `!!bool perhaps`
            kind = node.tag.removeprefix(_CORE)
            raise _refused(f"{cut(str(node.value))!r} is no {kind}", node.start_mark) from None


# PyYAML's own but without dates, and without numbers to the base 60.
_Bounded.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in (_CORE + "timestamp", _CORE + "int", _CORE + "float", _CORE + "value")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Bounded.add_implicit_resolver(
    _CORE + "int",
    re.compile(r"^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+)$"),
    list("-+0123456789"),
)
_Bounded.add_implicit_resolver(
    _CORE + "float",
    re.compile(
        r"^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)


def _refused(problem: str, mark: yaml.Mark) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, mark)
