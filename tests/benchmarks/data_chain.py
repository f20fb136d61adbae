"""The whole data chain on real public data: collect → filter and decontaminate → dedup → verify, timed.

Run: ``python -m tests.benchmarks.data_chain [--out FOLDER] [--workers 2]`` with ``COGUMI_CORPORA``. The settings are
the llama-8b profile's; tokens are counted in words. Prints one JSON object with every command's report, wall and CPU
seconds and peak memory. Results are kept in LOG.md.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path

import yaml

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from configs.phases.data import Data
from configs.schema import PROFILES
from tasks.data.plain.commands.collect import collect_files
from tasks.data.plain.commands.dedup import dedup_files
from tasks.data.plain.commands.filter import filter_files
from tasks.data.plain.commands.stats import stats_files
from tasks.data.plain.commands.verify import verify_files
from tests.places import CORPORA

SOURCES = {
    "alpaca": "alpaca/alpaca_data.jsonl.zst",
    "alpaca_gpt4": "alpaca_gpt4/alpaca_en_demo.json.zst",
    "codealpaca": "codealpaca/code_alpaca_2k.json.zst",
    "dolly": "dolly/databricks-dolly-15k.jsonl.zst",
    "gsm8k": "gsm8k/train.jsonl.zst",
    "math": "math/math_train.jsonl.zst",
    "hh": "hh_rlhf/helpful-base_test.jsonl.gz",
    "openorca": "openorca/orca_dpo_pairs_validation.jsonl.zst",
    "gorilla": "function_calling/apibench_torchhub_train.json.zst",
}
EVALUATIONS = (
    "gsm8k/test.jsonl.zst",
    "math/math500_test.jsonl.zst",
    "mmlu/mmlu_test.jsonl.zst",
    "humaneval/HumanEval.jsonl.gz",
)


def cpu() -> float:
    """CPU seconds of this process and its finished children."""
    return sum(
        use.ru_utime + use.ru_stime
        for use in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


def main() -> None:
    """Run the chain."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    out = arguments.out or Path(tempfile.mkdtemp(prefix="cogumi-chain-"))
    profile = yaml.safe_load((PROFILES / "llama-8b.yaml").read_text())["data"]
    profile["filters"]["workers"] = profile["near_duplicates"]["threads"] = arguments.workers
    settings = Data.model_validate(profile)
    started, report = time.monotonic(), {}
    collected, filtered, distinct = (out / f"{name}.jsonl.zst" for name in ("collected", "filtered", "distinct"))
    steps = {
        "collect": lambda: collect_files(
            [f"{name}={CORPORA / path}" for name, path in SOURCES.items()], collected, 1_000_000
        ),
        "filter": lambda: filter_files(
            [collected], filtered, settings, out / "rejects.jsonl", [CORPORA / name for name in EVALUATIONS]
        ),
        "dedup": lambda: dedup_files([filtered], distinct, settings.near_duplicates, 0, out / "pairs.jsonl"),
        "verify": lambda: verify_files([distinct], settings, 0),
        "stats": lambda: stats_files([distinct]),
    }
    for name, step in steps.items():
        before = cpu()
        report[name] = step().model_dump(mode="json") | {"cpu_seconds": round(cpu() - before, 2)}
    report["total"] = {
        "seconds": round(time.monotonic() - started, 1),
        "cpu_seconds": round(cpu(), 1),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
