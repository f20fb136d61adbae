"""Manifests that others wrote: every hostile name, size, word and text ends in one clear line or is made again; nothing
is written or read outside the artifact.

Not here: files and links (test_hostile_files.py), references and pointers (test_hostile_references.py).
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blocks import store
from blocks.journal.lineage import Graph, ancestors
from blocks.records import Artifact, Manifest
from blocks.storage import folders, objects, places, remote
from configs.errors import BadInput, CogumiError, DamagedArtifact
from tests import s3
from tests.blocks.things import SHA, change, leftovers, make, put, raw

NAMES = [
    "../x",
    "../../x",
    "../../../dot.bashrc",
    "sub/../../x",
    "/etc/x",
    "//x",
    "",
    ".",
    "..",
    "./a",
    "sub/",
    "/",
    "sub//a",
    "a\\b",
    "..\\x",
    "C:\\x",
    "a\x00b",
    "a\nb",
    "\x1b[2Ja",
    "a\x7f",
    "\u202etxt.a",
    "\ue000",
    "manifest.json",
    "MANIFEST.json",
    "Manifest.JSON",
    "x" * 256,
    "é" * 200,
    "/".join("abcdefghijklmnopqrstuvw"),
    "a/" * 600,
    "manifest.json/x/..",
    "sub/.",
]
TOGETHER = [("a", "A"), ("é", "e\u0301"), ("a", "a/b"), ("A", "a/b"), ("ß", "ss"), ("manifest.json/x", "y")]
SIZES: list[Any] = [-1, True, 1.0, "5", None, 1 << 63, 10**30, [5], {}]
SHAS: list[Any] = ["", "x", SHA.upper(), SHA + "0", SHA[:-1], SHA + "\n", None, 5, "../" + SHA]
WORDS = [
    "",
    "..",
    "../../x",
    "a/b",
    "/etc",
    "a\\b",
    "a b",
    "a\n",
    "\x1b[2J",
    "x" * 101,
    "-x",
    ".x",
    "é",
    None,
    5,
    ["a"],
]
FIELDS: list[dict[str, Any]] = [
    *({"kind": word} for word in WORDS), *({"digest": word} for word in WORDS),
    *({"parents": [word]} for word in WORDS),
    {"parents": "abc"}, {"files": []}, {"files": None}, {"files": {"a": SHA}}, {"files": {"a": [SHA]}},
    {"files": {"a": [SHA, 5, 6]}}, {"files": {"a": {"sha": SHA}}},
    {"dollars": "-1"}, {"dollars": "NaN"}, {"dollars": "Infinity"}, {"dollars": "1e999999"}, {"dollars": "x"},
    {"dollars": None}, {"dollars": "1" * 5000},
    {"seconds": -1}, {"seconds": "x"}, {"seconds": None}, {"peak_memory_bytes": -5}, {"peak_memory_bytes": 10**40},
    {"peak_memory_bytes": 1.5},
    {"created": ""}, {"created": "yesterday"}, {"created": "2026-01-01"}, {"created": "\x1b[2J"}, {"created": 5},
    {"created": "9" * 1000},
    {"step": "\x1b]0;x\x07"}, {"step": "x\ny"}, {"step": None}, {"code_version": "\u202e"},
    {"code_version": "x" * 5001},
    {"metrics": {"a\n": 1}}, {"metrics": {"a": "x"}}, {"metrics": {"a": None}}, {"metrics": []},
    {"metrics": {"\x1b[2J": 1}}, {"metrics": {"a": 1e308 * 10}},
]  # fmt: skip


def texts(made: Artifact) -> Iterator[bytes]:
    """Manifests that are no manifests, or no JSON."""
    whole = json.dumps(raw(made))
    yield from (
        b"",
        b"null",
        b"[]",
        b"{}",
        b"5",
        b"\xff\xfe",
        whole.encode("utf-16"),
        b"\xef\xbb\xbf" + whole.encode(),
        whole[:-9].encode(),
        whole.encode() * 2,
    )
    for value in (
        "[" * 10_000 + "]" * 10_000,
        '{"a":' * 5_000 + "1" + "}" * 5_000,
        "9" * 5_000,
        '"\\ud800"',
        "[" * 100_000,
    ):
        yield whole.replace('"settings": {}', f'"settings": {value}').encode()
    yield whole.encode() + b" " * folders.MOST_BYTES
    yield json.dumps({**raw(made), "files": {f"{number:06}": [SHA, 5] for number in range(100_000)}}).encode()


def everywhere(made: Artifact) -> Iterator[Any]:
    """Every way that reads a manifest."""
    yield lambda: store.open(made)
    yield lambda: store.is_there(made)
    yield lambda: store.manifest(made)
    yield lambda: ancestors([made])


def refused(made: Artifact, around: Path) -> None:
    """Nobody reads the artifact, everybody says so in one line, nothing is written but below the state folder, and it
    is made again."""
    before = set(around.rglob("*"))
    for read in everywhere(made):
        with pytest.raises(DamagedArtifact) as told:
            read()
        assert len(str(told.value).splitlines()) == 1
    assert [one for one in store.everything() if one.digest == made.digest and one.kind == made.kind] == []
    new = set(around.rglob("*")) - before
    assert not [path for path in new if not path.is_relative_to(around / "home")]
    assert leftovers() == []


def with_files(made: Artifact, files: Any) -> Artifact:
    """A reference to a forged manifest that is consistent in itself: as much as who can write to the store can do."""
    forged = {**raw(made), "files": files}
    content = {"kind": forged["kind"], "files": files, "parents": forged["parents"], "settings": forged["settings"]}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    uri = made.uri.replace(made.digest, digest)
    reference = made.model_copy(update={"digest": digest, "uri": uri, "account": None})
    put(f"{uri}/manifest.json", json.dumps({**forged, "digest": digest}).encode())
    put(f"{uri}/sub/a.txt", b"hello")
    return reference


def test_no_name_leads_out_of_the_artifact(place: str, tmp_path: Path) -> None:
    made = make()
    for name in ("../../../dot.bashrc", "/etc/x", "manifest.json"):
        refused(with_files(made, {"sub/a.txt": [SHA, 5], name: [SHA, 5]}), tmp_path)
    assert make() == made
    store.verify(made)


def test_no_manifest_is_believed_whose_words_and_numbers_are_not_plain(state: Path) -> None:
    whole = raw(make())
    remote.manifest_of(json.dumps(whole).encode(), "here")
    remote.manifest_of(
        json.dumps(whole | {"files": {"ä/b c+(1).txt": [SHA, 0], "ä/.c": [SHA, 1 << 62]}}).encode(), "here"
    )
    names = [{"files": {name: [SHA, 5]}} for name in NAMES] + [
        {"files": {one: [SHA, 5], two: [SHA, 5]}} for one, two in TOGETHER
    ]
    numbers = [{"files": {"a": [SHA, size]}} for size in SIZES] + [{"files": {"a": [sha, 5]}} for sha in SHAS]
    for fields in [*names, *numbers, *FIELDS]:
        with pytest.raises(DamagedArtifact, match=r"^here: its manifest cannot be read; run again to rebuild it$"):
            _read(whole | fields)


def _read(manifest: dict[str, Any]) -> None:
    remote.manifest_of(json.dumps(manifest).encode(), "here")
    pytest.fail(f"believed: {manifest}"[:500])


def test_no_text_but_a_manifest_is_one(tmp_path: Path) -> None:
    made = make()
    for number, content in enumerate(texts(made)):
        change(made, "manifest.json", content)
        with pytest.raises(DamagedArtifact):
            store.open(made)
        if number % 5 == 0:
            refused(made, tmp_path)
        make()
    assert make() == made
    store.verify(made)


def test_hostile_texts_in_a_bucket_are_refused_before_they_are_fetched(
    moto: tuple[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.use(monkeypatch, *moto, s3.bucket(*moto))
    made = make()
    for content in list(texts(made))[1:15:5]:
        change(made, "manifest.json", content)
        with pytest.raises(DamagedArtifact):
            store.open(made)
    assert make() == made
    change(made, "sub/a.txt", b"hello" * 1_000_000)
    with pytest.raises(DamagedArtifact, match="not of its length"):
        store.open(made)
    assert not (places.scratch() / "cache").exists() or not list((places.scratch() / "cache").glob("thing*"))
    with pytest.raises(objects.Oversized):
        objects.download(made.uri, {"sub/a.txt": 5}, tmp_path / "short")
    assert (tmp_path / "short" / "sub" / "a.txt").stat().st_size < 5_000_000
    huge = with_files(made, {"sub/a.txt": [SHA, 1 << 62]})
    monkeypatch.setattr(objects, "sizes", lambda url: {"manifest.json": 1, "sub/a.txt": 1 << 62})
    with pytest.raises(BadInput, match=r"make room there, or set COGUMI_HOME"):
        store.open(huge.model_copy(update={"bytes": 1 << 62}))


def test_what_the_digest_does_not_cover_is_bound_by_the_reference(place: str) -> None:
    made = make()
    for fields in ({"dollars": "3"}, {"metrics": {"length": 6.0}}, {"metrics": {}}, {"step": "other"}):
        change(made, "manifest.json", json.dumps({**raw(make()), **fields}).encode())
        with pytest.raises(DamagedArtifact, match="was changed since it was made"):
            store.manifest(made)
        with pytest.raises(DamagedArtifact, match="was changed since it was made"):
            store.is_there(made)
        doubted = folders.doubted.set({made.digest: made})
        try:
            assert make().account == made.account
        finally:
            folders.doubted.reset(doubted)
        store.verify(made)


def test_a_manifest_in_another_artifacts_place_is_not_that_artifact(place: str) -> None:
    one, two = make("one"), make("two")
    change(one, "manifest.json", json.dumps(raw(two)).encode())
    with pytest.raises(DamagedArtifact, match="does not belong"):
        store.open(one)
    assert store.everything() == [two]
    with pytest.raises(DamagedArtifact, match="another artifact's"):
        Graph()


def test_one_damaged_artifact_hides_no_other(place: str) -> None:
    whole, broken = make("whole"), make("broken")
    change(broken, "manifest.json", b"{")
    assert store.find(whole.digest[:12]) == whole
    assert store.everything() == [whole]
    with pytest.raises(CogumiError):
        store.find(broken.digest)


def test_manifests_of_this_version_are_those_that_were_written_before(state: Path) -> None:
    """Caches stay valid: a manifest and a reference of before, as they stand."""
    made = make()
    found = Manifest.model_validate(raw(made))
    assert set(raw(made)) == {
        "kind",
        "digest",
        "files",
        "parents",
        "settings",
        "step",
        "code_version",
        "created",
        "seconds",
        "peak_memory_bytes",
        "dollars",
        "metrics",
    }
    assert found.digest == "41724d86354632a96a041467c2f3ade1c6fce52739d640c2d5d3986ef154b421"
