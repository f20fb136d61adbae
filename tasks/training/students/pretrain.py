"""Make a small Llama and pretrain it on the easy families of the rehearsal world, so that the pipeline has a student
offline.

The closing token is trained here, so the student knows how to stop. Not here: the hard families, and the sections of a
hard answer, which the fine-tuning teaches (sft.py).
"""

import json
import time
from typing import TYPE_CHECKING

import numpy as np

from blocks import store
from blocks.models.encoding import Encoder
from blocks.models.seeding import reproducible
from blocks.progress import progress
from blocks.records import DOMAINS, Artifact, Example
from blocks.rehearsal import world
from configs.errors import BadInput
from configs.phases.training import Scratch
from tasks.step import step
from tasks.training.arithmetic import products
from tasks.training.encoding import IGNORE, encode, packed

if TYPE_CHECKING:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

VALIDATION_SHARE = 0.01  # of the packed rows, for the curve
CURVE_POINTS = 20


@step(version=2)
def pretrain(tokenizer: Artifact, settings: Scratch, seed: int) -> Artifact:
    """Train a Llama from random weights for ``settings.tokens`` tokens, its weights in float32; kind "model".

    Raises:
        BadInput: no example fits into a row.
    """
    from transformers import LlamaForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    with (
        store.create("model", parents=[tokenizer], settings={**settings.identity(), "seed": seed}) as folder,
        reproducible(seed),
    ):
        encoder = Encoder.of(store.open(tokenizer))
        fast = encoder.tokenizer
        model = LlamaForCausalLM(configuration(settings, fast))
        examples = easy_examples(settings, seed)
        encoded = encode(examples, encoder, max_length=settings.length, close=True)
        if not encoded:
            raise BadInput(f"training.student: no example fits into rows of {settings.length} tokens; raise length")
        started = time.monotonic()
        curve = fit(model, packed(encoded, settings.length, fast.pad_token_id), settings, seed)
        seconds = time.monotonic() - started
        model.save_pretrained(folder.path)
        fast.save_pretrained(folder.path)
        (folder.path / "curve.json").write_text(json.dumps(curve))
        folder.metrics.update(
            parameters=sum(p.numel() for p in model.parameters()),
            tokens=curve[-1]["tokens"],
            validation_loss=curve[-1]["validation_loss"],
            examples=len(encoded),
            left_out=len(examples) - len(encoded),
            tokens_per_second=curve[-1]["tokens"] / seconds,
        )
    return folder.artifact


def easy_examples(settings: Scratch, seed: int) -> list[Example]:
    """The examples of every domain that the settings name.

    Raises:
        BadInput: a name is no domain, or a domain has not that many different questions.
    """
    unknown = set(settings.examples) - set(DOMAINS)
    if unknown:
        raise BadInput(
            f"training.student.examples: {', '.join(sorted(unknown))} is no domain; there are: {', '.join(DOMAINS)}"
        )
    found = [
        one
        for domain in DOMAINS
        if domain in settings.examples
        for one in world.examples(domain, "easy", "train", settings.examples[domain], seed)
    ]
    drafted = np.random.default_rng(seed).random(len(found)) < settings.drafted
    return [drafted_form(one) if chosen else one for one, chosen in zip(found, drafted, strict=True)]


def drafted_form(example: Example) -> Example:
    """The same answer in the form of a hard one: drafted, thought over, given."""
    return example.model_copy(update={"draft": f"{example.response} Then check.", "thinking": example.response})


def configuration(settings: Scratch, tokenizer: "PreTrainedTokenizerFast") -> "LlamaConfig":
    """The Llama that ``settings`` describe, with a tied head."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.hidden,
        intermediate_size=settings.feed_forward,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.key_value_heads,
        max_position_embeddings=settings.context,
        rope_parameters={"rope_type": "default", "rope_theta": settings.rope_theta},
        rms_norm_eps=1e-5,
        initializer_range=settings.initial_std,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def fit(
    model: "LlamaForCausalLM", rows: "tuple[torch.Tensor, torch.Tensor, torch.Tensor]", settings: Scratch, seed: int
) -> list[dict[str, float]]:
    """Train on packed rows (ids, labels, positions) in place; the curve: step, tokens, loss, validation loss."""
    import torch

    random = np.random.default_rng(seed)
    shuffled = random.permutation(len(rows[0]))
    held = max(1, int(len(shuffled) * VALIDATION_SHARE))
    kept, validation = shuffled[held:], torch.from_numpy(shuffled[:held])
    steps = max(1, settings.tokens // (settings.batch * settings.length))
    passes = -(-steps * settings.batch // max(1, len(kept)))
    order = np.concatenate([random.permutation(kept) for _ in range(passes)])
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}],
        lr=settings.learning_rate,
        betas=(0.9, 0.95),
        fused=True,
    )
    warmup = max(1, round(steps * settings.warmup))
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (steps - step) / max(1, steps - warmup + 1))
    )
    every, curve, recent = max(1, steps // CURVE_POINTS), [], []
    model.train()
    with progress("pretraining", steps) as advance:
        for step_number in range(1, steps + 1):
            batch = torch.from_numpy(order[(step_number - 1) * settings.batch : step_number * settings.batch])
            with products(settings.arithmetic, "cpu"):
                loss = answer_loss(model, *(tensor[batch] for tensor in rows))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip, foreach=True)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad(set_to_none=True)
            recent.append(loss.item())
            if step_number % every == 0 or step_number == steps:
                with torch.no_grad():
                    held_out = answer_loss(model, *(tensor[validation] for tensor in rows)).item()
                tokens = step_number * settings.batch * settings.length
                curve.append(
                    {
                        "step": step_number,
                        "tokens": tokens,
                        "loss": sum(recent) / len(recent),
                        "validation_loss": held_out,
                    }
                )
                recent = []
            advance(1, f"loss {loss.item():.3f}")
    model.eval()
    return curve


def answer_loss(
    model: "LlamaForCausalLM", ids: "torch.Tensor", labels: "torch.Tensor", positions: "torch.Tensor"
) -> "torch.Tensor":
    """Mean cross-entropy over the labelled tokens; logits are computed for those alone."""
    import torch

    hidden = model.model(input_ids=ids, position_ids=positions, use_cache=False).last_hidden_state[:, :-1]
    wanted = labels[:, 1:] != IGNORE
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[wanted]), labels[:, 1:][wanted])
