"""What the release phase will take and leave, from settings alone. Not here: adding phases up
(deployments/commands/plan.py)."""

from blocks.estimates.calls import Estimate, Work
from blocks.estimates.hardware import PROCESS_BYTES
from blocks.models.architecture import Architecture
from configs.phases.modifiers import Modifiers

EXTRA_BYTES = 5e5  # of router, card and a small tokenizer
TOKENIZER_BYTES = 9e6  # of Llama 3's tokenizer.json
MIXED = 1.03  # a mixture stores some matrices in a larger type than its name says


def estimate(modifiers: Modifiers, model: Architecture, bits: float, scratch: bool) -> Estimate:
    """Time and space of the release phase; ``bits`` per parameter of what is served."""
    work = Work(
        step="release and report",
        on="cpu",
        seconds=2.0,
        memory_bytes=PROCESS_BYTES,
        disk_bytes=folder_bytes(modifiers, model, bits, scratch),
    )
    return Estimate(phase="release", work=(work,))


def folder_bytes(modifiers: Modifiers, model: Architecture, bits: float, scratch: bool) -> float:
    """Bytes of the release folder with every modifier."""
    base = model.parameters * bits / 8 * MIXED
    adapters = sum(2.0 * model.adapter(one.lora.rank, one.lora.targets) for one in modifiers.each)
    return base + adapters + EXTRA_BYTES + (0 if scratch else TOKENIZER_BYTES)
