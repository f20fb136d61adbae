"""The same seed gives the same weights: every random stream seeded, deterministic kernels, both put back afterwards.

On one machine with one number of threads this holds bit by bit; another processor may round differently.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Seed Python, NumPy and torch (all devices) and choose deterministic kernels while the block lasts."""
    import torch
    from transformers import set_seed

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with a fixed workspace
    kernels: Any = torch.utils.deterministic
    before, filled = torch.are_deterministic_algorithms_enabled(), kernels.fill_uninitialized_memory
    with torch.random.fork_rng():
        set_seed(seed)
        torch.use_deterministic_algorithms(True)
        kernels.fill_uninitialized_memory = False  # it would write every fresh tensor once more
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)
            kernels.fill_uninitialized_memory = filled
