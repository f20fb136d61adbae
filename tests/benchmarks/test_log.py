"""The log of measurements is what its first line says: newest last."""

import re
from pathlib import Path

LOG = Path(__file__).parent / "LOG.md"


def test_its_entries_are_in_the_order_of_their_dates() -> None:
    text = LOG.read_text()
    assert text.startswith("# Measurements, newest last")
    dates = re.findall(r"(?m)^## (\d{4}-\d\d-\d\d)\b", text)
    assert len(dates) > 10
    assert dates == sorted(dates)
