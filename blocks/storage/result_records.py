"""What a result record is, and which ones are believed: plain JSON of exactly the shape that is written here, checked
before Prefect sees it.

Whoever can write to a shared store can write a record. Prefect's own format names the code that decodes it: a pickle,
any function, any class. Here nothing of a record chooses code. A record that is not believed counts as not there: its
step is made again. Importing this module holds for all of Prefect in this process, whatever storage it reads a record
from. Not here: where records lie (results.py), and what type a result has (tasks/step.py).
"""

import json
from pathlib import PurePosixPath
from typing import Any

from prefect.results import ResultRecord, ResultRecordMetadata
from prefect.serializers import JSONSerializer, Serializer, UnknownSerializer
from prefect.utilities.dispatch import get_registry_for_type
from pydantic_core import to_jsonable_python

from configs.errors import DamagedArtifact

MOST_BYTES = 64 << 20
MOST_DEPTH = 100  # of nested lists and objects; a result of ours has less than ten
MOST_NUMBER = 1 << 64
SERIALIZER = JSONSerializer(object_encoder=f"{__name__}.plain", object_decoder=None)
EARLIER = ("blocks.result_records.plain",)  # where ``plain`` was before: records that were written then are as good
_WRITTEN = (
    SERIALIZER.model_dump(),
    JSONSerializer().model_dump(),
    *(JSONSerializer(object_encoder=name, object_decoder=None).model_dump() for name in EARLIER),
)
_METADATA = {"storage_key", "expiration", "serializer", "prefect_version", "storage_block_id"}


def plain(value: Any) -> Any:
    """What stands in a record for a value that JSON does not know: a model's fields; an exception's class and
    message."""
    return f"{type(value).__name__}: {value}" if isinstance(value, BaseException) else to_jsonable_python(value)


def parsed(content: bytes) -> Any:
    """The plain JSON data in ``content``.

    Raises:
        ValueError: it is no JSON in UTF-8, names a field twice, nests too deep, is too large, or holds what no writer
            of ours writes.
    """
    if len(content) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES >> 20} MiB")
    try:
        value = json.loads(content.decode(), object_pairs_hook=_object, parse_int=_integer)
    except RecursionError:
        raise ValueError("it nests too deep") from None
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            break
    else:
        raise ValueError("it nests too deep")
    json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate is no text
    return value


def value(content: bytes, key: str | None = None) -> Any:
    """The result in a record, as plain JSON data. ``key``: the record's name, where it is known.

    Raises:
        ValueError: the record is not as this module writes it, or is that of another key.
    """
    return _parts(content, key)[1]


def whole(key: str, content: bytes) -> bytes:
    """``content`` as the record ``key``. Of a step Prefect writes the whole record, of a flow the result alone.

    Raises:
        ValueError: it is not plain JSON.
    """
    try:
        value(content, key)
    except ValueError:
        metadata = ResultRecordMetadata(serializer=SERIALIZER, storage_key=key)
        return ResultRecord(result=parsed(content), metadata=metadata).serialize()
    return content


def name(key: str) -> str:
    """A record's name: the last part of its place."""
    return PurePosixPath(key).name


def _parts(content: bytes, key: str | None) -> tuple[dict[str, Any], Any]:
    """The metadata and the result."""
    record = parsed(content)
    if not isinstance(record, dict) or record.keys() != {"metadata", "result"}:
        raise ValueError("it is no result record")
    metadata, result = record["metadata"], record["result"]
    if not isinstance(metadata, dict) or metadata.keys() != _METADATA or metadata["serializer"] not in _WRITTEN:
        raise ValueError("it asks to be decoded by other code than Cogumi's")
    if (
        metadata["expiration"] is not None
        or metadata["storage_block_id"] is not None
        or not isinstance(metadata["prefect_version"], str)
    ):
        raise ValueError("its metadata is not what Cogumi writes")
    if not isinstance(metadata["storage_key"], str) or (key is not None and name(metadata["storage_key"]) != name(key)):
        raise ValueError("it is the record of another result")
    if not isinstance(result, str):
        raise ValueError("its result is no JSON text")
    return metadata, parsed(result.encode())


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("it names a field twice")
    return found


def _integer(digits: str) -> int:
    if len(digits) > 20 or abs(number := int(digits)) >= MOST_NUMBER:
        raise ValueError("it holds a number beyond 64 bits")
    return number


def _deserialize(
    cls: type[ResultRecord[Any]], data: bytes, backup_serializer: Serializer | None = None
) -> ResultRecord[Any]:
    """In the place of Prefect's own, through which it reads every record, from whatever storage."""
    try:
        metadata, result = _parts(data, None)
    except ValueError as error:
        raise DamagedArtifact(f"a result record is not believed: {error}; run again to make it anew") from None
    return cls(result=result, metadata=ResultRecordMetadata(**metadata | {"serializer": SERIALIZER}))


def _deserialize_apart(cls: type[ResultRecord[Any]], result: bytes, metadata: bytes) -> ResultRecord[Any]:
    raise DamagedArtifact(
        "a result record whose metadata lies apart from it is not believed; no flow of Cogumi writes such"
    )


def _guard() -> None:
    """No record, and no state that a server delivers, makes Prefect decode anything but plain JSON, or import a module
    to do so."""
    ResultRecord.deserialize = classmethod(_deserialize)  # type: ignore[method-assign,assignment]
    ResultRecord.deserialize_from_result_and_metadata = classmethod(_deserialize_apart)  # type: ignore[method-assign,assignment]
    known = get_registry_for_type(Serializer) or {}
    for kind in set(known) - {"json"}:
        known[kind] = UnknownSerializer  # type: ignore[assignment] # it can be named, as in Prefect's settings, and does nothing


_guard()
