"""A disk that fills up under what `cogumi data` writes: one line on stderr, whatever the kind of file, and no library's
own."""

import json
import random
import shlex
import sys
from pathlib import Path

from tasks.data.clean.filters.table import TABLE
from tasks.data.dedup.files import dedup_files
from tests.small_disk import mounting, unshared

KINDS = ("jsonl", "jsonl.zst", "jsonl.gz", "parquet")
# In one process, to the end of its interpreter: some libraries speak only when their files are forgotten.
COMMANDS = """
import sys
from deployments.cli import outcome
source, disk, *options = sys.argv[1:]
for kind in %r:
    for command in (["filter", *options], ["dedup", "--threshold", "1"]):
        sys.argv = ["cogumi", "data", *command, source, f"{disk}/{command[0]}.{kind}"]
        assert outcome() == 2
"""


def test_a_full_disk_is_one_line_whatever_is_written(tmp_path: Path) -> None:
    source, disk = tmp_path / "in.jsonl", tmp_path / "disk"
    disk.mkdir()
    noise = random.Random(0)
    with source.open("w") as file:
        for number in range(2000):
            row = {"id": str(number), "prompt": noise.randbytes(200).hex(), "response": noise.randbytes(800).hex()}
            file.write(json.dumps(row) + "\n")
    dedup_files([source], tmp_path / "out.jsonl", threshold=1.0, fold=True)  # compiles what is compiled once, and told
    settings = ["workers=1", *(f"{name}.enabled=false" for name in TABLE)]
    options = ["--profile", "nano", *(word for one in settings for word in ("--set", f"data.filters.{one}"))]
    run = shlex.join([sys.executable, "-c", COMMANDS % (KINDS,), str(source), str(disk), *options])
    done = unshared(f"{shlex.join(mounting(disk, '64k'))} && {run} && ls -A {disk}", {})
    full = "No space left on device"
    told = []
    for kind in KINDS:
        told.append(f"cogumi: {disk}/filter.{kind}: cannot be written ({full}); name another place")
        told.append(f"cogumi: dedup: cannot read or write {disk}: {full}")
    assert done.stderr.splitlines() == told
    assert (done.returncode, done.stdout) == (0, "")
