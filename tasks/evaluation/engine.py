"""Which engine answers for an artifact under the evaluation's settings, described as release.json has it.

Not here: making it of the description (blocks/engines/loading.py), what it is asked (evaluate.py).
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from blocks import store
from blocks.engines.description import EngineDescription
from blocks.engines.loading import Files, Running, load
from blocks.engines.protocol import Engine
from blocks.records import Artifact
from configs.errors import BadInput
from configs.phases.evaluation import Evaluation, Http, Vllm

if TYPE_CHECKING:
    from blocks.engines.openai_http import Encoding

ADAPTER = "adapter"  # the name under which an evaluation's adapter is loaded
FILES = {"gguf": "model.gguf", "gguf_adapter": "adapter.gguf"}  # of other kinds the folder itself


def served(settings: Evaluation, context: int) -> EngineDescription:
    """The engine of a release, which answers from a GGUF: as it was evaluated, with the release's own ``context``."""
    return EngineDescription(
        kind="llama.cpp", context=context, cache_type_k=settings.cache_type_k, cache_type_v=settings.cache_type_v
    )


def described(kind: str, settings: Evaluation) -> EngineDescription:
    """The engine that evaluates an artifact of ``kind``."""
    if isinstance(settings.engine, Http):
        return EngineDescription(kind="http", context=settings.context)
    if kind == "gguf":
        return served(settings, settings.context)
    by_vllm = isinstance(settings.engine, Vllm)
    return EngineDescription(kind="vllm" if by_vllm else "transformers", context=settings.context, dtype=settings.dtype)


def opened(model: Artifact, adapter: Artifact | None, settings: Evaluation) -> Engine:
    """The engine for ``model``, with ``adapter`` under the name ADAPTER, to be entered.

    Raises:
        BadInput: as :func:`blocks.engines.loading.load`; a GPU is asked for that llama.cpp does not see.
    """
    description = described(model.kind, settings)
    if description.kind == "http":
        return _reached(model, adapter, description, settings)
    if description.kind == "llama.cpp" and settings.gpu_layers:
        _refuse_without_gpu()
    return load(
        description,
        Files(_file(model), {ADAPTER: _file(adapter)} if adapter else {}),
        running(settings),
    )


def running(settings: Evaluation) -> Running:
    """How fast the settings let an engine be."""
    made = Running(
        threads=settings.threads,
        slots=settings.slots,
        batch=settings.batch,
        device=settings.device,
        gpu_layers=settings.gpu_layers,
    )
    if not isinstance(engine := settings.engine, Vllm):
        return made
    bounds = {"gpu_memory": engine.gpu_memory, "start_s": engine.start_s, "timeout_s": engine.timeout_s}
    return made.model_copy(update=bounds)


def takes_text(settings: Evaluation) -> bool:
    """Whether prompts go to the engine as text: to a server that takes no token ids."""
    return isinstance(settings.engine, Http) and settings.engine.server == "openai"


def _reached(model: Artifact, adapter: Artifact | None, description: EngineDescription, settings: Evaluation) -> Engine:
    """The server that says it serves this very model, under its short name; adapters likewise."""
    from blocks.engines.openai_http import OpenAIHttp

    engine = settings.engine
    assert isinstance(engine, Http)
    key = os.environ.get(engine.key_env) if engine.key_env else None
    if engine.key_env and not key:
        raise BadInput(f"evaluation.engine.key_env names {engine.key_env}, which is not set; export the server's key")
    as_served = adapter and (adapter.digest if engine.server == "llama-server" else adapter.short)
    return OpenAIHttp(
        description,
        url=engine.url,
        key=key,
        server=engine.server,
        model=model.short,
        adapters={ADAPTER: as_served} if as_served else {},
        encoder=_encoder(model),
        slots=settings.slots,
        timeout_s=engine.timeout_s,
    )


def _encoder(model: Artifact) -> "Encoding":
    from blocks.engines.llama_cpp.native import Model
    from blocks.models.encoding import Encoder

    if model.kind == "gguf":
        return Model(_file(model), vocabulary_only=True)
    return Encoder.of(store.open(model))


def _file(artifact: Artifact) -> Path:
    folder = store.open(artifact)
    return folder / FILES[artifact.kind] if artifact.kind in FILES else folder


def _refuse_without_gpu() -> None:
    import xllamacpp

    cpu = xllamacpp.ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_CPU
    if all(one["type"] == cpu for one in xllamacpp.get_device_info()):
        raise BadInput(
            "evaluation.gpu_layers asks for a GPU, and this machine's llama.cpp sees none; install a build of "
            "xllamacpp with CUDA on a GPU worker, or set evaluation.gpu_layers=0"
        )
