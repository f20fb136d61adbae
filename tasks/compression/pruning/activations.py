"""How large each input of each matrix is in use: the mean square over the calibration text.

Owl ratios and llama.cpp's importance matrix are made of it. Not here: what they do with it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def input_squares(model: Any, rows: "torch.Tensor", batch: int) -> "dict[str, torch.Tensor]":
    """Weight name → mean square of each input (inputs,), float32, over all tokens of ``rows`` (rows, tokens)."""
    import torch

    sums: dict[str, torch.Tensor] = {}

    def hook(name: str) -> Any:
        def add(module: Any, inputs: tuple[Any, ...]) -> None:
            squares = inputs[0].detach().float().flatten(0, -2).square().sum(0).cpu()
            sums[name] = sums[name] + squares if name in sums else squares

        return add

    hooks = [
        module.register_forward_pre_hook(hook(f"{name}.weight"))
        for name, module in model.named_modules()
        if name.endswith("_proj")
    ]
    with torch.no_grad():
        for ids in rows.split(batch):
            model.model(input_ids=ids.to(model.device), use_cache=False)
    for one in hooks:
        one.remove()
    return {name: total / rows.numel() for name, total in sums.items()}
