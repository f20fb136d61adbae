"""What a machine can do: accelerators by name, and how many seconds a piece of work takes on one or on the CPU.

The utilisations are assumptions, each with its source; a plan prints those it used. Not here: how much work there is
(tasks/*/estimate.py).
"""

from blocks.records import Record
from configs.errors import BadInput


class Device(Record):
    """An accelerator. ``flops``: dense bfloat16 operations a second; ``bandwidth``: bytes a second from its memory
    (vendors' data sheets)."""

    name: str
    memory_bytes: int
    flops: float
    bandwidth: float


GIB = 2**30
DEVICES = {
    one.name: one
    for one in (
        Device(name="4090", memory_bytes=24 * 10**9, flops=165e12, bandwidth=1.01e12),
        Device(name="a100", memory_bytes=80 * 10**9, flops=312e12, bandwidth=2.04e12),
        Device(name="h100", memory_bytes=80 * 10**9, flops=989e12, bandwidth=3.35e12),
        Device(name="h200", memory_bytes=141 * 10**9, flops=989e12, bandwidth=4.8e12),
    )
}
# of peak; Llama 3's pretraining reached 0.38-0.43 (arXiv 2407.21783, table 4), LoRA on one GPU with padding is below it
TRAINING_UTILISATION = 0.30
READING_UTILISATION = 0.5  # of bandwidth while decoding
DECODING_STEP_S = 0.03  # Python and kernel launches of one decoding step of transformers' generate, at least
# The same of servers that batch continuously, assumed: llama.cpp 800 tokens a second at 16 slots, vLLM 6,400 at 64.
LLAMA_CPP_STEP_S, VLLM_STEP_S = 0.02, 0.01
# Operations a second on one CPU core, measured with the 1.9M-parameter student on two cores (2026-11-21,
# tests/benchmarks/LOG.md).
CPU_PRETRAINING = 0.5e11  # 6·N operations a token, 8,700 tokens a second on two cores
CPU_LORA = 0.42e11  # 4·N and 6 for every weight of the adapter a token, 6,800 tokens a second on two cores
CPU_ANIL = 0.22e11  # the same at 4,100 tokens a second
CPU_BFLOAT16 = 2.0  # times as fast where a training computes its products in bfloat16 and the processor can (measured)
CPU_DECODING = (
    0.34e11  # 2·N operations a token; llama.cpp and transformers alike at 9,000 tokens a second on one thread
)
PROCESS_BYTES = 950 * 2**20  # Python, torch, transformers and Prefect's client before any work, measured


def device(name: str) -> Device:
    """The accelerator called ``name``.

    Raises:
        BadInput: it is not known.
    """
    if name not in DEVICES:
        raise BadInput(f"unknown accelerator {name!r}; there are: {', '.join(DEVICES)}")
    return DEVICES[name]


def refuse_missing(device: str) -> None:
    """Refuse early an accelerator that this machine does not have.

    Raises:
        BadInput: ``device`` is "cuda" and there is none.
    """
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise BadInput(
                'device "cuda" was asked for and this machine has none; run the phase on a GPU work pool, or set '
                'device to "cpu"'
            )


def training_seconds(
    operations: float, on: Device | None, cores: int, cpu: float = CPU_LORA, arithmetic: str = "float32"
) -> float:
    """Seconds for ``operations`` of training on a device, or on ``cores`` at ``cpu`` operations a second each in
    float32."""
    return (
        operations / (on.flops * TRAINING_UTILISATION)
        if on
        else operations / (cpu * cores * (CPU_BFLOAT16 if arithmetic == "bfloat16" else 1.0))
    )


def decoding_seconds(
    weights_bytes: float, sequences: float, batch: int, tokens: float, on: Device, least: float = DECODING_STEP_S
) -> float:
    """Seconds to generate ``tokens`` for each of ``sequences``, ``batch`` at a time, on a device: every step reads all
    weights, and takes ``least`` seconds at least."""
    step = max(least, weights_bytes / (on.bandwidth * READING_UTILISATION))
    return -(-sequences // batch) * tokens * step


def cpu_decoding_seconds(parameters: int, tokens: float, threads: int) -> float:
    """Seconds to read and write ``tokens`` with a model of ``parameters`` on ``threads`` CPU cores."""
    return 2 * parameters * tokens / (CPU_DECODING * threads)
