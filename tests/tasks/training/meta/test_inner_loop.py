"""ANIL's gradient against finite differences and against a straightforward implementation; nothing of the inner loop
stays."""

import copy
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from tasks.training.encoding import IGNORE
from tasks.training.meta.inner_loop import Batch, Cut, adapted, cut, meta_gradient, plain_gradient, query_losses

RATE, STEPS = 0.3, 3


class Norm64(nn.Module):
    """Llama's norm without its rounding to float32, so that finite differences are sharp."""

    def __init__(self, norm: Any) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(norm.weight.data.double(), requires_grad=False), norm.variance_epsilon

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.weight * hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + self.eps)


def small(seed: int = 0) -> Any:
    """A three-layer LoRA Llama in float64 whose adapters are not at zero."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=23,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.3,
        tie_word_embeddings=True,
    )
    llama = LlamaForCausalLM(config).double()
    llama.config._attn_implementation = "sdpa"
    for name, module in list(llama.named_modules()):
        if name.endswith("norm"):
            parent = llama.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], Norm64(module))
    model = get_peft_model(
        llama,
        LoraConfig(r=2, lora_alpha=4, target_modules=["q_proj", "v_proj", "down_proj"]),
        autocast_adapter_dtype=False,
    ).eval()
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.3)
    return model


def batches(seed: int = 1) -> tuple[Batch, Batch]:
    """Support and query with padding and a loss mask."""
    torch.manual_seed(seed)

    def one() -> Batch:
        ids = torch.randint(0, 23, (4, 9))
        labels = ids.clone()
        labels[:, :3] = IGNORE
        labels[0, 6:] = IGNORE
        return Batch(ids, labels)

    return one(), one()


def loss_of(model: Any, batch: Batch) -> torch.Tensor:
    """Mean loss over the labelled tokens by the whole model, in float64."""
    logits = model(input_ids=batch.ids).logits[:, :-1]
    return nn.functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]), batch.labels[:, 1:].reshape(-1), ignore_index=IGNORE
    )


def query_loss(model: Any, support: Batch, query: Batch) -> float:
    """Loss after adaptation by the plainest means: a copy of the model, ordinary gradient descent on its last layer."""
    clone = copy.deepcopy(model)
    head = [p for n, p in clone.named_parameters() if p.requires_grad and ".layers.2." in n]
    for _ in range(STEPS):
        loss = loss_of(clone, support)
        slopes = torch.autograd.grad(loss, head)
        with torch.no_grad():
            for parameter, slope in zip(head, slopes, strict=True):
                parameter -= RATE * slope
    with torch.no_grad():
        return loss_of(clone, query).item()


def first_order(model: Any, support: Batch, query: Batch) -> list[torch.Tensor]:
    """The first-order gradient by its definition: the query loss's gradient at the adapted copy."""
    clone = copy.deepcopy(model)
    head = [p for n, p in clone.named_parameters() if p.requires_grad and ".layers.2." in n]
    optimizer = torch.optim.SGD(head, lr=RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss_of(clone, support).backward()
        optimizer.step()
    clone.zero_grad()
    loss_of(clone, query).backward()
    return [p.grad for p in clone.parameters() if p.requires_grad]


def test_the_second_order_gradient_is_the_slope_of_the_adapted_loss() -> None:
    model, (support, query) = small(), batches()
    loss, slopes = meta_gradient(cut(model, 1, False), support, query, RATE, STEPS, second_order=True)
    assert loss == pytest.approx(query_loss(model, support, query), abs=1e-9)
    parameters = [p for p in model.parameters() if p.requires_grad]
    for number, (parameter, slope) in enumerate(zip(parameters, slopes, strict=True)):
        direction, eps, start = torch.randn_like(parameter), 1e-5, parameter.detach().clone()
        shifted = []
        for sign in (1, -1):
            parameter.data = start + sign * eps * direction
            shifted.append(query_loss(model, support, query))
        parameter.data = start
        above, below = shifted
        assert (slope * direction).sum().item() == pytest.approx((above - below) / (2 * eps), rel=1e-4, abs=1e-6), (
            f"parameter {number}"
        )


def test_the_first_order_gradient_is_that_of_the_adapted_copy_and_not_the_second_order_one() -> None:
    model, (support, query) = small(), batches()
    _, slopes = meta_gradient(cut(model, 1, False), support, query, RATE, STEPS, second_order=False)
    for ours, theirs in zip(slopes, first_order(model, support, query), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-8)
    _, exact = meta_gradient(cut(model, 1, False), support, query, RATE, STEPS, second_order=True)
    assert max((a - b).norm() / b.norm() for a, b in zip(slopes, exact, strict=True)) > 0.01


def test_only_the_head_moves_and_nothing_stays() -> None:
    model, (support, query) = small(), batches()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    parts = cut(model, 1, False)
    fast = adapted(parts, support, RATE, STEPS, second_order=True)
    assert all(name.startswith("layers.0.") and "lora_" in name for name in fast), (
        "layer 0 of the head is the model's last"
    )
    assert len(fast) == 6
    assert all(not torch.equal(fast[name], parts.inner[name]) for name in fast)
    for second_order in (False, True):
        meta_gradient(parts=parts, support=support, query=query, rate=RATE, steps=STEPS, second_order=second_order)
    query_losses(parts, support, query, RATE, STEPS)
    after = model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_parts_together_are_the_model() -> None:
    model, (support, query) = small(), batches()
    loss, slopes = plain_gradient(cut(model, 2, False), query)
    whole = loss_of(model, query)
    assert loss == pytest.approx(whole.item(), abs=1e-12)
    for ours, theirs in zip(
        slopes, torch.autograd.grad(whole, [p for p in model.parameters() if p.requires_grad]), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-9)
    before, after = query_losses(cut(model, 1, False), support, query, RATE, STEPS)
    assert before == pytest.approx(whole.item(), abs=1e-12)
    assert after == pytest.approx(query_loss(model, support, query), abs=1e-9)


def test_recomputing_activations_changes_nothing() -> None:
    model, (support, query) = small(), batches()
    _, plain = meta_gradient(cut(model, 1, False), support, query, RATE, STEPS, second_order=False)
    _, recomputed = meta_gradient(cut(model, 1, True), support, query, RATE, STEPS, second_order=False)
    assert all(torch.equal(a, b) for a, b in zip(plain, recomputed, strict=True))


def test_a_cut_without_adapters_on_both_sides_is_refused() -> None:
    with pytest.raises(ValueError, match="one side only"):
        cut(small(), 3, False)


def test_the_cut_shares_the_models_parameters() -> None:
    model = small()
    parts: Cut = cut(model, 1, False)
    own = {id(p) for p in model.parameters()}
    assert {id(p) for p in parts.outer} <= own
    assert {id(p) for p in parts.inner.values()} <= {id(p) for p in parts.outer}
    assert len(parts.outer) == 18
