"""Compiled code is kept where that is possible; where it is not, the work goes on."""

import os
import subprocess
import sys
from pathlib import Path

from tests.places import ROOT
from tests.small_disk import mounted

CODE = """
import sys
sys.path.insert(0, {folder!r})
import logging
logging.basicConfig()
from tasks.data.dedup import compiled
compiled.{patch}
from tiny import twice
assert twice(21) == 42
print(sum(twice.stats.cache_hits.values()))
"""


def run(tmp_path: Path, patch: str = "log", **environment: str) -> tuple[str, str]:
    """Compile a tiny kernel in a process of its own; its cache hits and its log."""
    folder = tmp_path / "code"
    folder.mkdir(exist_ok=True)
    (folder / "tiny.py").write_text(
        "from tasks.data.dedup.compiled import compiled\n\n@compiled\ndef twice(x):\n    return 2 * x\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(folder=str(folder), patch=patch)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


def test_the_second_process_compiles_nothing(tmp_path: Path) -> None:
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert run(tmp_path, **cache)[0] == "0"
    assert run(tmp_path, **cache)[0] == "1"


def test_a_damaged_cache_is_no_error(tmp_path: Path) -> None:
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    run(tmp_path, **cache)
    for file in (tmp_path / "cache").rglob("*.nb?"):
        file.write_bytes(file.read_bytes()[:40])
    assert run(tmp_path, **cache)[0] == "0"


def test_a_full_disk_is_no_error(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "4k,nr_inodes=3"):
        hits, log = run(tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "small"))
        assert hits == "0"
        assert "compiled code cannot be kept" in log


def test_no_writable_folder_at_all_is_no_error(tmp_path: Path) -> None:
    patch = (
        "_Cache.__init__ = lambda self, function: (_ for _ in ()).throw(RuntimeError('cannot cache function: no "
        "locator available'))"
    )
    assert run(tmp_path, patch=patch)[0] == "0"
