"""From a description to what answers: the one place where an engine is made, for evaluation and for serving.

What is given beside the description changes how fast an answer comes, not which. Not here: which description an
evaluation or a release has (tasks/evaluation/engine.py).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from blocks.engines.description import EngineDescription
from blocks.engines.protocol import Engine
from blocks.records import Record
from configs.errors import BadInput


class Files(NamedTuple):
    """``model``: a GGUF file, or a folder in Hugging Face's layout. ``adapters`` of the same kind, by name; ``draft``:
    a GGUF file."""

    model: Path
    adapters: Mapping[str, Path] = {}
    draft: Path | None = None


class Running(Record):
    """How it runs. ``slots``, ``batch``: prompts at the same time, of llama.cpp and servers, and of transformers;
    ``gpu_layers``: as in LlamaCpp; the rest of vLLM."""

    threads: int
    slots: int = 1
    batch: int = 1
    device: Literal["cpu", "cuda"] = "cpu"
    gpu_layers: int = -1
    gpu_memory: float = 0.9
    start_s: float = 900
    timeout_s: float = 600


def load(description: EngineDescription, files: Files, running: Running) -> Engine:
    """The engine that ``description`` says, to be entered.

    Raises:
        BadInput: a file is missing, damaged or does not fit; the engine, its package or its device is not there.
    """
    if description.kind == "llama.cpp":
        from blocks.engines.llama_cpp.server import LlamaCpp

        return LlamaCpp(
            files.model,
            description,
            adapters=files.adapters,
            draft=files.draft,
            threads=running.threads,
            slots=running.slots,
            gpu_layers=running.gpu_layers,
        )
    if description.kind == "transformers":
        from blocks.engines.transformers import Transformers

        return Transformers(
            files.model,
            description,
            adapters=files.adapters,
            device=running.device,
            batch=running.batch,
            threads=running.threads,
        )
    if description.kind == "vllm":
        from blocks.engines.vllm_server import Vllm

        return Vllm(
            files.model,
            description,
            adapters=files.adapters,
            slots=running.slots,
            gpu_memory=running.gpu_memory,
            start_s=running.start_s,
            timeout_s=running.timeout_s,
        )
    raise BadInput(
        "an engine over HTTP is reached by its address, not loaded from files (blocks/engines/openai_http.py)"
    )
