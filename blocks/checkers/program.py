"""The program in an answer: out of Markdown, prose and examples, whatever way the answer is wrapped.

Code stands in fences (CommonMark, also in lists and quotes, unclosed, or with text on the same line), in a line of
code, or bare between prose. The program is the block that defines what the tests use, and of several the last that is
no stub, with the blocks that define what it needs itself; blocks of other languages, output, tests and examples of use
are left out. Nothing is run here.
"""

import ast
import builtins
import html
import re
import textwrap
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import NamedTuple

from markdown_it import MarkdownIt

_TAGS = re.compile(r"</?(?:answer|final_answer|final|solution|code|response|output|result|python)>", re.IGNORECASE)
_HTML = re.compile(r"</?(?:pre|code)\b[^<>]*>", re.IGNORECASE)
_PROMPT = re.compile(r"\s*(?:>>>|\.\.\.:?|In \[\d*\]:) ?")  # of Python and of IPython
_PYTHON = re.compile(r"[{.\s]*(?:language-|lang=)?(?:i?py(?:thon)?[\d.]*|pycon|sage)\b", re.IGNORECASE)
_UNTAGGED = ("", "text", "txt", "plaintext", "plain", "code", "none")
_STARTS = ("def ", "class ", "import ", "from ", "@", "async ", "if ", "try:", "for ", "while ", "with ")
_UNSEEN = str.maketrans(
    {"\u00a0": " ", "\u202f": " ", "\ufeff": None, "\u200b": None, "\u200c": None, "\u200d": None, "\u2060": None}
)
_DEFINITIONS = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Import,
    ast.ImportFrom,
    ast.Assign,
    ast.AnnAssign,
    ast.AugAssign,
)
_NAMELESS = (ast.Constant, ast.expr_context, ast.operator, ast.unaryop, ast.cmpop, ast.boolop)
_OUTSIDE = frozenset(("input", "exit", "quit", "sys.exit", "sys.stdin.read", "sys.stdin.readline", "unittest.main"))
_MOST_PARTS = 12  # how far a piece of code that begins at the margin is followed over other lines at the margin
_MOST_TRIES = 500  # pieces of one text that are tried at most
_FAULTS = (SyntaxError, ValueError, RecursionError, MemoryError)


class _Block(NamedTuple):
    """Code of an answer, and whether it is said or at least not denied to be Python."""

    code: str
    python: bool


def program(response: str, tests: str) -> str:
    """The program to be run for an answer; where none can be found, the answer itself, which then fails with its own
    error."""
    text = response.replace("\r\n", "\n").replace("\r", "\n")
    wanted = _wanted(tests)
    readings = list(dict.fromkeys((text, _TAGS.sub("\n\n", text))))
    for reading in dict.fromkeys(
        (
            *readings,
            *map(_own_lines, readings),
            _outermost(text),
            html.unescape(_HTML.sub("\n\n", text)),
            _unfenced(text),
        )
    ):
        blocks = [
            _Block(code, block.python) for block in _blocks(reading) if (code := _parsing(block.code)) is not None
        ]
        for fitting in ([block.code for block in blocks if block.python], [block.code for block in blocks]):
            found = _chosen(fitting, wanted)
            if found is not None:
                return found
    plain = [code for block in _blocks(readings[0]) if block.python and (code := _parsing(block.code)) is not None]
    return "\n".join(plain or [_unfenced(text)]) + "\n"


def _blocks(text: str) -> Iterator[_Block]:
    """The pieces of code of a text, in order; last the text itself, where it is none but code."""
    fenced = False
    for token in _markdown().parse(text):
        if token.type == "fence":
            fenced = True
            yield _Block(token.content, _is_python(token.info))
        elif token.type == "code_block" and ("```" in token.content or "~~~" in token.content):
            fenced = True
            yield from _blocks(textwrap.dedent(token.content))
        elif token.type == "code_block":
            yield _Block(token.content, True)
    if not fenced:
        yield from (_Block(re.sub(r"^(?:python|py)\s+", "", line), True) for line in re.findall(r"`([^`\n]+)`", text))
        yield _Block(text, True)
        yield _Block(textwrap.dedent(text), True)


@cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark").disable(["html_block", "inline"])


def _is_python(info: str) -> bool:
    word = info.strip().split(" ")[0].strip("{}").lstrip(".").lower()
    return _PYTHON.match(info) is not None or word in _UNTAGGED or "=" in word or word.endswith(".py")


def _outermost(text: str) -> str:
    """What stands between the first fence and the last: code whose own text has fences."""
    lines = text.split("\n")
    fences = [number for number, line in enumerate(lines) if line.startswith(("```", "~~~"))]
    inner = "\n".join(lines[fences[0] + 1 : fences[-1]]) if len(fences) > 1 else ""
    return "~" * 9 + "\n" + inner + "\n" + "~" * 9 if _tree(inner) is not None else ""


def _own_lines(text: str) -> str:
    """Every fence on a line of its own, where there is text before it."""
    lines = []
    for line in text.split("\n"):
        bare = line.rstrip()
        for mark in ("```", "~~~"):
            at = bare.find(mark)
            if at > 0 and bare[:at].strip(" \t>*-+.0123456789"):
                head, tail = bare[:at], bare[at:]
                info, _, rest = tail.lstrip(mark[0]).partition(" ")
                if rest.rstrip().endswith(mark):  # all of it on one line
                    lines += [head, mark, rest.rstrip().rstrip(mark[0]), mark]
                else:
                    lines += [head, mark + info, rest] if rest else [head, mark + info]
                break
            if at >= 0 and bare.endswith(mark) and len(bare) > at + 2 * len(mark):
                info, _, rest = bare[at:].strip(mark[0]).partition(" ")
                lines += [mark + info, rest, mark]
                break
        else:
            lines.append(line)
    return "\n".join(lines)


def _unfenced(text: str) -> str:
    return "\n".join(line for line in text.split("\n") if not line.lstrip().startswith(("```", "~~~")))


def _tree(code: str) -> ast.Module | None:
    try:
        return ast.parse(code)
    except _FAULTS:
        return None


@lru_cache(maxsize=64)
def _parsing(code: str) -> str | None:
    """The code as Python can read it: dedented, without prompts and unseen characters, at worst its definitions
    alone."""
    for tried in dict.fromkeys((code, textwrap.dedent(code), textwrap.dedent(code.translate(_UNSEEN)))):
        if _tree(tried) is not None:
            return tried
    if ">>> " in code or "In [" in code:
        lines = [line[found.end() :] for line in code.split("\n") if (found := _PROMPT.match(line))]
        if lines and _tree("\n".join(lines)) is not None:
            return "\n".join(lines)
    return "\n".join(_definitions(textwrap.dedent(code.translate(_UNSEEN)))) or None


def _definitions(text: str) -> Iterator[str]:
    """Pieces of a text that begin at the margin, parse, and define something: code between prose, or before it breaks
    off."""
    lines = text.split("\n")
    margins = [number for number, line in enumerate(lines) if line[:1].strip()] + [len(lines)]
    reached = tries = 0
    for place, first in enumerate(margins[:-1]):
        line = lines[first]
        if (
            first < reached
            or tries > _MOST_TRIES
            or not (line.startswith(_STARTS) or re.match(r"[A-Za-z_][\w.,\[\] ]*[-+*/|&]?=[^=]", line))
        ):
            continue
        for end in margins[place + 1 : place + 1 + _MOST_PARTS]:
            piece = "\n".join(lines[first:end])
            tries += 1
            tree = _tree(piece)
            if tree is None:
                continue
            if tree.body and all(isinstance(node, (*_DEFINITIONS, ast.Try, ast.If)) for node in tree.body):
                yield piece
                reached = end
            break


def _wanted(tests: str) -> set[str]:
    """Names that the tests use and do not define; builtins' names where there are no others."""
    tree = _tree(tests)
    used = _loaded(tree) - _bound(tree) if tree is not None else set()
    return used - set(dir(builtins)) or used


def _chosen(codes: list[str], wanted: set[str]) -> str | None:
    """The program out of pieces of code: what defines the wanted names, with what that needs; None where nothing
    defines any."""
    trees = [(code, tree) for code in dict.fromkeys(codes) if (tree := _tree(code)) is not None]
    solving: dict[int, set[str]] = {}
    for name in wanted:
        definers = [number for number, (_, tree) in enumerate(trees) if name in _bound(tree)]
        full = [number for number in definers if not _is_stub(trees[number][1], name)]
        for number in (full or definers)[-1:]:
            solving.setdefault(number, set()).add(name)
    if not solving:
        return None
    parts = {number: _without_examples(*trees[number]) for number in solving}
    missing = set().union(*(_loaded(trees[number][1]) - _bound(trees[number][1]) for number in solving)) - set(
        dir(builtins)
    )
    while missing:
        helping = [number for number, (_, tree) in enumerate(trees) if number not in parts and missing & _bound(tree)]
        if not helping:
            break
        number = helping[-1]
        code, tree = trees[number]
        parts[number] = "\n".join(ast.get_source_segment(code, node) or "" for node in _with_decorators(tree))
        missing = (missing | (_loaded(tree) - set(dir(builtins)))) - set().union(
            *(_bound(trees[known][1]) for known in parts)
        )
    return "\n".join(parts[number] for number in sorted(parts, key=lambda number: (number in solving, number))) + "\n"


def _with_decorators(tree: ast.Module) -> list[ast.stmt]:
    """The definitions of a piece of code, each from its first decorator on."""
    kept: list[ast.stmt] = [node for node in tree.body if isinstance(node, (*_DEFINITIONS, ast.Try))]
    for node in kept:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.decorator_list:
            node.lineno, node.col_offset = node.decorator_list[0].lineno, 0
    return kept


def _without_examples(code: str, tree: ast.Module) -> str:
    """Code without the prints, assertions, inputs and exits at its end, and without the marks around it, such as
    [BEGIN] and [DONE]."""
    kept = list(tree.body)
    while kept and _is_example(kept[-1]):
        kept.pop()
    begin = 0
    while begin < len(kept) and _is_mark(kept[begin]):
        begin += 1
    if not kept or (len(kept) == len(tree.body) and not begin):
        return code
    lines = code.split("\n")
    if len(kept) < len(tree.body):
        first = tree.body[len(kept)]
        lines = [*lines[: first.lineno - 1], lines[first.lineno - 1].encode()[: first.col_offset].decode()]
    return "\n".join(
        lines[kept[begin].lineno - 1 :] if begin and kept[begin].lineno > (kept[begin - 1].end_lineno or 0) else lines
    )


def _is_example(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assert):
        return True
    call = node.value if isinstance(node, ast.Expr) else None
    if isinstance(call, ast.Constant) or _is_mark(node):
        return True
    if not isinstance(node, ast.Expr | ast.Assign | ast.AnnAssign | ast.For | ast.While):
        return False
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "print":
        return True
    return any(
        isinstance(one, ast.Call) and ast.unparse(one.func) in _OUTSIDE
        for one in ast.walk(node)
        if isinstance(getattr(one, "func", None), ast.Name | ast.Attribute)
    )


def _is_mark(node: ast.stmt) -> bool:
    """Whether it is a bare word, or one in brackets: a mark of where an answer begins or ends, which as code is only an
    error."""
    word = node.value if isinstance(node, ast.Expr) else None
    if isinstance(word, ast.List) and len(word.elts) == 1:
        word = word.elts[0]
    return isinstance(word, ast.Name)


def _is_stub(tree: ast.Module, name: str) -> bool:
    """Whether a function's body says nothing, a signature shown again; or the name is only imported, as tests import
    what they test."""
    bodies = [node.body for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    if not bodies:
        return name not in set().union(
            *(_bound(ast.Module([node], [])) for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom))
        )
    return all(
        isinstance(node, ast.Pass)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or _is_unwritten(node)
        for node in bodies[-1]
    )


def _is_unwritten(node: ast.stmt) -> bool:
    raised = node.exc if isinstance(node, ast.Raise) else None
    raised = raised.func if isinstance(raised, ast.Call) else raised
    return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"


def _children(node: ast.AST) -> list[ast.AST]:
    """The nodes right below one, without those that hold no name: tests may be long lists of numbers."""
    found: list[ast.AST] = []
    for name in node._fields:
        value = getattr(node, name, None)
        found += [
            one
            for one in (value if isinstance(value, list) else (value,))
            if isinstance(one, ast.AST) and not isinstance(one, _NAMELESS)
        ]
    return found


def _bound(tree: ast.AST) -> set[str]:
    """Names that a piece of code binds at its top."""
    names: set[str] = set()
    left = _children(tree)
    while left:
        node = left.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif not isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            left += _children(node)
    return names


def _loaded(tree: ast.AST) -> set[str]:
    """Names that a piece of code uses anywhere and binds nowhere inside a function of its own."""
    used: set[str] = set()
    local: set[str] = set()
    nodes = [tree]
    for node in nodes:
        nodes += _children(node)
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else local).add(node.id)
        elif isinstance(node, ast.arg):
            local.add(node.arg)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            local.add(node.name)
    inner = set().union(*(_bound(node) for node in nodes if isinstance(node, ast.FunctionDef | ast.Lambda)))
    return used - local - inner
