"""A profile as a careless person writes it: every slip is one clear line, and no secret is shown."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.errors import BadInput
from configs.reading import _Bounded
from configs.schema import PROFILES, load

NANO = (PROFILES / "nano.yaml").read_text()


def told(text: str | bytes, folder: Path, *overrides: str) -> str:
    path = folder / "mine.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadInput) as error:
        load(str(path), list(overrides))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "no settings in it"),
        (b"- 1", "no settings in it"),
        (b"hello", "no settings in it"),
        (b"\xff\xfe\x00", "not readable as YAML"),
        (NANO.encode() + b"# caf\xe9\n", "not readable as YAML"),
        (NANO + "\nseed: 5\n", "'seed' stands there twice"),
        (NANO.replace("\ntraining:\n", "\ntraining:\n  seed: 1\n  seed: 2\n", 1), "'seed' stands there twice"),
        ("a: !!python/object/apply:os.getcwd []\n", "could not determine a constructor"),
        ("a: [1\n", "not readable as YAML"),
    ],
)
def test_what_is_no_profile_is_one_clear_line(text: str | bytes, said: str, tmp_path: Path) -> None:
    assert said in told(text, tmp_path)


def test_keys_are_counted_once_however_many_there_are() -> None:
    """20,000 keys took 400 million comparisons. Told by work: each key is compared a few times."""

    class Key(str):
        compared = 0

        def __eq__(self, other: object) -> bool:
            Key.compared += 1
            return super().__eq__(other)

        __hash__ = str.__hash__

    class Counting(_Bounded):
        def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
            node = super().compose_scalar_node(anchor)
            node.value = Key(node.value)
            return node

    text = "{" + ", ".join(f"k{i}: 1" for i in range(2000)) + ", a: 1, a: 2}"
    with pytest.raises(yaml.YAMLError, match="'a' stands there twice"):
        yaml.load(text, Counting)
    assert Key.compared < 20_000


@pytest.mark.parametrize(
    "setting", ["seed=99999999999999999999", "teachers.models.rehearsal-small.options={a: [1, -99999999999999999999]}"]
)
def test_a_number_that_no_server_takes_is_refused(setting: str) -> None:
    with pytest.raises(BadInput, match=r"is a number of more than 64 bits"):
        load("nano", [setting])


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (
            "teachers.journal=postgresql+psycopg://me:verysecret@host/d",
            "teachers.journal: contains a password, .* COGUMI_JOURNAL",
        ),
        ("teachers.journal=postgresql+psycopg://me@host/d?password=verysecret", "contains a password"),
        ("teachers.models.rehearsal-small.base_url=https://me:verysecret@proxy/v1", "base_url: contains a password"),
        ("teachers.models.rehearsal-small.key_env=sk-verysecret", "never the key itself"),
        ("teachers.roles.judge=[]", "role judge names no teacher$"),
    ],
)
def test_no_error_shows_a_secret_or_pages_of_settings(setting: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as error:
        load("nano", [setting])
    assert "verysecret" not in str(error.value)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            ["compression.awq.group=96"],
            r"profile nano: compression.awq.group 96 does not divide training.student.hidden, 256$",
        ),
        (["training.student.feed_forward=300"], "group 128 does not divide training.student.feed_forward, 300$"),
        (["compression.awq=null", "training.student.feed_forward=300"], None),
        (["compression.awq.group=64"], None),
    ],
)
def test_groups_that_no_row_of_the_student_is_made_of_are_refused(settings: list[str], said: str | None) -> None:
    if said is None:
        load("nano", settings)
        return
    with pytest.raises(BadInput, match=said):
        load("nano", settings)


def test_addresses_without_password_are_fine() -> None:
    loaded = load(
        "nano",
        [
            "teachers.journal=postgresql+psycopg://me@host:5432/d",
            "teachers.models.rehearsal-small.base_url=http://host:8000/v1?a=b",
        ],
    )
    assert loaded.teachers.journal == "postgresql+psycopg://me@host:5432/d"
