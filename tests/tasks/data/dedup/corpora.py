"""Alpaca and Dolly as the text that is compared, from ``COGUMI_CORPORA``."""

import orjson
import zstandard

from tests.places import CORPORA

FILES = (CORPORA / "alpaca" / "alpaca_data.jsonl.zst", CORPORA / "dolly" / "databricks-dolly-15k.jsonl.zst")
MISSING = f"Alpaca and Dolly are not under COGUMI_CORPORA ({CORPORA})"


def there() -> bool:
    """Whether both files are there."""
    return all(file.exists() for file in FILES)


def records() -> list[dict[str, str]]:
    """All 67,013 records as they are."""
    lines = [
        line
        for file in FILES
        for line in zstandard.ZstdDecompressor().stream_reader(file.open("rb")).read().split(b"\n")
        if line
    ]
    return [orjson.loads(line) for line in lines]


def texts() -> list[str]:
    """Prompt, line break, response of each."""
    joined = []
    for record in records():
        prompt, more = record["instruction"], record.get("input") or record.get("context")
        joined.append("\n".join([prompt, *([more] if more else []), record.get("output", record.get("response", ""))]))
    return joined
