"""llama.cpp's own HTTP server, as xllamacpp has it in this process, under a name of the test's choice."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

KEY = "the-tests-key"


@contextmanager
def served(
    gguf: Path, name: str, adapters: Mapping[str, Path] | None = None, context: int = 256, **changes: Any
) -> Iterator[str]:
    """Its address with /v1, while it runs; ``changes`` are fields of its parameters."""
    import xllamacpp

    from blocks.engines.llama_cpp.native import library

    library()
    params = xllamacpp.CommonParams()
    params.verbosity = -1
    params.model.path = str(gguf)
    params.model_alias = {name}
    params.n_parallel, params.n_ctx = 4, 4 * context
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.fit_params = params.warmup = params.ui = False
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(path), 0.0) for path in (adapters or {}).values()]
    params.api_keys = [KEY]
    for field, value in changes.items():
        setattr(params, field, value)
    server = xllamacpp.Server(params)
    server.handle_completions({"prompt": [0], "n_predict": 1})
    yield f"{server.listening_address}/v1"
    del server
