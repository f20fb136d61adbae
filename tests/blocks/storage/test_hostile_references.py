"""References and pointers that others wrote: none leads out of the store, each is refused in one clear line."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from blocks import store
from blocks.records import Artifact
from blocks.storage import objects, pointer
from configs.errors import BadInput, DamagedArtifact
from tasks.improvement.read_mark import marker
from tasks.release.current import releases
from tests.blocks.things import make, put


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "../../x"},
        {"kind": "a/b"},
        {"digest": ".."},
        {"digest": "a/../b"},
        {"bytes": -1},
        {"parents": ["../x"]},
        {"uri": "a\nb"},
    ],
)
def test_a_reference_that_leads_elsewhere_is_no_reference(fields: dict[str, Any], state: Path) -> None:
    made = make()
    with pytest.raises(ValueError, match="validation error"):
        Artifact.model_validate(made.model_dump() | fields)
    put(
        pointer.place("releases.json"),
        json.dumps(
            {"entries": [{"release": made.model_dump() | fields, "report": made.model_dump(), "promoted": "x"}]}
        ).encode(),
    )
    with pytest.raises(BadInput, match=r"releases.json is damaged"):
        releases()


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:9/thing",
        "s3://elsewhere/store/thing",
        "file:///etc/thing",
        "github://a:b@/thing",
        "simplecache::http://127.0.0.1:9/thing",
    ],
)
def test_another_store_is_not_asked_because_a_reference_says_so(
    uri: str, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make()
    shutil.rmtree(made.uri)
    monkeypatch.setattr(objects, "_opened", lambda url: pytest.fail(f"{url} was asked"))
    with pytest.raises(DamagedArtifact):
        store.open(made.model_copy(update={"uri": f"{uri}/{made.digest}"}))


def test_a_folder_is_not_read_because_a_reference_says_so(state: Path, tmp_path: Path) -> None:
    made = make()
    shutil.move(made.uri, tmp_path / "elsewhere")
    with pytest.raises(DamagedArtifact):
        store.open(made.model_copy(update={"uri": str(tmp_path / "elsewhere")}))


def test_a_hostile_pointer_is_one_clear_line(place: str) -> None:
    contents = [
        b"",
        b"[]",
        b"null",
        b"{",
        b"\xff",
        b"[" * 10_000,
        b'{"entries":' * 5_000,
        b'{"entries":[{"release":3}]}',
        b'{"entries":"x"}',
        b'{"a":1}' * 2,
    ]
    for content in contents if "://" not in place else contents[::4]:
        for name, read in (("releases.json", releases), ("nightly.json", lambda: marker("x"))):
            put(pointer.place(name), content)
            with pytest.raises(BadInput, match=name) as told:
                read()
            assert len(str(told.value).splitlines()) == 1


def test_a_pointer_that_is_no_file_is_one_clear_line(state: Path, tmp_path: Path) -> None:
    path = Path(pointer.place("releases.json"))
    path.parent.mkdir(parents=True)
    (tmp_path / "list").write_text('{"entries":[]}')
    for make_it in (
        lambda: path.symlink_to(tmp_path / "list"),
        lambda: os.mkfifo(path),
        path.mkdir,
        lambda: path.write_bytes(b" " * (pointer.MOST_BYTES + 1)),
    ):
        make_it()
        with pytest.raises(BadInput, match=r"releases\.json"):
            releases()
        path.rmdir() if path.is_dir() else path.unlink()
