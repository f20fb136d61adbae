"""``step`` against a real Prefect server: cache, damage, retries, errors."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.results import ResultStore
from prefect.serializers import JSONSerializer

from blocks import store
from blocks.records import Artifact
from blocks.storage import objects, results
from blocks.storage.result_records import SERIALIZER
from blocks.storage.results import RESULTS
from configs.errors import BadInput, DamagedArtifact, Transient
from configs.settings import Settings, runtime, setting
from tasks.step import step
from tests import s3

pytestmark = pytest.mark.usefixtures("prefect_server")
calls: list[str] = []


class Cut(Settings):
    share: float = setting("share that goes")
    threads: int = runtime("threads")


@step(version=1)
def write(text: str) -> Artifact:
    """Write a text."""
    calls.append(f"write {text}")
    with store.create("text", settings={"text": text}) as folder:
        (folder.path / "text").write_text(text)
    return folder.artifact


@step(version=1)
def cut(whole: Artifact, settings: Cut) -> Artifact:
    """Keep the beginning of a text."""
    calls.append("cut")
    with store.create("text", parents=[whole], settings=settings) as folder:
        text = (store.open(whole) / "text").read_text()
        (folder.path / "text").write_text(text[: int(len(text) * (1 - settings.share))])
    return folder.artifact


@flow
def both(text: str, share: float, threads: int) -> Artifact:
    return cut(write(text), Cut(share=share, threads=threads))


@pytest.fixture(autouse=True)
def fresh() -> None:
    calls.clear()


def test_the_same_inputs_never_run_twice_and_a_changed_setting_runs_only_what_depends_on_it() -> None:
    first = both("abcdef", 0.5, 1)
    assert calls == ["write abcdef", "cut"]
    assert (store.open(first) / "text").read_text() == "abc"
    assert both("abcdef", 0.5, 1) == first
    assert both("abcdef", 0.5, threads=8) == first, "a runtime field is not in the key"
    assert calls == ["write abcdef", "cut"]
    both("abcdef", 0.9, 1)
    assert calls == ["write abcdef", "cut", "cut"]


def test_a_cached_reference_whose_files_are_damaged_is_made_again() -> None:
    made = both("ghijkl", 0.5, 1)
    (Path(made.uri) / "text").write_text("lies")
    assert both("ghijkl", 0.5, 1) == made
    assert (store.open(made) / "text").read_text() == "ghi"
    assert calls == ["write ghijkl", "cut", "cut"]


@pytest.mark.parametrize("damage", [b"", b'{"metadata": {"storage_k', b'{"result": 3}'])
def test_a_cached_reference_that_cannot_be_read_is_made_again(damage: bytes) -> None:
    made = both("damaged", 0.5, 1)
    for record in Path(results.place()).glob("*"):
        record.write_bytes(damage)
    assert both("damaged", 0.5, 1) == made
    assert calls == ["write damaged", "cut"] * 2
    assert both("damaged", 0.5, 1) == made
    assert len(calls) == 4, "what was damaged is whole again"


def test_a_cached_reference_that_is_not_what_the_step_makes_is_made_again(tmp_path: Path) -> None:
    """A record that decodes well, and says something else: of another type, about another artifact, or leading out of
    the store."""
    made = both("hostile", 0.5, 1)
    plain = made.model_dump(mode="json")
    key = cut.key(write.fn("hostile"), Cut(share=0.5, threads=1))
    for wrong in (
        {"kind": "../../x"},
        {"digest": "0" * 64},
        {"bytes": "3"},
        {"metrics": {"exact_match": 1.0}},
        {"account": "0" * 64},
        {"extra": 1},
    ):
        calls.clear()
        results.write(key, as_record(key, plain | wrong))
        assert both("hostile", 0.5, 1) == made
        assert calls == ["cut"], wrong
        assert results.value(key) == plain, wrong
    for value in (
        plain | {"digest": ".."},
        plain | {"bytes": 10**19},
        plain | {"uri": "\x1b[2J"},
        plain | {"metrics": {"a": float("nan")}},
        [plain],
        "text",
        3,
        None,
        {},
    ):
        with pytest.raises(ValueError, match="validation error"):
            cut.result_of(value)
    for damage in (as_record("f" * 64, plain), as_record(key, plain).replace(b'"type":"json"', b'"type":"pickle"')):
        calls.clear()
        results.write(key, damage)
        assert both("hostile", 0.5, 1) == made
        assert calls == ["cut"]


def as_record(key: str, value: Any) -> bytes:
    """What a machine that shares the store would write."""
    return ResultStore(result_storage=RESULTS, serializer=SERIALIZER).create_result_record(value, key).serialize()


def test_what_the_digest_does_not_cover_cannot_be_changed_unseen() -> None:
    """Whoever changes the dollars of an artifact is found out by the step's record, and the step tells them anew."""
    made = both("account", 0.5, 1)
    manifest = Path(made.uri) / "manifest.json"
    before = manifest.read_bytes()
    for change in ({"dollars": "12.5"}, {"metrics": {"exact_match": 1.0}}, {"step": "evaluate"}):
        calls.clear()
        manifest.write_text(json.dumps(json.loads(before) | change))
        with pytest.raises(DamagedArtifact, match="was changed since it was made"):
            store.manifest(made)
        assert both("account", 0.5, 1) == made
        assert calls == ["cut"]
        assert {**json.loads(manifest.read_bytes()), **change} != json.loads(manifest.read_bytes())
        assert store.manifest(made).dollars == 0


def test_a_record_from_before_there_was_an_account_is_believed() -> None:
    made = both("old", 0.5, 1)
    key = cut.key(write.fn("old"), Cut(share=0.5, threads=1))
    old = {name: value for name, value in made.model_dump(mode="json").items() if name != "account"}
    record = ResultStore(result_storage=RESULTS, serializer=JSONSerializer()).create_result_record(old, key)
    results.write(key, record.serialize())
    calls.clear()
    assert both("old", 0.5, 1) == made
    assert calls == []


@pytest.fixture
def s3_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[s3.Cuts]:
    """The store is on S3, behind a proxy."""
    monkeypatch.setattr(objects, "PATIENCE", 0.3)
    with s3.server() as address:
        proxy = s3.Cuts(*address, probability=0, most=2, seed=0)
        s3.use(monkeypatch, "127.0.0.1", proxy.port, s3.bucket(*address))
        yield proxy
        proxy.close()


def test_what_one_machine_has_done_another_takes_from_the_shared_store(
    s3_store: s3.Cuts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = both("shared", 0.5, 1)
    monkeypatch.setenv("COGUMI_HOME", str(tmp_path / "another"))
    assert both("shared", 0.5, 1) == made
    assert calls == ["write shared", "cut"]
    assert not (tmp_path / "another" / "cache").exists(), "a rerun fetches nothing that it does not use"
    assert (store.open(made) / "text").read_text() == "sha"


def test_work_is_not_done_again_because_the_store_was_away(s3_store: s3.Cuts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.step.RETRIES", 1)

    @step(version=1)
    def away(text: str) -> Artifact:
        """Lose the store in the middle."""
        calls.append(text)
        s3_store.refuse = True
        with store.create("text", settings={"text": text}) as folder:
            (folder.path / "text").write_text(text)
        return folder.artifact

    @flow
    def run(text: str) -> Artifact:
        return away(text)

    with pytest.raises(Transient, match="cannot reach s3://"):
        run("first")
    assert calls == ["first"], "its retries only send"
    with pytest.raises(Transient, match="cannot reach s3://"):
        run("first")
    s3_store.refuse = False
    made = run("first")
    assert calls == ["first"], "neither does a later run do it again"
    assert run("first") == made
    assert store.everything() == [made]


def test_only_what_can_pass_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    @step(version=1)
    def shaky(kind: str) -> int:
        """Fail the first time."""
        calls.append(kind)
        if len(calls) == 1:
            raise {"transient": Transient, "bad": BadInput}[kind]("not now")
        return len(calls)

    @flow
    def run(kind: str) -> int:
        return shaky(kind)

    assert run("transient") == 2
    calls.clear()
    with pytest.raises(BadInput, match="not now"):
        run("bad")
    assert calls == ["bad"]


def test_an_argument_without_an_identity_is_refused() -> None:
    with pytest.raises(BadInput, match="argument whole is a object"):
        cut.key(object(), Cut(share=0.5, threads=1))  # type: ignore[arg-type]
