"""The evaluation under every engine: over HTTP and by vLLM's wire format the same as in process; the settings that
choose and bound them."""

import json
import os
import stat
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from blocks.records import Artifact
from configs.errors import BadInput, CogumiError, Transient
from configs.phases.evaluation import Evaluation
from tasks.evaluation.evaluate import evaluate, read_answers, read_summary
from tests import llama_http
from tests.places import ROOT
from tests.tasks.evaluation import vllm_stand_in
from tests.tasks.evaluation.sayings import sayings
from tests.tasks.evaluation.settings import settings
from tests.tiny_llama import tiny

VLLM = {"kind": "vllm", "gpu_memory": 0.75, "start_s": 60.0, "timeout_s": 30.0}


def alike(one: Artifact, other: Artifact) -> None:
    """Equal but for rounding."""
    for mine, theirs in zip(read_answers(one), read_answers(other), strict=True):
        assert (mine.question, mine.text, mine.correct) == (theirs.question, theirs.text, theirs.correct)
        np.testing.assert_allclose(mine.logprobs, theirs.logprobs, atol=2e-3)
    first, second = read_summary(one), read_summary(other)
    assert first.perplexity == pytest.approx(second.perplexity, rel=1e-3)
    assert first.model_dump(exclude={"perplexity"}) == second.model_dump(exclude={"perplexity"})


def over_http(url: str, **changes: Any) -> Evaluation:
    engine = {"kind": "http", "server": "llama-server", "url": url, "key_env": "THE_KEY", "timeout_s": 30.0}
    return settings(engine=engine | changes)


@pytest.mark.parametrize("adapted", [False, True])
def test_the_kind_http_is_answered_by_a_server(adapted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same evaluation as in process, within rounding."""
    gguf, adapter = tiny().ggufs["F32"], tiny().gguf_adapters["code"] if adapted else None
    monkeypatch.setenv("THE_KEY", llama_http.KEY)
    files = {"code": Path(adapter.uri) / "adapter.gguf"} if adapter else {}
    with llama_http.served(Path(gguf.uri) / "model.gguf", gguf.short, files) as url:
        asked = over_http(url)
        found = evaluate(gguf, sayings(wrong=3), asked, adapter)
    assert asked.engine.kind == "http"
    expected = evaluate(gguf, sayings(wrong=3), settings(), adapter)
    alike(found, expected)
    assert found.digest != expected.digest, "another engine is another evaluation"


def test_a_server_of_another_model_kind_or_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    gguf = tiny().ggufs["F32"]
    monkeypatch.setenv("THE_KEY", llama_http.KEY)
    with llama_http.served(Path(gguf.uri) / "model.gguf", "another") as url:
        with pytest.raises(BadInput, match=f"serves another, not {gguf.short}; start it with that name"):
            evaluate(gguf, sayings(), over_http(url))
        with pytest.raises(BadInput, match="key_env names NO_KEY, which is not set"):
            evaluate(gguf, sayings(), over_http(url, key_env="NO_KEY"))
    with (
        llama_http.served(Path(gguf.uri) / "model.gguf", gguf.short) as url,
        pytest.raises(CogumiError, match="no log-probabilities"),
    ):
        evaluate(gguf, sayings(), over_http(url, server="vllm"))


@pytest.fixture
def vllm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in as the commands that a GPU machine has; where it writes what it was told."""
    for name, line in (("vllm", f'exec {sys.executable} {vllm_stand_in.__file__} "$@"'), ("nvidia-smi", "true")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("VLLM_TOLD", str(tmp_path / "told.json"))
    return tmp_path / "told.json"


def test_vllm_is_started_asked_and_ended(vllm: Path) -> None:
    adapter = tiny().adapters["code"]
    found = evaluate(tiny().model, sayings(wrong=3), settings(engine=VLLM), adapter)
    alike(found, evaluate(tiny().model, sayings(wrong=3), settings(), adapter))
    told = json.loads(vllm.read_text())
    asked = dict(zip(told["argv"], told["argv"][1:], strict=False))
    gpu_memory = asked["--gpu-memory-utilization"]
    assert (asked["serve"], asked["--host"], gpu_memory) == (tiny().model.uri, "127.0.0.1", "0.75")
    assert asked["--lora-modules"] == f"adapter={adapter.uri}"
    assert "--api-key" not in asked, "everybody sees a command line"
    assert not psutil.pid_exists(told["pid"])


def test_start_s_and_timeout_s_bound_the_wait_for_vllm(vllm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_LATE", "60")
    with pytest.raises(CogumiError, match=r"does not serve after 0.5 s; raise evaluation\.engine\.start_s"):
        evaluate(tiny().model, sayings(), settings(engine=VLLM | {"start_s": 0.5}))
    monkeypatch.setenv("VLLM_LATE", "0")
    monkeypatch.setenv("VLLM_SLOW", "60")
    monkeypatch.setattr("blocks.engines.openai_http.TRIES", 1)
    began = time.monotonic()
    with pytest.raises(Transient, match="no answer"):
        evaluate(tiny().model, sayings(), settings(engine=VLLM | {"timeout_s": 0.5}))
    assert time.monotonic() - began < 50


def test_a_slow_server_is_waited_for_timeout_s(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setenv("THE_KEY", "k")
    monkeypatch.setattr("blocks.engines.openai_http.TRIES", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        impatient = over_http(f"http://127.0.0.1:{silent.getsockname()[1]}/v1", timeout_s=0.2)
        with pytest.raises(Transient, match="ReadTimeout"):
            evaluate(tiny().ggufs["F32"], sayings(), impatient)


def test_kind_vllm_is_refused_where_package_or_gpu_is_missing(vllm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(vllm.parent))
    (vllm.parent / "nvidia-smi").unlink()
    with pytest.raises(BadInput, match="this machine has no NVIDIA GPU"):
        evaluate(tiny().model, sayings(), settings(engine=VLLM))
    (vllm.parent / "vllm").unlink()
    with pytest.raises(BadInput, match="this machine has no vllm command; install vLLM on the worker"):
        evaluate(tiny().model, sayings(), settings(engine=VLLM))
    assert evaluate(tiny().ggufs["F32"], sayings(), settings(engine=VLLM)).kind == "evaluation", "by llama.cpp"


def test_gpu_layers_are_what_llama_cpp_is_told_and_need_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    import xllamacpp

    told: list[int] = []
    server = xllamacpp.Server

    def watched(params: Any) -> Any:
        told.append(params.n_gpu_layers)
        return server(params)

    monkeypatch.setattr(xllamacpp, "Server", watched)
    cpu = [{"type": xllamacpp.ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_CPU}]
    gpu = [{"type": xllamacpp.ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_GPU}]
    for gpu_layers, seen in ((0, cpu), (-1, cpu), (-1, gpu), (2, gpu)):
        monkeypatch.setattr(xllamacpp, "get_device_info", lambda seen=seen: seen)
        if gpu_layers and seen is cpu:
            with pytest.raises(BadInput, match=r"evaluation\.gpu_layers asks for a GPU"):
                evaluate(tiny().ggufs["F32"], sayings(), settings(gpu_layers=gpu_layers))
        else:
            evaluate(tiny().ggufs["F32"], sayings(), settings(gpu_layers=gpu_layers))
    assert told == [0, -1, 2]


def test_kind_in_process_answers_by_transformers_and_llama_cpp() -> None:
    from tasks.evaluation.engine import described

    asked = settings(engine={"kind": "in_process"})
    assert [described(kind, asked).kind for kind in ("model", "gguf")] == ["transformers", "llama.cpp"]


def test_the_engine_of_before_is_no_part_of_the_identity_and_another_is() -> None:
    before = settings().identity()
    assert "engine" not in before
    assert "gpu_layers" not in before
    assert settings(engine=VLLM).identity()["engine"] == {"kind": "vllm"}
    assert settings(engine=VLLM).digest() != settings().digest()
