"""No setting is read by nothing. What each one changes is shown beside the method that reads it (tests/tasks).

A field counts as read where something of its own class is: a field of the same name in another class says nothing.
"""

import ast

import pytest

from tests.configs.declared import Declared
from tests.configs.reads import reads
from tests.places import ROOT

FOLDERS = ("blocks", "tasks", "flows", "deployments", "configs")
COMPRESSION, PACKING, BASE = "configs.phases.compression", "class Packing(Settings):", "configs.settings.Settings"


def unread(declared: Declared) -> list[str]:
    """Class and name of every setting that is read neither of its class, nor of one above or below it.

    A field with one value only (``source: Literal["hub"]``) is read by Pydantic: it chooses the class of a union by it.
    """
    found, missed = reads(declared), []
    fields = declared.below(BASE)
    for owner, own in fields.items():
        related = {*declared.lineage(owner), *(one for one in fields if owner in declared.lineage(one))}
        for name, kind in own.items():
            if not any((one, name) in found for one in related) and not _one_value(kind):
                missed.append(f"{owner.rpartition('.')[2]}.{name}")
    return sorted(missed)


def _one_value(kind: ast.expr) -> bool:
    if not isinstance(kind, ast.Subscript) or not isinstance(kind.slice, ast.Constant):
        return False
    return ast.unparse(kind.value) == "Literal"


def project() -> dict[str, str]:
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): path.read_text() for path in paths}


def test_every_field_is_read_and_one_more_of_any_name_would_be_missed() -> None:
    """Beside the project's settings stands one of which nothing is read, with a field of every name that is there."""
    modules = project()
    names = sorted({name for own in Declared(modules).below(BASE).values() for name in own})
    assert {"pruning", "batch", "source", "seed"} <= set(names)
    fields = "".join(f"    {name}: int\n" for name in names)
    planted = f"class Planted(Settings):\n{fields}\n\n{PACKING}\n    planted: Planted\n"
    modules[COMPRESSION] = modules[COMPRESSION].replace(PACKING, planted)
    assert unread(Declared(modules)) == sorted(["Packing.planted", *(f"Planted.{name}" for name in names)])


def small(work: str) -> Declared:
    """Three settings models and ``work`` on them."""
    kinds = """
from typing import Literal
from configs.settings import Settings

class Pruning(Settings):
    group: int

class Awq(Settings):
    group: int
    tag: Literal["awq"]

class Compression(Settings):
    pruning: Pruning
    awq: dict[str, Awq]
"""
    work = f"from configs.phase import Awq, Compression, Pruning\n{work}"
    return Declared({"configs.settings": "class Settings: ...", "configs.phase": kinds, "tasks.work": work})


READS = {  # how something of Awq comes to where its group is read
    "a parameter": "def work(one: Awq) -> int: return one.group",
    "in quotes": "def work(one: 'Awq | None') -> int: return one.group if one else 0",
    "down the profile": "def work(all: Compression) -> int: return all.awq['x'].group",
    "another name": "def work(all: Compression):\n    two, _ = all.awq, 3\n    one = two.get('x')\n    return "
    "one.group",
    "a loop": "def work(all: Compression) -> None:\n    for _, one in zip('ab', all.awq.values()): print(one.group)",
    "a comprehension": "def work(all: Compression) -> list[int]: return [one.group for one in all.awq.values()]",
    "a key": "def work(many: list[Awq]) -> list[Awq]: return sorted(many, key=lambda one: one.group)",
    "an answer": "def one(all: Compression) -> Awq: ...\ndef work(all: Compression) -> int: return one(all).group",
    "kept": "class Work:\n    def __init__(self, awq: Awq): self._one = awq\n    def go(self): return self._one.group",
    "an inner function": "def work(one: Awq) -> None:\n    def inner() -> int: return one.group\n    inner()",
    "getattr": "NAMES = ('group',)\ndef work(one: Awq) -> int: return sum(getattr(one, name) for name in NAMES)",
}
SILENT = {  # nothing of Awq's group, though its name is there
    "passed on": "def work(one: Awq) -> int: return id(one)",
    "of another setting": "def work(one: Pruning, awq: Awq) -> int: return one.group + id(awq)",
    "beside it in the profile": "def work(all: Compression) -> int: return all.pruning.group + len(all.awq)",
    "of something else": "class Other:\n    group: int\ndef work(awq: Awq, one: Other): return one.group + id(awq)",
    "written": "def work(one: Awq) -> None: one.group = 3",
    "spelled": "NAMES = ('group',)\ndef work(one: Awq) -> None: print(NAMES, one)",
    "only checked": "class More(Awq):\n    @model_validator(mode='after')\n    def _check(self): return self.group and "
    "self",
}


@pytest.mark.parametrize("work", READS.values(), ids=READS)
def test_a_read_counts_for_the_class_that_it_is_of(work: str) -> None:
    found = unread(small(work))
    assert "Awq.group" not in found
    assert "Pruning.group" in found


@pytest.mark.parametrize("work", SILENT.values(), ids=SILENT)
def test_the_name_elsewhere_is_no_read(work: str) -> None:
    found = unread(small(work))
    assert "Awq.group" in found
    assert "Awq.tag" not in found
