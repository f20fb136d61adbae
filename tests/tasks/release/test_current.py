"""The pointer to the current release."""

import pytest

from blocks.errors import BadInput
from blocks.records import Artifact
from tasks.release.current import current, promote, releases


def artifact(digest: str, kind: str = "release") -> Artifact:
    return Artifact(kind=kind, digest=digest, uri=f"/nowhere/{digest}", bytes=1)


def test_promotion_moves_the_pointer_and_keeps_the_last() -> None:
    with pytest.raises(BadInput, match="cogumi run"):
        current()
    for digest in ("aa", "bb", "cc", "cc"):
        promote(artifact(digest), artifact(digest, "report"), keep=1)
    assert current().release.digest == "cc"
    assert [entry.release.digest for entry in releases().entries] == ["bb", "cc"]
    assert current("b").release.digest == "bb"
    with pytest.raises(BadInput, match="no release 'aa'"):
        current("aa")
