"""The type that matrix products are computed in while training; weights keep their own. Not here: the type of the
weights (load.py)."""

import logging
from contextlib import AbstractContextManager
from functools import cache

from configs.phases.training import Device, Dtype

log = logging.getLogger("cogumi.training")
_CPU_FEATURES = ("avx512_bf16", "amx_bf16", "bf16")  # x86 twice, Arm


def products(arithmetic: Dtype, device: Device) -> AbstractContextManager[None]:
    """Inside, matrix products are computed in ``arithmetic``. Enter it anew for every step: autocast keeps the cast
    weights until it is left, so that an optimiser's step inside would not be seen."""
    import torch

    return torch.autocast(device, torch.bfloat16, enabled=in_bfloat16(arithmetic, device))


@cache
def in_bfloat16(arithmetic: Dtype, device: Device) -> bool:
    """Whether products are computed in bfloat16: it is asked for, and the device does it natively. In software it would
    be slower than float32, which is more precise."""
    import torch

    if arithmetic == "float32":
        return False
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    found = torch.cpu.get_capabilities()
    native = any(found.get(name) for name in _CPU_FEATURES)
    if not native:
        log.info(
            "this processor has no bfloat16 arithmetic: training in float32, which takes about twice as long as where "
            "there is"
        )
    return native
