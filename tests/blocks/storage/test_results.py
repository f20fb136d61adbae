"""Result records in a store that others write to: plain JSON of our own shape is believed, nothing of a record is run
or imported."""

import asyncio
import base64
import json
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import State
from prefect.filesystems import LocalFileSystem, NullFileSystem
from prefect.results import ResultRecord, ResultRecordMetadata, ResultStore
from prefect.serializers import JSONSerializer, Serializer

from blocks.storage import result_records, results
from blocks.storage.results import RESULTS
from configs.errors import BadInput, DamagedArtifact

KEY = "0123456789abcdef" * 4


class Marks:
    """Unpickled, it makes a file: the sign that code ran."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), "w")


def record(result: Any = '{"n":1}', key: str = KEY, **metadata: Any) -> dict[str, Any]:
    """A record as it is written, but for what is named."""
    plain: dict[str, Any] = json.loads(written())
    return {"metadata": {**plain["metadata"], "storage_key": f"/store/results/{key}", **metadata}, "result": result}


def written() -> bytes:
    """What Prefect hands over for a result of ours."""
    made = ResultStore(result_storage=RESULTS, serializer=result_records.SERIALIZER).create_result_record({"n": 1}, KEY)
    return made.serialize()


def hostile(mark: Path) -> dict[str, bytes]:
    """Records that nobody should believe, by what is wrong with them."""
    pickled = base64.encodebytes(pickle.dumps(Marks(mark))).decode()
    ours = record()["metadata"]["serializer"]
    (mark.parent / "imported.py").write_text(f"open({str(mark)!r}, 'w')")
    found: dict[str, Any] = {
        "pickle": record(pickled, serializer={"type": "pickle", "picklelib": "pickle", "picklelib_version": None}),
        "cloudpickle": record(
            pickled, serializer={"type": "pickle", "picklelib": "cloudpickle", "picklelib_version": None}
        ),
        "a pickle library to import": record(serializer={"type": "pickle", "picklelib": "imported"}),
        "compressed pickle": record(pickled, serializer={"type": "compressed/pickle"}),
        "compressed": record(
            pickled, serializer={"type": "compressed", "serializer": {"type": "pickle"}, "compressionlib": "imported"}
        ),
        "a JSON library of its own": record(serializer={**ours, "jsonlib": "imported"}),
        "a decoder of its own": record(serializer={**ours, "object_decoder": "imported.decode"}),
        "options for the decoder": record(serializer={**ours, "loads_kwargs": {"parse_int": "float"}}),
        "no serializer, which is pickle": {**record(pickled), "metadata": {}},
        "an unknown serializer": record(serializer={"type": "cogumi"}),
        "a serializer that is a word": record(serializer="pickle"),
        "old format": {"data": pickled, "serializer": {"type": "pickle"}},
        "both formats": {**record(), "data": pickled, "serializer": {"type": "pickle"}},
        "a field too many": {**record(), "extra": 1},
        "metadata too many": record(extra=1),
        "another key": record(key="f" * 64),
        "no key": record(storage_key=None),
        "expires": record(expiration="2030-01-01T00:00:00Z"),
        "a block": record(storage_block_id="7a3f9c1e-0000-4000-8000-000000000000"),
        "a result that is no text": record({"n": 1}),
        "a result that is no JSON": record("{"),
        "nested": record("[" * 10_000 + "]" * 10_000),
        "nested less": record("[" * 400 + "]" * 400),
        "a huge number": record("1" * 5000),
        "a large number": record(str(1 << 64)),
        "a field twice": record('{"n":1,"n":2}'),
        "half a letter": record('"\\ud800"'),
        "a list": [1],
        "null": None,
    }
    plain = {name: json.dumps(value).encode() for name, value in found.items()}
    whole = written()
    return plain | {
        "empty": b"",
        "cut": whole[:-5],
        "nested outside": b"[" * 10_000 + b"]" * 10_000,
        "UTF-16": whole.decode().encode("utf-16"),
        "a mark of order": b"\xef\xbb\xbf" + whole,
        "no text": b"\xff\xfe\x00",
        "a pickle": pickle.dumps(Marks(mark)),
        "metadata twice": b'{"metadata":{},' + whole[1:],
        "too large": b'"' + b"x" * result_records.MOST_BYTES + b'"',
    }


@pytest.fixture
def mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Made by whatever code of a record runs."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
    return tmp_path / "elsewhere" / "mark"


def ways(folder: Path) -> dict[str, Callable[[], Any]]:
    """Every way by which a record is read: ours, Prefect's, Prefect's of a folder, and of a state that a server
    delivers."""
    store, plain = (
        ResultStore(result_storage=RESULTS),
        ResultStore(result_storage=LocalFileSystem(basepath=str(folder))),
    )
    metadata = ResultRecordMetadata(storage_key=str(folder / KEY), serializer=result_records.SERIALIZER)
    state: State[Any] = State(type="COMPLETED", data=metadata)  # type: ignore[arg-type]
    return {
        "value": lambda: results.value(KEY),
        "expect": lambda: RESULTS.expect(KEY) or _fail(),
        "read_path": lambda: RESULTS.read_path(KEY),
        "aread_path": lambda: asyncio.run(RESULTS.aread_path(KEY)),
        "exists": lambda: store.exists(KEY) or _fail(),
        "read": lambda: store.read(KEY),
        "aread": lambda: asyncio.run(store.aread(KEY)),
        "a folder's": lambda: plain.read(KEY),
        "a folder's, awaited": lambda: asyncio.run(plain.aread(KEY)),
        "a state's": lambda: asyncio.run(state.aresult(retry_result_failure=False)),
    }


def _fail() -> None:
    raise ValueError("there is none")


def test_what_is_written_is_read_by_every_way(state: Path) -> None:
    RESULTS.write_path(KEY, written())
    for name, read in ways(Path(results.place())).items():
        assert read(), name
    assert results.value(KEY) == {"n": 1}


def test_a_phases_result_which_prefect_writes_alone_is_read_by_every_way(state: Path) -> None:
    store = ResultStore(result_storage=RESULTS, serializer=result_records.SERIALIZER, metadata_storage=NullFileSystem())
    asyncio.run(store.apersist_result_record(store.create_result_record({"n": 1}, KEY)))
    for name, read in ways(Path(results.place())).items():
        assert read(), name
    assert results.value(KEY) == {"n": 1}
    assert results.read(KEY) == written()


def test_a_record_by_prefects_own_json_is_believed_as_before(state: Path) -> None:
    old = ResultStore(result_storage=RESULTS, serializer=JSONSerializer()).create_result_record(
        {"kind": "model", "n": [1.5, None]}, KEY
    )
    RESULTS.write_path(KEY, old.serialize())
    assert results.value(KEY) == {"kind": "model", "n": [1.5, None]}
    assert ResultStore(result_storage=RESULTS).read(KEY).result == {"kind": "model", "n": [1.5, None]}


def test_no_record_of_another_makes_code_run_by_any_way(state: Path, mark: Path) -> None:
    folder = Path(results.place())
    folder.mkdir(parents=True)
    for name, content in hostile(mark).items():
        (folder / KEY).write_bytes(content)
        assert results.read(KEY) is None, name
        for way, read in ways(folder).items():
            if name == "another key" and way.startswith(("a folder's", "a state's")):
                continue  # Prefect reads these by a path alone
            with pytest.raises((DamagedArtifact, ValueError)) as told:
                read()
            assert "\n" not in str(told.value), (name, way)
        assert not mark.exists(), name
    assert "imported" not in sys.modules


def test_a_class_that_a_record_names_is_neither_imported_nor_made(state: Path, mark: Path) -> None:
    (mark.parent / "imported.py").write_text(f"open({str(mark)!r}, 'w')")
    for named in ('{"__class__": "imported.Any", "data": 1}', '{"__exc_type__": "imported.Any", "message": "x"}'):
        for serializer in (JSONSerializer(), result_records.SERIALIZER):
            RESULTS.write_path(KEY, json.dumps(record(named, serializer=serializer.model_dump())).encode())
            assert ResultStore(result_storage=RESULTS).read(KEY).result == json.loads(named)
    assert not mark.exists()


def test_what_a_server_says_of_a_state_imports_nothing(mark: Path) -> None:
    (mark.parent / "imported.py").write_text(f"open({str(mark)!r}, 'w')")
    for serializer in (
        {"type": "pickle", "picklelib": "imported"},
        {"type": "compressed", "compressionlib": "imported", "serializer": "pickle"},
    ):
        found: State[Any] = State.model_validate(
            {"type": "COMPLETED", "data": {"storage_key": "/x", "serializer": serializer}}
        )
        assert isinstance(found.data, ResultRecordMetadata)
        with pytest.raises(RuntimeError, match="not available"):
            found.data.serializer.loads(b"")
    assert Serializer(type="pickle").type == "pickle", "a person's settings of Prefect may name it"
    assert not mark.exists()


def test_an_error_and_a_model_are_written_as_plain_words(state: Path) -> None:
    store = ResultStore(result_storage=RESULTS, serializer=result_records.SERIALIZER)
    made = [DamagedArtifact("gone"), {"where": Path("/x")}]
    store.persist_result_record(store.create_result_record(made, KEY))
    assert results.value(KEY) == ["DamagedArtifact: gone", {"where": "/x"}]
    with pytest.raises(DamagedArtifact):
        ResultRecord.deserialize_from_result_and_metadata(b"1", b"{}")


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_what_is_no_file_is_no_record(kind: str, state: Path, tmp_path: Path) -> None:
    place = Path(results.place()) / KEY
    place.parent.mkdir(parents=True)
    if kind == "link":
        (tmp_path / "record").write_bytes(written())
        place.symlink_to(tmp_path / "record")
    elif kind == "folder":
        place.mkdir()
    else:
        os.mkfifo(place)
    assert results.read(KEY) is None
    results.write(KEY, written())
    assert results.value(KEY) == {"n": 1}
    assert kind != "link" or not place.is_symlink(), "what it led to is not written to"


def test_records_are_not_written_through_a_folder_that_leads_elsewhere(state: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    Path(results.place()).parent.mkdir(parents=True)
    Path(results.place()).symlink_to(tmp_path / "outside")
    with pytest.raises(BadInput, match=r"leads out of .*remove the link, nothing was written"):
        results.write(KEY, written())
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize("key", ["..", "/store/results/..", "a b", "", "/etc/passwd\n", "x" * 300])
def test_a_key_that_is_no_name_is_refused(key: str, state: Path) -> None:
    with pytest.raises(DamagedArtifact, match="names no result"):
        results.value(key)
