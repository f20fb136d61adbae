"""A disk too small for what is written to it: in this process where it is root's, otherwise for a script in a namespace
of its own."""

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest


def mounting(disk: Path, size: str) -> list[str]:
    """The command that mounts a disk of ``size`` (as mount's: 64k, 9m) at the folder ``disk``."""
    return ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]


def growing(disk: Path, size: str) -> list[str]:
    """The command that makes a mounted disk larger."""
    return ["mount", "-o", f"remount,size={size}", str(disk)]


@contextmanager
def mounted(disk: Path, size: str) -> Iterator[Callable[[str], None]]:
    """A disk of ``size`` at the new folder ``disk``, for this process; gives what makes it larger. Skips the test where
    nobody may mount."""
    disk.mkdir()
    if subprocess.run(mounting(disk, size), capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        yield lambda larger: subprocess.run(growing(disk, larger), check=True) and None
    finally:
        subprocess.run(
            ["umount", "--lazy", disk], check=True
        )  # also while a connection that is to be collected has a file of it open


def unshared(script: str, environment: Mapping[str, str], timeout: float = 250) -> "subprocess.CompletedProcess[str]":
    """Run a shell script that may mount, seen by nobody else. Skips the test where that is not allowed."""
    apart = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*apart, *mounting(Path("/tmp"), "1m")], capture_output=True, check=False).returncode:
        pytest.skip("this machine allows no mount in a namespace of one's own")
    return subprocess.run(
        [*apart, "sh", "-c", script],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
