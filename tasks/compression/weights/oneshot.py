"""llm-compressor's ``oneshot`` behind one call: its recipe, our calibration rows, quiet, and on machines without an
accelerator too.

Not here: recipes (prune.py, awq.py, w4a16.py).
"""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def oneshot(folder: Path, recipe: list[Any], rows: "torch.Tensor | None" = None, batch: int = 1) -> Any:
    """Apply ``recipe`` (llm-compressor modifiers) to the model in ``folder``; returns the changed transformers model.

    ``rows``: calibration ids (rows, tokens), ``batch`` of them at a time; None for a recipe that needs no data.
    """
    import torch
    from torch.utils.data import DataLoader

    with quiet():
        from llmcompressor import oneshot as run
        from llmcompressor.core import reset_session

        options: dict[str, Any] = {}
        if rows is not None:
            batches: Any = [{"input_ids": ids, "attention_mask": torch.ones_like(ids)} for ids in rows.split(batch)]
            options["dataset"] = DataLoader(batches, batch_size=None)
        with _without_pinning():
            model = run(model=str(folder), recipe=recipe, **options)
        reset_session()  # it would keep the model alive
    return model.eval()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep llm-compressor's bars and notes off the terminal; its errors still raise."""
    os.environ.setdefault("LLM_COMPRESSOR_LOG_LEVEL", "ERROR")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers.utils import logging

    logging.disable_progress_bar()
    with contextlib.redirect_stderr(io.StringIO()):
        yield


@contextlib.contextmanager
def _without_pinning() -> Iterator[None]:
    """Pinned memory exists only beside an accelerator; llm-compressor 0.14 asks for it everywhere and fails."""
    import torch
    from llmcompressor.pipelines.cache import IntermediatesCache

    if torch.accelerator.is_available():
        yield
        return
    original = IntermediatesCache.pin_memory
    setattr(IntermediatesCache, "pin_memory", lambda self, batch_index, input_names=None: None)  # noqa: B010
    try:
        yield
    finally:
        setattr(IntermediatesCache, "pin_memory", original)  # noqa: B010
