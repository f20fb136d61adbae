"""What counts tokens is named so that it cannot change: a folder, words, or a hub name at a commit."""

import re
from pathlib import Path

import pytest

from configs.errors import BadInput
from configs.phases.training import Hub
from configs.schema import load
from tasks.data.tokens import counter

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    "name",
    ["someone/tokenizer", "someone/tokenizer@main", "someone/tokenizer@0123456", f"someone/tokenizer@{COMMIT.upper()}"],
)
def test_a_hub_name_without_a_commit_is_refused_when_the_profile_is_loaded_and_when_it_is_used(name: str) -> None:
    with pytest.raises(BadInput, match="is not pinned; write owner/name@"):
        load("nano", [f"data.tokenizer={name}"])
    with pytest.raises(BadInput, match="no hub name pinned to a commit"):
        counter(name)
    assert load("nano", [f"data.tokenizer=someone/tokenizer@{COMMIT}"]).data.tokenizer.endswith(COMMIT)


@pytest.mark.parametrize("profile", ["llama-1b", "llama-8b"])
def test_tokens_are_counted_by_the_students_own_tokenizer_at_the_same_commit(profile: str) -> None:
    loaded = load(profile, [])
    student = loaded.training.student
    assert isinstance(student, Hub)
    assert loaded.data.tokenizer == f"{student.repository}@{student.revision}"


def test_a_pinned_tokenizer_is_taken_from_the_hubs_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.tiny_llama import tokenizer

    cache = tmp_path / "cache"
    tokenizer().save_pretrained(cache / "models--someone--tokenizer" / "snapshots" / COMMIT)
    monkeypatch.setattr("huggingface_hub.file_download.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert counter(f"someone/tokenizer@{COMMIT}")(["Say apple"])[0] >= 2
    with pytest.raises(BadInput, match="cannot load 'someone/other@"):
        counter(f"someone/other@{COMMIT}")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff\xfe{\x00}\x00",
        b'{"model": ' + b"[" * 5000,
        b'{"version": "1.0", "model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}}',
    ],
)
def test_a_file_that_is_no_tokenizer_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(BadInput, match=re.escape(str(tmp_path))) as refused:
        counter(str(tmp_path))
    assert "\n" not in str(refused.value)
