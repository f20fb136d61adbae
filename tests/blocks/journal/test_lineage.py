"""Ancestors of an artifact."""

import shutil
from pathlib import Path

import pytest

from blocks import store
from blocks.journal.lineage import ancestors
from blocks.records import Artifact
from configs.errors import DamagedArtifact


def make(text: str, *parents: Artifact) -> Artifact:
    with store.create("text", parents=parents) as folder:
        (folder.path / "text").write_text(text)
    return folder.artifact


def test_ancestors_come_once_and_before_their_children() -> None:
    root = make("root")
    left, right = make("left", root), make("right", root)
    both = make("both", left, right)
    make("stranger")
    order = [manifest.digest for manifest in ancestors([both, left])]
    assert sorted(order) == sorted({root.digest, left.digest, right.digest, both.digest})
    assert order.index(root.digest) == 0
    assert order[-1] == both.digest


def test_a_lost_ancestor_is_named() -> None:
    root = make("root")
    child = make("child", root)
    shutil.rmtree(Path(root.uri))
    with pytest.raises(DamagedArtifact, match=root.digest[:12]):
        ancestors([child])
