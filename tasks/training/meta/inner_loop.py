"""ANIL's gradient: adapt the head of a LoRA model on support examples, judge it on query examples, differentiate.

The model is cut below its last decoder layers. The body's features of the support examples do not change in the inner
loop, so they are computed once for all inner steps. Nothing of the inner loop is written to the model: the adapted head
lives in a dictionary that ``torch.func.functional_call`` uses in place of the model's own adapters (Raghu et al. 2020).
Not here: which examples make a task (episodes.py), and the outer optimiser (anil.py).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

from tasks.training.encoding import IGNORE

Weights = dict[str, torch.Tensor]


class Batch(NamedTuple):
    """Token ids and labels, both (examples, tokens), padded on the right."""

    ids: torch.Tensor
    labels: torch.Tensor


class Features(NamedTuple):
    """What the body hands to the head: hidden states (examples, tokens, width), rotary embeddings, labels."""

    hidden: torch.Tensor
    rotary: tuple[torch.Tensor, torch.Tensor]
    labels: torch.Tensor


class Body(nn.Module):
    """Embedding and the decoder layers below the head."""

    def __init__(self, llama: Any, layers: int, checkpointing: bool) -> None:
        super().__init__()
        self.embed_tokens, self.rotary_emb, self.layers, self.checkpointing = (
            llama.embed_tokens,
            llama.rotary_emb,
            llama.layers[:layers],
            checkpointing,
        )

    def forward(self, batch: Batch) -> Features:
        """Without a mask attention is causal, and padding on the right is then never looked at."""
        hidden = self.embed_tokens(batch.ids)
        rotary = self.rotary_emb(hidden, position_ids=torch.arange(batch.ids.shape[1], device=batch.ids.device)[None])
        for layer in self.layers:
            if self.checkpointing and torch.is_grad_enabled():
                hidden = checkpoint(layer, hidden, position_embeddings=rotary, use_reentrant=False)
            else:
                hidden = layer(hidden, position_embeddings=rotary)
        return Features(hidden, rotary, batch.labels)


class Head(nn.Module):
    """The last decoder layers, the norm and the output projection; gives the mean loss over the labelled tokens."""

    def __init__(self, llama: Any, lm_head: nn.Module, layers: int) -> None:
        super().__init__()
        self.layers, self.norm, self.lm_head = llama.layers[layers:], llama.norm, lm_head

    def forward(self, features: Features) -> torch.Tensor:
        """Mean cross-entropy in nats."""
        hidden = features.hidden
        for layer in self.layers:
            hidden = layer(hidden, position_embeddings=features.rotary)
        wanted = features.labels[:, 1:] != IGNORE
        logits = self.lm_head(self.norm(hidden)[:, :-1][wanted])
        if logits.dtype in (torch.bfloat16, torch.float16):
            logits = logits.float()
        return nn.functional.cross_entropy(logits, features.labels[:, 1:][wanted])


class Cut(NamedTuple):
    """A LoRA model in two parts that share its parameters. ``inner``: the head's adapters by their name in ``head``;
    ``outer``: every adapter, the head's included, in a fixed order."""

    body: Body
    head: Head
    inner: dict[str, nn.Parameter]
    outer: list[nn.Parameter]


def cut(model: Any, head_layers: int, checkpointing: bool) -> Cut:
    """Cut a PEFT model below its last ``head_layers`` decoder layers.

    Raises:
        ValueError: nothing trainable is left on one side.
    """
    causal = model.get_base_model()
    first = len(causal.model.layers) - head_layers
    body, head = Body(causal.model, first, checkpointing), Head(causal.model, causal.lm_head, first)
    inner = {name: parameter for name, parameter in head.named_parameters() if parameter.requires_grad}
    outer = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not inner or len(inner) == len(outer):
        raise ValueError(f"cutting {head_layers} of {len(causal.model.layers)} layers leaves adapters on one side only")
    return Cut(body, head, inner, outer)


def adapted(parts: Cut, support: Batch, rate: float, steps: int, second_order: bool) -> Weights:
    """The head's adapters after ``steps`` of gradient descent on ``support``; the model itself is unchanged.

    With ``second_order`` the result can be differentiated through the steps; otherwise it is the start minus a
    constant.
    """
    with torch.set_grad_enabled(second_order):
        features = parts.body(support)
    fast: Weights = dict(parts.inner)
    with torch.enable_grad():
        for _ in range(steps):
            loss = functional_call(parts.head, fast, (features,))
            slopes = torch.autograd.grad(loss, list(fast.values()), create_graph=second_order)
            fast = {
                name: weight - rate * (slope if second_order else slope.detach())
                for (name, weight), slope in zip(fast.items(), slopes, strict=True)
            }
    return fast


def meta_gradient(
    parts: Cut, support: Batch, query: Batch, rate: float, steps: int, second_order: bool
) -> tuple[float, list[torch.Tensor]]:
    """Loss on ``query`` after adapting on ``support``, and its gradient for every outer parameter, in their order."""
    with twice_differentiable(second_order):
        fast = adapted(parts, support, rate, steps, second_order)
        loss = functional_call(parts.head, fast, (parts.body(query),))
        return loss.item(), list(torch.autograd.grad(loss, parts.outer))


def plain_gradient(parts: Cut, batch: Batch) -> tuple[float, list[torch.Tensor]]:
    """Loss on ``batch`` as the model stands, and its gradient for every outer parameter: ordinary training."""
    loss = parts.head(parts.body(batch))
    return loss.item(), list(torch.autograd.grad(loss, parts.outer))


def query_losses(parts: Cut, support: Batch, query: Batch, rate: float, steps: int) -> tuple[float, float]:
    """Loss on ``query`` before and after adapting on ``support``."""
    fast = adapted(parts, support, rate, steps, second_order=False)
    with torch.no_grad():
        features = parts.body(query)
        return parts.head(features).item(), functional_call(parts.head, fast, (features,)).item()


@contextmanager
def twice_differentiable(wanted: bool) -> Iterator[None]:
    """Fused attention kernels have no second derivative; the plain one has."""
    if not wanted:
        yield
        return
    with sdpa_kernel(SDPBackend.MATH):
        yield
