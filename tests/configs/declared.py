"""What a body of Python source declares: its classes with their attributes, its functions, and which of them a name or
an annotation means in each module, through imports and through types by another name.

A type is here the set of the source's classes that an annotation names, at any depth: what is in a ``dict[str,
Modifier]`` is a Modifier, and so is the dictionary itself. Not here: what is done with them (reads.py).
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

Types = frozenset[str]  # dotted names of classes
NONE: Types = frozenset()
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Class:
    """A class as it is written: its bases, its attributes' annotations, its methods, what is assigned to attributes."""

    module: str
    bases: list[ast.expr]
    annotated: dict[str, ast.expr] = field(default_factory=dict)
    methods: dict[str, Function] = field(default_factory=dict)
    assigned: dict[str, Types] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        return name in self.annotated or name in self.methods or name in self.assigned


class Declared:
    """The declarations of modules, given as text by dotted name."""

    def __init__(self, modules: Mapping[str, str]) -> None:
        self.trees = {name: ast.parse(text) for name, text in modules.items()}
        self.classes: dict[str, Class] = {}
        self.functions: dict[str, Function] = {}
        self.variables: set[str] = set()  # of types: TypeVar
        self._values: dict[str, ast.expr] = {}  # what a module assigns: types by another name, and objects
        self._local: dict[str, dict[str, str]] = {name: {} for name in modules}  # module → name in it → dotted name
        self._lineages: dict[str, list[str]] = {}
        self._annotations: dict[tuple[str, int], Types] = {}
        for name, tree in self.trees.items():
            for node in ast.walk(tree):
                self._import(node, self._local[name])
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    self._class(node, name)
            for node in tree.body:
                self._top(node, name)

    def lineage(self, name: str) -> list[str]:
        """A class of the source and what it inherits from there, nearest first."""
        if name not in self._lineages:
            known = self.classes[name]
            above = [one for base in known.bases for one in sorted(self.annotation(base, known.module) - {name})]
            self._lineages[name] = [name, *(further for one in above for further in self.lineage(one))]
        return self._lineages[name]

    def below(self, base: str) -> dict[str, dict[str, ast.expr]]:
        """The classes that inherit from ``base``, each with what it annotates itself."""
        return {name: known.annotated for name, known in self.classes.items() if base in self.lineage(name)[1:]}

    def annotation(self, annotation: ast.expr | None, module: str) -> Types:
        """The classes that an annotation names."""
        if annotation is None:
            return NONE
        key = (module, id(annotation))
        if key not in self._annotations:
            self._annotations[key] = NONE  # while it is looked at: a type may name itself
            found: set[str] = set()
            for node in ast.walk(annotation):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found |= self.annotation(_parsed(node.value), module)
                elif isinstance(node, ast.Name | ast.Attribute) and (name := self.dotted(node, module)):
                    found |= self.meaning(name)
            self._annotations[key] = frozenset(found)
        return self._annotations[key]

    def meaning(self, name: str) -> Types:
        """The classes that a dotted name stands for."""
        if name in self.classes:
            return frozenset({name})
        if name in self._values and name not in self.variables:
            return self.annotation(self._values[name], name.rpartition(".")[0])
        return NONE

    def dotted(self, node: ast.expr, module: str) -> str | None:
        """The dotted name of what a name, or an attribute of a module, stands for, where it is declared."""
        if isinstance(node, ast.Attribute):
            above = self.dotted(node.value, module)
            name = f"{above}.{node.attr}" if above else None
        else:
            name = self._local[module].get(node.id) if isinstance(node, ast.Name) else None
        while name and name not in self.classes and name not in self.functions and name not in self._values:
            home, _, last = name.rpartition(".")
            further = self._local.get(home, {}).get(last)
            if further in (None, name):
                break
            name = further  # imported there in turn
        return name

    def _import(self, node: ast.AST, local: dict[str, str]) -> None:
        for one in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
            if isinstance(node, ast.ImportFrom):
                local[one.asname or one.name] = f"{node.module}.{one.name}"
            elif one.asname:
                local[one.asname] = one.name
            else:
                top = one.name.split(".")[0]
                local[top] = top

    def _class(self, node: ast.ClassDef, module: str) -> None:
        name = self._local[module][node.name] = f"{module}.{node.name}"
        made = self.classes[name] = Class(module, node.bases)
        for part in node.body:
            if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                made.annotated[part.target.id] = part.annotation
            elif isinstance(part, Function):
                made.methods[part.name] = part

    def _top(self, node: ast.stmt, module: str) -> None:
        if isinstance(node, Function):
            name = self._local[module][node.name] = f"{module}.{node.name}"
            self.functions[name] = node
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = self._local[module][node.targets[0].id] = f"{module}.{node.targets[0].id}"
            self._values[name] = node.value
            if isinstance(node.value, ast.Call) and ast.unparse(node.value.func) in ("TypeVar", "ParamSpec"):
                self.variables.add(name)


@cache
def _parsed(text: str) -> ast.expr | None:
    """An annotation in quotes; None for other text, such as a literal's. Kept, so that its ``id`` stays its own."""
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        return None
