"""What an evaluation takes is planned at the rate of the engine that answers."""

import pytest

from blocks.estimates.hardware import device
from blocks.models.architecture import CONFIGS, architecture
from configs.schema import load
from deployments.commands.plan import plan
from tasks.evaluation.estimate import by_llama_cpp, by_transformers
from tests.tasks.evaluation.settings import settings

EIGHT = architecture(CONFIGS["meta-llama/Llama-3.1-8B-Instruct"])
H100 = device("h100")
VLLM = {"kind": "vllm", "gpu_memory": 0.9, "start_s": 60.0, "timeout_s": 30.0}
HTTP = {"kind": "http", "server": "llama-server", "url": "http://h/v1", "key_env": None, "timeout_s": 30.0}


def test_a_gguf_is_planned_where_it_is_answered() -> None:
    found = {}
    for name, changes in (
        ("cpu", {}),
        ("vllm", {"engine": VLLM}),
        ("gpu", {"gpu_layers": -1}),
        ("http", {"engine": HTTP}),
    ):
        asked = settings(max_new_tokens=1024, context=4096, slots=16, threads=16, **changes)
        work = by_llama_cpp(EIGHT, 5.5, 10_000, asked, on=H100, scratch=False)
        found[name] = work.seconds
        assert work.on == ("h100" if name in ("gpu", "http") else "cpu"), "vLLM answers for no GGUF"
    assert found["cpu"] == found["vllm"] > 20 * found["gpu"]
    assert found["gpu"] == found["http"]


def test_vllm_is_planned_faster_than_transformers() -> None:
    plain = settings(max_new_tokens=1024, context=4096, slots=64, device="cuda", dtype="bfloat16", batch=64)
    served = settings(max_new_tokens=1024, context=4096, slots=64, dtype="bfloat16", engine=VLLM)
    one, other = (by_transformers(EIGHT, 10_000, asked, H100, False) for asked in (plain, served))
    assert other.seconds < one.seconds / 3
    assert one.on == other.on == "h100"


@pytest.mark.parametrize("profile", ["llama-1b", "llama-8b"])
def test_no_phase_of_a_profile_plans_a_day(profile: str) -> None:
    assert max(phase.wall_s for phase in plan(load(profile), [], "h100").phases) < 24 * 3600
