"""How far rounding to F16 may move a likelihood, in nats: what two right computations may differ by, on any processor.

llama.cpp keeps keys and values in F16, and which products of them are rounded depends on the processor's instructions.
A value in F16 is off by half a unit at most, 2**-11 of itself, and so is what is computed from it. A last hidden state
``h`` that is off by a share e of its length moves a logit by at most e |h| |w|, w being the token's row of the head,
and a log probability by twice that.
"""

from pathlib import Path

HALF_UNIT = 2.0**-11
ATTENTION = 4  # rounded in a layer: queries, keys, values, and the weights by which values are summed
ADAPTER = 14  # the two matrices of a LoRA in F16, on the seven projections of a layer


def nats(model: Path, ids: list[int], roundings: int = ATTENTION) -> float:
    """The standard deviation of a token's log probability under independent roundings, ``roundings`` in each layer of
    the model in a folder, for a text's token ids. The mean over a text's tokens stays well within it.
    """
    import torch
    from transformers import AutoModelForCausalLM

    student = AutoModelForCausalLM.from_pretrained(model)
    with torch.inference_mode():
        hidden = student.model(torch.tensor([ids])).last_hidden_state.norm(dim=-1).max().item()
    widest = 2 * hidden * student.lm_head.weight.norm(dim=-1).max().item() * HALF_UNIT
    count = roundings * student.config.num_hidden_layers
    return widest * (count / 3) ** 0.5  # a rounding is spread evenly over its unit
