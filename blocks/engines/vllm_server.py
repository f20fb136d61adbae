"""vLLM as a child of this process: started for one model and its adapters, reached on loopback, gone with its parent.

It is no dependency of Cogumi's: the machine that is to run it has it installed, and a GPU. Not here: what is asked of
it (openai_http.py).
"""

import functools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from blocks.engines.description import EngineDescription
from blocks.engines.openai_http import OpenAIHttp
from blocks.models import adapter_folder
from blocks.models.encoding import Encoder
from blocks.printable import one_line
from blocks.processes import end_with_parent
from configs.errors import BadInput, CogumiError

BASE = "base"  # the name under which the model is served
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM's --max-lora-rank takes
TAIL = 4000  # bytes of its log that an error shows the end of


class Vllm(OpenAIHttp):
    """A folder in Hugging Face's layout, W4A16 included, served by vLLM (blocks/engines/protocol.py).

    Args:
        folder: weights and tokenizer.
        description: context, type to compute in.
        adapters: PEFT adapters' folders by name.
        slots: prompts answered at the same time.
        gpu_memory: share of the GPU's memory that it takes.
        start_s: seconds it may take to load.
        timeout_s: seconds one answer may take.

    Raises:
        BadInput: vLLM or a GPU is not there, or the description asks for what vLLM does not do.
        CogumiError: it did not start.
    """

    def __init__(
        self,
        folder: Path,
        description: EngineDescription,
        *,
        adapters: Mapping[str, Path] | None = None,
        slots: int,
        gpu_memory: float,
        start_s: float,
        timeout_s: float,
    ) -> None:
        command = shutil.which("vllm")
        if command is None:
            raise BadInput(
                'evaluation.engine "vllm" was asked for and this machine has no vllm command; install vLLM on the '
                "worker, or set evaluation.engine={kind: in_process}"
            )
        if shutil.which("nvidia-smi") is None:
            raise BadInput(
                'evaluation.engine "vllm" was asked for and this machine has no NVIDIA GPU; run the phase on a '
                "GPU work pool, or set evaluation.engine={kind: in_process}"
            )
        if any(scale != 1 for scale in description.scales.values()) or description.draft_tokens:
            raise BadInput("vLLM takes adapters at scale 1 and no draft model here; use llama.cpp for either")
        self._folders, self._start_s = dict(adapters or {}), start_s
        ranks = [int(adapter_folder.read(path).config["r"]) for path in self._folders.values()]
        self._port, key = _free_port(), secrets.token_hex(16)
        self._command = [
            *(command, "serve", str(folder), "--host", "127.0.0.1", "--port", str(self._port)),
            *("--served-model-name", BASE, "--max-model-len", str(description.context)),
            *("--dtype", description.dtype or "auto", "--max-num-seqs", str(slots)),
            *("--gpu-memory-utilization", str(gpu_memory), "--seed", "0", "--max-logprobs", "1"),
        ]
        if ranks:
            widest = next((rank for rank in RANKS if rank >= max(ranks)), max(ranks))
            self._command += ["--enable-lora", "--max-lora-rank", str(widest), "--max-loras", str(len(ranks))]
            self._command += ["--lora-modules", *(f"{name}={path}" for name, path in self._folders.items())]
        self._environment = {**os.environ, "VLLM_API_KEY": key, "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
        super().__init__(
            description,
            url=f"http://127.0.0.1:{self._port}/v1",
            key=key,
            server="vllm",
            model=BASE,
            adapters={name: name for name in self._folders},
            encoder=Encoder.of(folder),
            slots=slots,
            timeout_s=timeout_s,
        )

    def __enter__(self) -> Self:
        self._log = tempfile.TemporaryFile()
        self._child = subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=functools.partial(end_with_parent, signal.SIGTERM),
        )
        try:
            self._wait()
            return super().__enter__()
        except BaseException:
            self._stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._stop()

    def _wait(self) -> None:
        import httpx

        until = time.monotonic() + self._start_s
        while True:
            if (code := self._child.poll()) is not None:
                raise CogumiError(f"vLLM ended with {code} before it served: {self._said()}")
            try:
                if httpx.get(f"http://127.0.0.1:{self._port}/health", timeout=5, trust_env=False).status_code == 200:
                    return
            except httpx.TransportError:
                pass  # it does not listen yet
            if time.monotonic() > until:
                raise CogumiError(
                    f"vLLM does not serve after {self._start_s:g} s; raise evaluation.engine.start_s: {self._said()}"
                )
            time.sleep(0.2)

    def _said(self) -> str:
        self._log.seek(max(0, self._log.seek(0, os.SEEK_END) - TAIL))
        return one_line(self._log.read(TAIL).decode("utf-8", "replace"))[-600:]

    def _stop(self) -> None:
        """End the child and what it started: it leads a group of its own."""
        for end in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._child.pid, end)
                self._child.wait(10)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        self._child.wait()
        self._log.close()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
