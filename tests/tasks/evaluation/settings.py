"""Evaluation settings for tests, small and complete."""

from typing import Any

from configs.phases.evaluation import Benchmark, Evaluation, Rehearsal


def settings(**changes: Any) -> Evaluation:
    """Defaults of the tests, with ``changes``."""
    values: dict[str, Any] = {
        "rehearsal": Rehearsal(test=2, calibration=1),
        "benchmarks": [],
        "max_new_tokens": 12,
        "context": 256,
        "dtype": "float32",
        "cache_type_k": "f16",
        "cache_type_v": "f16",
        "perplexity_questions": 0,
        "agreement_questions": 0,
        "agreement": 0.99,
        "tolerance": 0.1,
        "resamples": 2000,
        "engine": {"kind": "in_process"},
        "device": "cpu",
        "gpu_layers": 0,
        "batch": 8,
        "slots": 4,
        "threads": 1,
    }
    return Evaluation(**(values | changes))


def benchmark(format: str, url: str, **changes: Any) -> Benchmark:
    """A benchmark of three test and two calibration questions."""
    return Benchmark(
        **({"format": format, "url": url, "sha256": None, "answers_url": None, "test": 3, "calibration": 2} | changes)
    )
