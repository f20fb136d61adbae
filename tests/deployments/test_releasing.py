"""``cogumi releases`` and ``cogumi rollback`` as a person meets them."""

from pathlib import Path

import pytest

from blocks import store
from blocks.records import Artifact
from tasks.release.current import current, promote
from tests.deployments.test_cli import cogumi


def made(name: str, kind: str = "release") -> Artifact:
    with store.create(kind, settings={"name": name}) as folder:
        (folder.path / "base.gguf").write_text(name)
    return folder.artifact


def test_back_and_back_again(state: Path) -> None:
    first, second = made("first"), made("second")
    for release in (first, second):
        promote(release, made("report", "report"), 3)
    assert [line[:14] for line in cogumi("releases", home=state).stdout.split("\n") if line] == [f"  {first.digest[:12]}", f"* {second.digest[:12]}"]
    assert f"current  {first.digest[:12]}  in place of {second.digest[:12]}" in cogumi("rollback", home=state).stdout
    assert current().release == first
    assert "rolled back, in place of" in cogumi("releases", home=state).stdout
    assert cogumi("rollback", second.digest[:9], home=state).returncode == 0
    assert current().release == second


NONE = "there is no release here yet"


@pytest.mark.parametrize(("arguments", "said"), [(["rollback"], NONE), (["nightly"], NONE), (["rollback", "abc"], "no release 'abc'")])
def test_without_a_release_it_is_one_clear_line(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = cogumi(*arguments, home=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.strip().split("\n")) == 1
