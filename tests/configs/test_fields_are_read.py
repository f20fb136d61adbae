"""No setting is read by nothing. What each one changes is shown beside the method that reads it (tests/tasks)."""

import ast
from pathlib import Path

from configs.schema import Profile
from configs.settings import Settings

ROOT = Path(__file__).resolve().parent.parent.parent


def described(kind: type[Settings]) -> set[type[Settings]]:
    return {kind}.union(*(described(below) for below in kind.__subclasses__()))


def test_every_field_is_read_outside_its_declaration() -> None:
    read: set[str] = set()
    for folder in ("blocks", "tasks", "flows", "deployments", "configs"):
        for path in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(path.read_text())
            read |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}
            read |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}  # for getattr
    ours = [kind for kind in described(Settings) if kind.__module__.startswith("configs.")]
    assert Profile in ours
    unread = [f"{kind.__name__}.{name}" for kind in ours for name in kind.model_fields if name not in read]
    assert unread == []
