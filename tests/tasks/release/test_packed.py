"""Measured is served: a release answers with the engine that it describes, from the very bytes that were packed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from blocks import store
from blocks.records import Artifact
from configs.errors import DamagedArtifact
from deployments.serving.responder import Responder
from tasks.release.contents import describe
from tests.places import ROOT
from tests.tasks.evaluation.settings import settings as evaluation
from tests.tasks.release.test_settings import ASKED, card, parts, release
from tests.tiny_llama import tiny

__all__ = ["parts"]  # the fixture


def said(folder: Path) -> tuple[str, tuple[float, ...]]:
    with Responder(folder, threads=1) as responder:
        (first,) = responder._model.complete([responder._fitting(ASKED)], max_tokens=16)
        return responder.reply(ASKED).text, first.logprobs


@pytest.fixture
def packed(parts: dict[str, Artifact]) -> Path:
    return store.open(release(parts, packed=True))


def test_packed_ships_packed_and_answers_as_the_file_does(
    parts: dict[str, Artifact], packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = release(parts, packed=False)
    assert not (packed / "base.gguf").exists()
    assert sorted(path.name for path in (packed / "base").iterdir()) == ["0.zst", "packing.json"]
    assert (store.open(plain) / "base.gguf").read_bytes() == tiny().gguf.read_bytes()
    monkeypatch.setenv("COGUMI_HOME", str(tmp_path))
    assert said(packed) == said(store.open(plain))
    (kept,) = (tmp_path / "cache").glob("*/model.gguf")
    assert kept.read_bytes() == tiny().gguf.read_bytes()
    when = kept.stat().st_mtime_ns
    assert said(packed)[0] == "apple pear"
    assert kept.stat().st_mtime_ns == when, "unpacked once"
    kept.write_bytes(kept.read_bytes()[:-1] + b"\xff")
    assert said(packed)[0] == "apple pear"
    assert kept.read_bytes() == tiny().gguf.read_bytes(), "other bytes never answer"
    assert "packed with zstd" in card(release(parts, packed=True))


def test_a_damaged_pack_is_one_line_and_leaves_nothing(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COGUMI_HOME", str(tmp_path / "home"))
    broken = tmp_path / "broken"
    shutil.copytree(packed, broken)
    data = bytearray((broken / "base" / "0.zst").read_bytes())
    data[len(data) // 2] ^= 1
    (broken / "base" / "0.zst").write_bytes(bytes(data))
    with pytest.raises(DamagedArtifact, match="fetch it again") as caught:
        Responder(broken, threads=1)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "home" / "cache").glob("*/*"))


UNPACK = """
import sys
from pathlib import Path
from blocks.models import unpacking
print(unpacking.kept(Path(sys.argv[1])))
"""


def test_processes_unpack_at_once_and_after_a_kill(packed: Path, tmp_path: Path) -> None:
    sha = json.loads((packed / "base" / "packing.json").read_text())[0]["sha256"]
    left = tmp_path / "cache" / sha
    left.mkdir(parents=True)
    (left / "model.gguf.begun").write_bytes(b"GGUF, and then it was killed")
    several = [
        subprocess.Popen(
            [sys.executable, "-c", UNPACK, str(packed / "base")],
            cwd=ROOT,
            env={"COGUMI_HOME": str(tmp_path), "PATH": ""},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    found = {one.communicate()[0].strip() for one in several}
    assert found == {str(left / "model.gguf")}
    assert [one.returncode for one in several] == [0, 0, 0]
    assert [path.name for path in left.iterdir()] == ["model.gguf"]
    assert (left / "model.gguf").read_bytes() == tiny().gguf.read_bytes()


def test_a_release_answers_with_the_keys_and_values_it_was_measured_with(
    parts: dict[str, Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    import xllamacpp

    told: list[tuple[Any, ...]] = []
    server = xllamacpp.Server

    def watched(params: Any) -> Any:
        told.append((params.cache_type_k, params.cache_type_v, params.n_ctx))
        return server(params)

    monkeypatch.setattr(xllamacpp, "Server", watched)
    made = release(parts, engine=evaluation(cache_type_k="q8_0", cache_type_v="q4_0"), context_tokens=96)
    described = describe(store.open(made)).engine
    assert (described.kind, described.cache_type_k, described.cache_type_v) == ("llama.cpp", "q8_0", "q4_0")
    assert "llama.cpp with q8_0 keys and q4_0 values, as it is served" in card(made)
    said(store.open(made))
    assert told == [(xllamacpp.ggml_type.GGML_TYPE_Q8_0, xllamacpp.ggml_type.GGML_TYPE_Q4_0, 96)]


def test_a_release_from_before_engines_were_described_still_answers(parts: dict[str, Artifact], tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(store.open(release(parts, packed=False)), old)
    written = json.loads((old / "release.json").read_text())
    (old / "release.json").write_text(json.dumps({k: v for k, v in written.items() if k not in ("engine", "base")}))
    described = describe(old)
    assert (described.engine.cache_type_k, described.engine.cache_type_v) == ("f16", "f16"), "as it was served"
    assert described.engine.context == described.context_tokens
    assert said(old)[0] == "apple pear"
