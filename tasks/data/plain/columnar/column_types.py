"""The types of columns that rows of JSON bring: how those of one lot of rows go together with those of the lots before,
and what is told where they do not.

What is null or empty at first takes the type that comes later, whole numbers become numbers with fractions where such
come too, and objects get the fields of all; at any depth. Not here: tables (columns.py), files (parquet_table.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_WORDS = {"string": "text", "bool": "true or false", "int64": "a whole number", "double": "a number", "null": "null"}


def wider(known: Any, found: Any) -> Any:
    """The Arrow type that holds what both hold; ``known`` where there is none, into which ``found`` may not go."""
    import pyarrow as pa

    is_ = pa.types
    if is_.is_null(known) or (is_.is_integer(known) and is_.is_floating(found)):
        return pa.float64() if is_.is_integer(known) else found
    if is_.is_struct(known) and is_.is_struct(found):
        return pa.struct(_together(known, found))
    if _is_list(known) and _is_list(found):
        field = known.value_field
        inner = field.with_type(wider(field.type, found.value_type))
        return pa.list_(inner) if is_.is_list(known) else pa.large_list(inner)
    return known


def holds(wide: Any, narrow: Any) -> bool:
    """Whether every field of an object inside ``narrow`` is one inside ``wide``: others Arrow leaves out without a
    word."""
    import pyarrow as pa

    if pa.types.is_struct(narrow) and pa.types.is_struct(wide):
        return all(field.name in wide.names and holds(wide.field(field.name).type, field.type) for field in narrow)
    if hasattr(narrow, "value_type") and hasattr(wide, "value_type"):
        return holds(wide.value_type, narrow.value_type)
    return True  # what else does not fit, Arrow refuses


def wider_schema(known: Any, found: Any) -> Any:
    """The columns of both, those of ``known`` first."""
    import pyarrow as pa

    return pa.schema(_together(known, found), known.metadata)


def _together(known: Iterable[Any], found: Any) -> list[Any]:
    """The fields of both, those of ``known`` first; null where the other has none."""
    here, there = {field.name: field for field in known}, {field.name: field for field in found}
    fields = []
    for name, field in here.items():
        both = name in there
        fields.append(field.with_type(wider(field.type, there[name].type)) if both else field.with_nullable(True))
    return fields + [field.with_nullable(True) for name, field in there.items() if name not in here]


def empty_object(kind: Any) -> bool:
    """Whether an object without fields is inside, for which Parquet has no form."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return not kind.num_fields or any(empty_object(field.type) for field in kind)
    return hasattr(kind, "value_type") and empty_object(kind.value_type)


def clash(rows: Sequence[Mapping[str, Any]], known: Any, first: int) -> str | None:
    """The first value that does not go together with those before it, as a sentence; None where none is found.

    Args:
        rows: rows of JSON, of which the first is number ``first``.
        known: the schema of the rows before them; None where there are none.
    """
    import pyarrow as pa

    types: dict[str, Any] = {field.name: field.type for field in known} if known is not None else {}
    for number, row in enumerate(rows, first):
        for name, value in row.items():
            before = types.get(name, pa.null())
            path, fault = name, ""
            try:
                kind = pa.array([value]).type
                types[name] = wider(before, kind)
                pa.array([value], types[name])
            except (pa.ArrowException, ValueError, TypeError, OverflowError, RecursionError) as error:
                fault = " ".join(str(error).split())[:300]
            else:
                continue
            if name in types and (found := _differing(types[name], kind, name)):
                path, one, other = found
                fault = f"{_word(other)}, but {_word(one)} in the rows before"
            return f"row {number:,} (id {str(row.get('id'))[:100]!r}), field {path[:200]!r}: {fault}"
    for name, kind in types.items():  # what goes together by its types only: a large whole number before a fraction
        try:
            pa.array([row.get(name) for row in rows], kind)
        except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
            fault = " ".join(str(error).split())[:300]
            return f"rows {first:,} to {first + len(rows) - 1:,}, field {name[:200]!r}: {fault}"
    return None


def _differing(known: Any, found: Any, path: str) -> tuple[str, Any, Any] | None:
    """Where ``found`` does not go into ``known``, and by which two types; None where it does."""
    import pyarrow as pa

    is_ = pa.types
    if is_.is_null(found) or known.equals(found) or (is_.is_floating(known) and is_.is_integer(found)):
        return None
    if is_.is_struct(known) and is_.is_struct(found):
        both = [name for name in known.names if name in found.names]
        places = (_differing(known.field(name).type, found.field(name).type, f"{path}.{name}") for name in both)
        return next((one for one in places if one), None)
    if _is_list(known) and _is_list(found):
        return _differing(known.value_type, found.value_type, f"{path}[]")
    return path, known, found


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _word(kind: Any) -> str:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return "an object"
    return "a list" if _is_list(kind) else _WORDS.get(str(kind), str(kind))
