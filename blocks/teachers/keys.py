"""Where API keys come from: an environment variable or a Prefect block. Keys are never stored, logged or shown.

Not here: the block itself (block.py).
"""

import os
from collections.abc import Iterable

from configs.errors import BadInput
from configs.phases.teachers import TeacherModel, Teachers


async def key_of(name: str, teacher: TeacherModel) -> str:
    """The key of a teacher; "" where it needs none.

    Raises:
        BadInput: neither the environment variable nor the block holds one.
    """
    if teacher.block is not None:
        from blocks.teachers.block import load

        return (await load(teacher.block)).api_key.get_secret_value()
    if teacher.key_env is None:
        return ""
    if key := os.environ.get(teacher.key_env, "").strip():
        return key
    raise BadInput(
        f"teacher {name} ({teacher.provider}, {teacher.model}) has no API key: set the environment variable "
        f"{teacher.key_env}, "
        f"or save a Prefect block teacher-credentials/{_slug(name)} and set teachers.models.{name}.block to "
        f"{_slug(name)}"
    )


def unset(teachers: Teachers, roles: Iterable[str]) -> dict[str, list[str]]:
    """Environment variables that are not set here, each with the teachers of ``roles`` that have their key there."""
    found: dict[str, list[str]] = {}
    for name in sorted({name for role in roles for name in teachers.roles[role]}):
        teacher = teachers.models[name]
        if teacher.block is None and teacher.key_env is not None and not os.environ.get(teacher.key_env, "").strip():
            found.setdefault(teacher.key_env, []).append(name)
    return found


def _slug(name: str) -> str:
    """A name as Prefect takes it for a block: small letters, digits and hyphens."""
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower()).strip("-")
