"""The settings: complete, checked, and only what changes an answer is part of a step's identity."""

from decimal import Decimal
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from configs.phases.teachers import TeacherModel, Teachers
from configs.schema import PROFILES
from tests.blocks.teachers.conftest import settings, teacher

ROLES = ("questions", "validate", "answer_easy", "answer_hard", "judge")
CHANGES: dict[str, tuple[Any, bool]] = {
    "provider": ("groq", True),
    "model": ("other", True),
    "base_url": ("http://elsewhere", True),
    "options": ({"top_p": 0.5}, True),
    "temperature": (False, True),
    "key_env": ("OTHER", False),
    "block": ("b", False),
    "prices": ({"input": 9, "cached": 9, "cache_write": 9, "output": 9, "batch": 1}, False),
    "requests_per_minute": (1, False),
    "tokens_per_minute": (1, False),
    "timeout_s": (1, False),
    "max_retries": (0, False),
    "batch": (True, False),
    "idempotent_s": (60, False),
}


@pytest.mark.parametrize("name", TeacherModel.model_fields)
def test_only_what_changes_an_answer_is_in_the_identity(name: str) -> None:
    value, counts = CHANGES[name]
    before, after = settings(teacher("http://x")), settings(teacher("http://x", **{name: value}))
    assert (before.digest() != after.digest()) == counts


def test_cap_limits_and_unused_models_are_not_in_the_identity() -> None:
    plain = settings(teacher("http://x"))
    other = settings(
        teacher("http://x"),
        account="b",
        cap_dollars=Decimal(1),
        journal="sqlite://",
        concurrency=1,
        limiter="prefect",
        batch_poll_s=9,
    )
    assert plain.digest() == other.digest()
    more = Teachers.model_validate(
        plain.model_dump() | {"models": plain.model_dump()["models"] | {"spare": teacher("http://y")}}
    )
    assert plain.digest() == more.digest()


def test_a_role_that_names_nobody_is_refused() -> None:
    with pytest.raises(ValidationError, match="role judge names 't9'"):
        settings(teacher("http://x"), roles={"judge": ("t9",)})
    with pytest.raises(ValidationError, match="role judge names no teacher"):
        settings(teacher("http://x"), roles={"judge": ()})


def test_only_keeps_what_a_step_needs() -> None:
    both = settings(teacher("http://x", "a"), teacher("http://x", "b"), roles={"judge": ("t0",), "questions": ("t1",)})
    assert list(both.only("judge").models) == ["t0"]
    assert both.only("judge").digest() != both.only("questions").digest()


@pytest.mark.parametrize("profile", ["nano", "llama-8b"])
def test_the_profiles_fill_every_role(profile: str) -> None:
    teachers = Teachers.model_validate(yaml.safe_load((PROFILES / f"{profile}.yaml").read_text())["teachers"])
    tiers = {f"tier{tier}_{domain}" for tier in (1, 2, 3) for domain in ("code", "reasoning", "automation")}
    assert set(teachers.roles) >= {*ROLES, *tiers}
    assert all(model.key_env is None for model in teachers.models.values()) == (profile == "nano"), "nano needs no key"
