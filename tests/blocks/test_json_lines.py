"""JSON lines: whatever stands in a text, a row is one line and comes back as it was."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blocks import json_lines
from blocks.records import Verdict

TEXTS = st.text(
    st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("\n\r\v\f\x1c\x85\u2028\u2029\ufeff")),
    max_size=20,
)


@given(st.lists(st.builds(Verdict, correct=st.booleans(), reason=TEXTS), max_size=5))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_come_back(tmp_path: Path, rows: list[Verdict]) -> None:
    path = tmp_path / "rows.jsonl"
    assert json_lines.write(path, iter(rows)) == len(rows)
    assert json_lines.read(path, Verdict) == rows
    assert path.read_bytes() == b"".join(line + b"\n" for line in json_lines.lines(path))


def test_a_file_that_is_not_there_has_no_rows(tmp_path: Path) -> None:
    assert json_lines.read(tmp_path / "none.jsonl", Verdict) == []
