"""A step for test_clock_skew.py, importable from the processes that it starts."""

from blocks import store
from blocks.records import Artifact
from tasks.step import step


@step(version=1)
def skewed(number: int) -> Artifact:
    with store.create("skewed", settings={"number": number}) as folder:
        (folder.path / "data.txt").write_text(str(number))
    return folder.artifact
