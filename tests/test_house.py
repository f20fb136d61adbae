"""The house keeps its order: imports run one way, every public thing says what it is for, no vague names, no
secrets."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from configs.schema import load
from tests.places import ROOT

FLOORS = ("configs", "blocks", "tasks", "flows", "deployments")
CONTROL = re.compile(r"<\|[a-z_0-9]+\|>|</?s>|<eos>|<end_of_turn>|\[/?INST\]")
# What reasoning models write around their thoughts, which no tokenizer of a student need have.
MARKS_OF_REASONING = {
    f"<|{name}|>" for name in ("start_thinking", "end_thinking", "begin_of_thought", "end_of_thought")
}
FILES = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    room = path.relative_to(ROOT).parts
    for name in imported(ast.parse(path.read_text())):
        parts = name.split(".")
        if parts[0] not in FLOORS:
            continue
        assert FLOORS.index(parts[0]) <= FLOORS.index(room[0]), f"{path}: {room[0]} may not import {name}"
        if room[0] == "tasks" == parts[0] and len(parts) > 2 and len(room) > 2:
            assert parts[1] in {room[1], "evaluation", "step"}, f"{path}: tasks/{room[1]} may not import {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_and_public_name_says_what_it_is_for(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), f"{path}: what is this file for?"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{path}:{node.lineno}: {node.name}"
    assert path.stem not in {"utils", "util", "helpers", "common", "misc"}
    if path.name == "__init__.py":
        assert len(tree.body) == 1, f"{path}: an __init__.py only says what the folder is for"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_chat_format_names_a_control_token(path: Path) -> None:
    if path.relative_to(ROOT) == Path("blocks/models/template.py"):
        return
    found = set(CONTROL.findall(path.read_text())) - MARKS_OF_REASONING
    assert not found, f"{path}: {', '.join(found)} belongs to a student's chat format; go through Template"


def test_nothing_large_or_foreign_is_tracked() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split(
        "\n"
    )
    for name in filter(None, tracked):
        path = ROOT / name
        if path.is_file():
            assert path.stat().st_size < 1_000_000, f"{name} is too large for the repository"
            assert path.suffix not in {".pkl", ".pt", ".bin", ".safetensors", ".gguf", ".zst", ".gz", ".parquet"}, name


PAGES = [ROOT / "CONTRIBUTING.md", ROOT / "README.md", *sorted(ROOT.glob("[a-z]*/**/README.md"))]


def test_every_setting_that_a_page_tells_people_to_set_is_one_of_nano() -> None:
    told = [one for page in PAGES for one in re.findall(r"--set ([a-z_.]+\.[a-z_.]+=[^\s\"`]+)", page.read_text())]
    assert len(told) >= 4
    for one in told:
        load("nano", [one])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for path, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text()):
        target = page.parent / path if path else page
        assert target.exists(), f"{page.relative_to(ROOT)}: {path}"
        headings = re.findall(r"(?m)^#+ (.+)$", target.read_text()) if anchor else []
        assert not anchor or anchor in {heading.lower().replace(" ", "-") for heading in headings}, anchor


def test_every_floor_has_a_page() -> None:
    assert {page.parent.name for page in PAGES} >= {*FLOORS, "benchmarks"}


Defined = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def parameters(node: Defined) -> int:
    """How many arguments it takes by name; none where it takes any number, or where numba compiles it (`compiled`)."""
    if isinstance(node, ast.ClassDef):
        fields = sum(isinstance(one, ast.AnnAssign) for one in node.body)
        begin = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
        return parameters(begin[0]) if begin else fields
    compiled = any("compiled" in ast.unparse(one) for one in node.decorator_list)
    return 0 if compiled or node.args.vararg else len(node.args.args)


def test_from_six_arguments_on_they_are_given_by_name() -> None:
    takes: dict[str, int] = {}
    calls: list[tuple[str, str, ast.Call]] = []
    for path in [*FILES, *(ROOT / "tests").rglob("*.py")]:
        room = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        nodes = list(ast.walk(ast.parse(path.read_text())))
        long = [node for node in nodes if isinstance(node, ast.Call) and len(node.args) >= 6]
        names = {}  # what a module imports and defines, and the methods of its classes as self.name
        for node in nodes:
            if isinstance(node, Defined):
                takes[f"{room}.{node.name}"] = parameters(node)
                names |= dict.fromkeys((node.name, f"self.{node.name}"), f"{room}.{node.name}")
            elif isinstance(node, ast.ImportFrom) and long:
                names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        for call in long:
            called = ast.unparse(call.func).removesuffix(".fn")
            first, dot, rest = called.partition(".")
            calls.append((room, names.get(called, names.get(first, "") + dot + rest), call))
    assert takes["tasks.release.assemble.assemble"] > 6
    assert [
        f"{room}:{call.lineno}: {called} is given {len(call.args)} arguments by position"
        for room, called, call in calls
        if takes.get(called, 0) >= len(call.args) and not any(isinstance(one, ast.Starred) for one in call.args)
    ] == []
