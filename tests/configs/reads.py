"""Which attributes of which classes a body of Python source reads, found without running it.

Types come from annotations (of parameters, answers, attributes) and flow through assignments, loops, calls and
attributes, without regard to their order and to ``isinstance``: an attribute of a union counts for each of its classes.
Not here: what is declared (declared.py), and what must be read (test_fields_are_read.py).
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.configs.declared import NONE, Declared, Function, Types

CHECKS = ("model_validator", "field_validator")  # a field that only its own check looks at changes nothing
INSIDE = ast.Subscript | ast.Await | ast.Starred | ast.NamedExpr  # their type is their value's
TOGETHER = ast.Dict | ast.BoolOp | ast.BinOp | ast.List | ast.Tuple | ast.Set
PASSES = 10


@dataclass
class Scope:
    """The names of a module, a class or a function; what is not here is looked up in ``outer``."""

    module: str
    outer: "Scope | None" = None
    names: dict[str, Types] = field(default_factory=dict)

    def types(self, name: str) -> Types | None:
        if name in self.names:
            return self.names[name]
        return self.outer.types(name) if self.outer else None


def reads(declared: Declared) -> set[tuple[str, str]]:
    """Pairs of a class's dotted name and the name of an attribute that is read of it."""
    return _Reader(declared).reads()


class _Reader:
    def __init__(self, declared: Declared) -> None:
        self._declared = declared
        self._found: set[tuple[str, str]] = set()
        self._changed = False

    def reads(self) -> set[tuple[str, str]]:
        for _ in range(PASSES):  # until no attribute is assigned a further type
            self._changed = False
            for name, tree in self._declared.trees.items():
                self._walk(tree.body, Scope(name), None, checks=False)
            if not self._changed:
                return self._found
        raise AssertionError(f"the types of attributes do not settle in {PASSES} passes")

    def _walk(self, body: Iterable[ast.stmt], scope: Scope, owner: str | None, *, checks: bool) -> None:
        """Settle the names of a scope, note what its statements read, go into its functions and classes.

        ``owner`` is the class whose body this is; ``checks`` says that this is a validator, whose reads do not count.
        """
        own = [node for statement in body for node in _same_scope(statement)]
        for _ in range(PASSES):
            before = dict(scope.names)
            for node in own:
                self._bind(node, scope)
            if scope.names == before:
                break
        for node in own:
            if not checks:
                self._note(node, scope)
            if isinstance(node, ast.ClassDef):
                self._walk(node.body, Scope(scope.module, scope), f"{scope.module}.{node.name}", checks=checks)
            elif isinstance(node, Function):
                marks = {ast.unparse(one.func) for one in node.decorator_list if isinstance(one, ast.Call)}
                inner = self._parameters(node, scope, owner)
                self._walk(node.body, inner, None, checks=checks or not marks.isdisjoint(CHECKS))

    def _parameters(self, node: Function, scope: Scope, owner: str | None) -> Scope:
        inner, given = Scope(scope.module, scope), node.args
        by_place = [*given.posonlyargs, *given.args]
        for argument in (*by_place, *given.kwonlyargs, given.vararg, given.kwarg):
            if argument is not None:
                inner.names[argument.arg] = self._declared.annotation(argument.annotation, scope.module)
        if owner and by_place and "staticmethod" not in map(ast.unparse, node.decorator_list):
            inner.names[by_place[0].arg] = frozenset({owner})
        return inner

    def _bind(self, node: ast.AST, scope: Scope) -> None:
        """Give the names that a node assigns the types of what it assigns."""
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._assign(target, node.value, scope)
        elif isinstance(node, ast.AnnAssign):
            self._store(node.target, self._declared.annotation(node.annotation, scope.module), scope)
        elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            self._assign(node.target, node.iter, scope)
        elif isinstance(node, ast.NamedExpr):
            self._assign(node.target, node.value, scope)
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            self._assign(node.optional_vars, node.context_expr, scope)
        elif isinstance(node, ast.Call):
            given = _given(node)
            types = self._all([node.func, *given], scope)
            for one in given:
                for argument in one.args.args if isinstance(one, ast.Lambda) else ():
                    self._store(ast.Name(argument.arg), types, scope)  # such as a key's: what the others are, or hold

    def _assign(self, target: ast.expr, value: ast.expr, scope: Scope) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            for one, part in zip(target.elts, value.elts, strict=True):
                self._assign(one, part, scope)
        else:
            self._store(target, self._types(value, scope), scope)

    def _store(self, target: ast.expr, types: Types, scope: Scope) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            for one in target.elts:
                self._store(one, types, scope)
        elif isinstance(target, ast.Starred):
            self._store(target.value, types, scope)
        elif isinstance(target, ast.Name):
            scope.names[target.id] = scope.names.get(target.id, NONE) | types
        elif isinstance(target, ast.Attribute):
            for owner in self._types(target.value, scope):
                assigned = self._declared.classes[owner].assigned
                self._changed |= not types <= assigned.get(target.attr, NONE)
                assigned[target.attr] = assigned.get(target.attr, NONE) | types

    def _note(self, node: ast.AST, scope: Scope) -> None:
        """Write down what a node reads. A name that is only known at run time may be any that the module spells out."""
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            self._found |= {(owner, node.attr) for owner in self._types(node.value, scope)}
        elif isinstance(node, ast.Call) and _is_getattr(node):
            tree = self._declared.trees[scope.module]
            spelled = [node.args[1]] if isinstance(node.args[1], ast.Constant) else ast.walk(tree)
            names = {one.value for one in spelled if isinstance(one, ast.Constant) and isinstance(one.value, str)}
            self._found |= {(owner, name) for owner in self._types(node.args[0], scope) for name in names}

    def _all(self, nodes: Iterable[ast.expr], scope: Scope) -> Types:
        return NONE.union(*(self._types(node, scope) for node in nodes))

    def _types(self, node: ast.expr | None, scope: Scope) -> Types:
        if isinstance(node, ast.Name):
            if (known := scope.types(node.id)) is not None:
                return known
            return self._declared.meaning(self._declared.dotted(node, scope.module) or "")
        if isinstance(node, ast.Attribute):
            return self._attribute(node, scope)
        if isinstance(node, ast.Call):
            return self._call(node, scope)
        if isinstance(node, INSIDE):
            return self._types(node.value, scope)
        if isinstance(node, ast.DictComp):
            return self._all([node.key, node.value], scope)
        if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp):
            return self._types(node.elt, scope)
        if isinstance(node, ast.IfExp):
            return self._all([node.body, node.orelse], scope)
        if isinstance(node, TOGETHER):
            return self._all([one for one in ast.iter_child_nodes(node) if isinstance(one, ast.expr)], scope)
        return NONE

    def _attribute(self, node: ast.Attribute, scope: Scope) -> Types:
        found: set[str] = set()
        owners = self._types(node.value, scope)
        if not owners and (name := self._declared.dotted(node, scope.module)):
            return self._declared.meaning(name)  # of a module
        for owner in owners:
            lineage = map(self._declared.classes.__getitem__, self._declared.lineage(owner))
            known = next((one for one in lineage if one.has(node.attr)), None)
            if known is None:  # a container's (values, items) or Pydantic's (model_copy): the same comes of it
                found.add(owner)
                continue
            returns = known.methods[node.attr].returns if node.attr in known.methods else None
            found |= self._declared.annotation(known.annotated.get(node.attr, returns), known.module)
            found |= known.assigned.get(node.attr, NONE)
            if returns is not None and "Self" in ast.unparse(returns):
                found.add(owner)
        return frozenset(found)

    def _call(self, node: ast.Call, scope: Scope) -> Types:
        given = _given(node)
        if _is_getattr(node):
            found: set[str] = set()
            for owner in self._types(given[0], scope):
                for known in map(self._declared.classes.__getitem__, self._declared.lineage(owner)):
                    found.update(*(self._declared.annotation(kind, known.module) for kind in known.annotated.values()))
            return frozenset(found)
        name = self._declared.dotted(node.func, scope.module) or ""
        if name in self._declared.functions:
            returns, module = self._declared.functions[name].returns, name.rpartition(".")[0]
            parts = [part for part in ast.walk(returns) if isinstance(part, ast.Name)] if returns else []
            generic = any(self._declared.dotted(part, module) in self._declared.variables for part in parts)
            return self._declared.annotation(returns, module) | (self._all(given, scope) if generic else NONE)
        if name in self._declared.classes:
            return frozenset({name})
        if isinstance(node.func, ast.Attribute) and (types := self._types(node.func, scope)):
            return types
        return self._all(given, scope)  # of Python's own or of a library: zip, sorted, partial, …


def _given(node: ast.Call) -> list[ast.expr]:
    return [*node.args, *(word.value for word in node.keywords)]


def _is_getattr(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id == "getattr"


def _same_scope(node: ast.AST) -> Iterator[ast.AST]:
    """A node and what is below it, but for what is inside of functions and classes; comprehensions belong to it."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        yield one
        waiting += one.decorator_list if isinstance(one, ast.ClassDef | Function) else ast.iter_child_nodes(one)
