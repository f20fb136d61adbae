"""Every profile that comes with Cogumi loads, is complete, and is laid out like the others."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from configs.errors import BadInput
from configs.schema import PROFILES, Profile, available, load

NAMES = available()
Path = tuple[str | int, ...]


def tree(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((PROFILES / f"{name}.yaml").read_text())
    return loaded


def fields(node: Any, path: Path = ()) -> Iterator[Path]:
    """Every key of every mapping."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if isinstance(node, dict):
            yield (*path, key)
        yield from fields(value, (*path, key))


def test_the_three_profiles_are_there() -> None:
    assert NAMES == ["llama-1b", "llama-8b", "nano"]


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_under_its_own_name_and_says_what_it_needs(name: str) -> None:
    profile = load(name)
    assert profile.name == name
    assert profile.teachers.account == name, "one profile's money is never another's"
    assert len(profile.description) > 40


def test_all_have_the_same_sections() -> None:
    sections = {
        name: {key: set(value) if isinstance(value, dict) else None for key, value in tree(name).items()}
        for name in NAMES
    }
    for name in NAMES:
        assert sections[name] == sections["nano"], name


def test_the_two_real_profiles_differ_in_values_only() -> None:
    assert list(fields(tree("llama-1b"))) == list(fields(tree("llama-8b")))


@pytest.mark.parametrize("name", ["nano", pytest.param("llama-8b", marks=pytest.mark.all)])
def test_no_field_has_a_default(name: str) -> None:
    """A profile is readable on its own: whatever key is left out, it no longer loads (or, in a mapping with free keys,
    says something else)."""
    whole, complete = tree(name), load(name)
    first = next(iter(whole["teachers"]["models"]))
    silent = []
    for path in fields(whole):
        if path[:2] == ("teachers", "models") and path[2:] and path[2] != first:
            continue  # every teacher has the fields of the first
        less = copy.deepcopy(whole)
        node: Any = less
        for part in path[:-1]:
            node = node[part]
        del node[path[-1]]
        try:
            if Profile.model_validate(less) == complete:
                silent.append(path)
        except ValueError:
            pass
    assert silent == []


def test_an_unknown_profile_names_those_that_exist() -> None:
    with pytest.raises(BadInput, match="llama-1b, llama-8b, nano"):
        load("llama-70b")
