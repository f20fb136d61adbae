"""A store that others write to: every hostile manifest, name, link, size and place ends in one clear line or is made again; nothing is
written or read outside."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blocks import folders, objects, places, pointer, remote, store
from blocks.lineage import Graph, ancestors
from blocks.records import Artifact, Manifest
from configs.errors import BadInput, CogumiError, DamagedArtifact
from tasks.improvement.marker import marker
from tasks.release.current import releases
from tests import s3
from tests.blocks.test_store import change, forget, leftovers, make

SHA = hashlib.sha256(b"hello").hexdigest()
NAMES = [
    "../x", "../../x", "../../../dot.bashrc", "sub/../../x", "/etc/x", "//x", "", ".", "..", "./a", "sub/", "/", "sub//a", "a\\b", "..\\x", "C:\\x", "a\x00b", "a\nb",
    "\x1b[2Ja", "a\x7f", "\u202etxt.a", "\ue000", "manifest.json", "MANIFEST.json", "Manifest.JSON", "x" * 256, "é" * 200, "/".join("abcdefghijklmnopqrstuvw"), "a/" * 600,
    "manifest.json/x/..", "sub/.",
]  # fmt: skip
TOGETHER = [("a", "A"), ("é", "e\u0301"), ("a", "a/b"), ("A", "a/b"), ("ß", "ss"), ("manifest.json/x", "y")]
SIZES: list[Any] = [-1, True, 1.0, "5", None, 1 << 63, 10**30, [5], {}]
SHAS: list[Any] = ["", "x", SHA.upper(), SHA + "0", SHA[:-1], SHA + "\n", None, 5, "../" + SHA]
WORDS = ["", "..", "../../x", "a/b", "/etc", "a\\b", "a b", "a\n", "\x1b[2J", "x" * 101, "-x", ".x", "é", None, 5, ["a"]]
FIELDS: list[dict[str, Any]] = [
    *({"kind": word} for word in WORDS), *({"digest": word} for word in WORDS), *({"parents": [word]} for word in WORDS),
    {"parents": "abc"}, {"files": []}, {"files": None}, {"files": {"a": SHA}}, {"files": {"a": [SHA]}}, {"files": {"a": [SHA, 5, 6]}}, {"files": {"a": {"sha": SHA}}},
    {"dollars": "-1"}, {"dollars": "NaN"}, {"dollars": "Infinity"}, {"dollars": "1e999999"}, {"dollars": "x"}, {"dollars": None}, {"dollars": "1" * 5000},
    {"seconds": -1}, {"seconds": "x"}, {"seconds": None}, {"peak_memory_bytes": -5}, {"peak_memory_bytes": 10**40}, {"peak_memory_bytes": 1.5},
    {"created": ""}, {"created": "yesterday"}, {"created": "2026-01-01"}, {"created": "\x1b[2J"}, {"created": 5}, {"created": "9" * 1000},
    {"step": "\x1b]0;x\x07"}, {"step": "x\ny"}, {"step": None}, {"code_version": "\u202e"}, {"code_version": "x" * 5001},
    {"metrics": {"a\n": 1}}, {"metrics": {"a": "x"}}, {"metrics": {"a": None}}, {"metrics": []}, {"metrics": {"\x1b[2J": 1}}, {"metrics": {"a": 1e308 * 10}},
]  # fmt: skip


def raw(made: Artifact) -> dict[str, Any]:
    """The manifest as it is in the store."""
    content: dict[str, Any] = json.loads(objects.read(f"{made.uri}/manifest.json", 1 << 20) if "://" in made.uri else (Path(made.uri) / "manifest.json").read_bytes())
    return content


def texts(made: Artifact) -> Iterator[bytes]:
    """Manifests that are no manifests, or no JSON."""
    whole = json.dumps(raw(made))
    yield from (b"", b"null", b"[]", b"{}", b"5", b"\xff\xfe", whole.encode("utf-16"), b"\xef\xbb\xbf" + whole.encode(), whole[:-9].encode(), whole.encode() * 2)
    for value in ("[" * 10_000 + "]" * 10_000, '{"a":' * 5_000 + "1" + "}" * 5_000, "9" * 5_000, '"\\ud800"', "[" * 100_000):
        yield whole.replace('"settings": {}', f'"settings": {value}').encode()
    yield whole.encode() + b" " * folders.MOST_BYTES
    yield json.dumps({**raw(made), "files": {f"{number:06}": [SHA, 5] for number in range(100_000)}}).encode()


def everywhere(made: Artifact) -> Iterator[Any]:
    """Every way that reads a manifest."""
    yield lambda: store.open(made)
    yield lambda: store.is_there(made)
    yield lambda: store.manifest(made)
    yield lambda: ancestors([made])


@pytest.fixture(scope="module")
def moto() -> Iterator[tuple[str, int]]:
    with s3.server() as address:
        yield address


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, state: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The store's location."""
    if request.param == "s3":
        address = request.getfixturevalue("moto")
        s3.use(monkeypatch, *address, s3.bucket(*address))
    return places.location()


def refused(made: Artifact, around: Path) -> None:
    """Nobody reads the artifact, everybody says so in one line, nothing is written but below the state folder, and it is made again."""
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


def put(place: str, content: bytes) -> None:
    if "://" in place:
        objects.write(place, content)
    else:
        objects.replace(Path(place), content)


def test_no_name_leads_out_of_the_artifact(place: str, tmp_path: Path) -> None:
    made = make()
    for name in ("../../../dot.bashrc", "/etc/x", "manifest.json"):
        refused(with_files(made, {"sub/a.txt": [SHA, 5], name: [SHA, 5]}), tmp_path)
    assert make() == made
    store.verify(made)


def test_no_manifest_is_believed_whose_words_and_numbers_are_not_plain(state: Path) -> None:
    whole = raw(make())
    remote.manifest_of(json.dumps(whole).encode(), "here")
    remote.manifest_of(json.dumps(whole | {"files": {"ä/b c+(1).txt": [SHA, 0], "ä/.c": [SHA, 1 << 62]}}).encode(), "here")
    names = [{"files": {name: [SHA, 5]}} for name in NAMES] + [{"files": {one: [SHA, 5], two: [SHA, 5]}} for one, two in TOGETHER]
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


def test_hostile_texts_in_a_bucket_are_refused_before_they_are_fetched(moto: tuple[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_an_artifact_holds_nothing_that_its_manifest_does_not_list(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.txt").write_text("hello")

    def more(folder: Path) -> None:
        (folder / "more.jsonl").write_text("{}")

    def hidden(folder: Path) -> None:
        (folder / "sub" / ".more").write_text("{}")

    def link(folder: Path) -> None:
        (folder / "sub" / "a.txt").unlink()
        (folder / "sub" / "a.txt").symlink_to(tmp_path / "outside" / "a.txt")

    def inner_link(folder: Path) -> None:
        (folder / "b.txt").symlink_to("sub/a.txt")

    def folder_link(folder: Path) -> None:
        shutil.rmtree(folder / "sub")
        (folder / "sub").symlink_to(tmp_path / "outside")

    def empty_folder_link(folder: Path) -> None:
        (folder / "more").symlink_to(tmp_path / "outside")

    def dangling(folder: Path) -> None:
        (folder / "more").symlink_to(tmp_path / "nothing")

    def pipe(folder: Path) -> None:
        (folder / "sub" / "a.txt").unlink()
        os.mkfifo(folder / "sub" / "a.txt")

    def folder_for_file(folder: Path) -> None:
        (folder / "sub" / "a.txt").unlink()
        (folder / "sub" / "a.txt").mkdir()

    def manifest_link(folder: Path) -> None:
        (folder / "manifest.json").rename(tmp_path / "outside" / "manifest.json")
        (folder / "manifest.json").symlink_to(tmp_path / "outside" / "manifest.json")

    def manifest_pipe(folder: Path) -> None:
        (folder / "manifest.json").unlink()
        os.mkfifo(folder / "manifest.json")

    def manifest_folder(folder: Path) -> None:
        (folder / "manifest.json").unlink()
        (folder / "manifest.json").mkdir()

    def whole_link(folder: Path) -> None:
        folder.rename(tmp_path / "outside" / "whole")
        folder.symlink_to(tmp_path / "outside" / "whole")

    def file_for_folder(folder: Path) -> None:
        shutil.rmtree(folder)
        folder.write_text("x")

    for attack in (more, hidden, link, inner_link, folder_link, empty_folder_link, dangling, pipe, folder_for_file, manifest_link, manifest_pipe, manifest_folder,
                   whole_link, file_for_folder):  # fmt: skip
        made = make()
        attack(Path(made.uri))
        for read in (store.open, store.is_there, store.verify):
            with pytest.raises(DamagedArtifact) as told:
                read(made)
            assert len(str(told.value).splitlines()) == 1
        assert make() == made, attack.__name__
        store.verify(made)
        assert (tmp_path / "outside" / "a.txt").read_text() == "hello", "what a link led to is not touched"
        shutil.rmtree(tmp_path / "outside" / "whole", ignore_errors=True)


@pytest.mark.parametrize("name", ["tmp", "locks", "thing"])
def test_nothing_is_written_or_swept_through_a_link_out_of_the_store(name: str, state: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "precious").mkdir(parents=True)
    os.utime(outside / "precious", (0, 0))
    (state / "store").mkdir(parents=True)
    (state / "store" / name).symlink_to(outside)
    with pytest.raises(BadInput, match=r"leads out of .*remove the link"):
        pointer.move("count", lambda content: b"1") if name == "locks" else make()
    assert list(outside.rglob("*")) == [outside / "precious"]


def test_a_link_among_the_work_in_progress_is_not_swept(state: Path, tmp_path: Path) -> None:
    (tmp_path / "precious" / "inner").mkdir(parents=True)
    os.utime(tmp_path / "precious", (0, 0))
    (state / "store" / "tmp").mkdir(parents=True)
    (state / "store" / "tmp" / "work").symlink_to(tmp_path / "precious")
    make()
    assert [path.name for path in (tmp_path / "precious").iterdir()] == ["inner"]


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


def test_the_same_made_again_keeps_the_account_that_references_hold(place: str) -> None:
    """Made a second time it took another time, or cost nothing any more; references to the first stay right."""
    first = make()
    with store.create("thing", settings={}) as folder:
        (folder.path / "sub").mkdir()
        (folder.path / "sub" / "a.txt").write_text("hello")
        folder.metrics["length"] = 7.0
    assert folder.artifact == first
    assert folder.artifact.account == first.account
    forget(first)
    assert store.manifest(first).metrics == {"length": 5.0}
    old = first.model_copy(update={"account": None})
    store.verify(old)


@pytest.mark.parametrize("fields", [{"kind": "../../x"}, {"kind": "a/b"}, {"digest": ".."}, {"digest": "a/../b"}, {"bytes": -1}, {"parents": ["../x"]}, {"uri": "a\nb"}])
def test_a_reference_that_leads_elsewhere_is_no_reference(fields: dict[str, Any], state: Path) -> None:
    made = make()
    with pytest.raises(ValueError, match="validation error"):
        Artifact.model_validate(made.model_dump() | fields)
    put(pointer.place("releases.json"), json.dumps({"entries": [{"release": made.model_dump() | fields, "report": made.model_dump(), "promoted": "x"}]}).encode())
    with pytest.raises(BadInput, match=r"releases.json is damaged"):
        releases()


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9/thing", "s3://elsewhere/store/thing", "file:///etc/thing", "github://a:b@/thing", "simplecache::http://127.0.0.1:9/thing"])
def test_another_store_is_not_asked_because_a_reference_says_so(uri: str, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    contents = [b"", b"[]", b"null", b"{", b"\xff", b"[" * 10_000, b'{"entries":' * 5_000, b'{"entries":[{"release":3}]}', b'{"entries":"x"}', b'{"a":1}' * 2]
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
    for make_it in (lambda: path.symlink_to(tmp_path / "list"), lambda: os.mkfifo(path), path.mkdir, lambda: path.write_bytes(b" " * (pointer.MOST_BYTES + 1))):
        make_it()
        with pytest.raises(BadInput, match=r"releases\.json"):
            releases()
        path.rmdir() if path.is_dir() else path.unlink()


def test_one_damaged_artifact_hides_no_other(place: str) -> None:
    whole, broken = make("whole"), make("broken")
    change(broken, "manifest.json", b"{")
    assert store.find(whole.digest[:12]) == whole
    assert store.everything() == [whole]
    with pytest.raises(CogumiError):
        store.find(broken.digest)


def test_a_manifest_in_another_artifacts_place_is_not_that_artifact(place: str) -> None:
    one, two = make("one"), make("two")
    change(one, "manifest.json", json.dumps(raw(two)).encode())
    with pytest.raises(DamagedArtifact, match="does not belong"):
        store.open(one)
    assert store.everything() == [two]
    with pytest.raises(DamagedArtifact, match="another artifact's"):
        Graph()


def test_lineage_reads_no_rows_that_the_manifest_does_not_cover(place: str, tmp_path: Path) -> None:
    made = make()
    graph = Graph()
    assert graph.read(made.digest, "sub/a.txt") == b"hello"
    for content in (b"hellO", b"hello, and much more", None):
        change(made, "sub/a.txt", content)
        assert graph.read(made.digest, "sub/a.txt") == b""


def test_a_metric_that_is_no_number_is_told_where_it_is_made(state: Path) -> None:
    def fail(value: float) -> None:
        with store.create("thing") as folder:
            folder.metrics["loss"] = value

    for value in (float("nan"), float("inf")):
        with pytest.raises(CogumiError, match=r"thing: its metric loss is (nan|inf)"):
            fail(value)
    assert store.everything() == []


def test_a_link_in_an_artifact_in_the_making_is_told(state: Path, tmp_path: Path) -> None:
    def fail() -> None:
        with store.create("thing") as folder:
            (folder.path / "a").symlink_to(tmp_path)

    with pytest.raises(CogumiError, match="a is no plain file"):
        fail()
    assert leftovers() == []


def test_a_copy_that_is_gone_is_not_sent_for_ever(moto: tuple[str, int], state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    s3.use(monkeypatch, *moto, s3.bucket(*moto))
    made = make()
    forget(made)
    put(str(state / "unsent" / f"{made.kind}-{made.digest}"), made.uri.encode())
    remote.send()
    assert not list((state / "unsent").glob("thing-*"))
    store.verify(made)


def test_manifests_of_this_version_are_those_that_were_written_before(state: Path) -> None:
    """Caches stay valid: a manifest and a reference of before, as they stand."""
    made = make()
    found = Manifest.model_validate(raw(made))
    assert set(raw(made)) == {"kind", "digest", "files", "parents", "settings", "step", "code_version", "created", "seconds", "peak_memory_bytes", "dollars", "metrics"}
    assert found.digest == "41724d86354632a96a041467c2f3ade1c6fce52739d640c2d5d3986ef154b421"
