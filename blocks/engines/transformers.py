"""Greedy answers with log-probabilities, and the likelihood of given answers, by transformers.

Own loop instead of ``generate``: prompts of similar length share a batch, finished answers leave it, and each token's
log-probability is kept. Not here: llama.cpp (blocks/engines/llama_cpp), which answers the same prompts for GGUF models.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from blocks.models.encoding import Encoder
from blocks.models.load import load_adapter, load_model
from configs.errors import BadInput
from configs.phases.evaluation import Evaluation

LOGITS_AT_ONCE = 1 << 25  # values of (examples, tokens, vocabulary) held at once when scoring


class Generated(NamedTuple):
    """One answer without special tokens; ``tokens`` and natural-log ``logprobs`` include the closing token."""

    text: str
    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    prompt_tokens: int


class Student:
    """A transformers model on its device, with its tokenizer and at most one adapter; a context manager, inside which
    torch computes with ``settings.threads``."""

    def __init__(self, folder: Path, adapter: Path | None, settings: Evaluation) -> None:
        self.settings = settings
        self.encoder = Encoder.of(folder)
        self.template = self.encoder.template
        model: Any = load_model(folder, device=settings.device, dtype=settings.dtype)
        if adapter is not None:
            model = load_adapter(model, adapter, trainable=False)
        self.model: Any = model.eval()
        ids = self.encoder.tokenizer.convert_tokens_to_ids
        self.closing = [token for text in self.template.stops if (token := ids(text)) is not None]

    def __enter__(self) -> "Student":
        import torch

        self._threads = torch.get_num_threads()
        torch.set_num_threads(self.settings.threads)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import torch

        torch.set_num_threads(self._threads)

    def encode(self, prompts: Sequence[str]) -> list[list[int]]:
        """Token ids of prompts in the chat format, none added."""
        return self.encoder.ids(prompts)

    def generate(self, prompts: Sequence[str], advance: Callable[..., None]) -> list[Generated]:
        """Answer every prompt greedily; ``advance`` is called with the number of prompts answered.

        Raises:
            BadInput: a prompt leaves no room for the longest answer.
        """
        import torch

        ids = self.encode(prompts)
        refuse_too_long([len(one) for one in ids], self.settings)
        answers: dict[int, tuple[list[int], list[float]]] = {}
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        with torch.inference_mode():
            for start in range(0, len(order), self.settings.batch):
                batch = order[start : start + self.settings.batch]
                answers |= dict(zip(batch, self._batch([ids[i] for i in batch]), strict=True))
                advance(len(batch))
        texts = self.encoder.texts([answers[i][0] for i in range(len(ids))])
        return [Generated(texts[i], tuple(answers[i][0]), tuple(answers[i][1]), len(ids[i])) for i in range(len(ids))]

    def _batch(self, ids: list[list[int]]) -> list[tuple[list[int], list[float]]]:
        """Answer one batch; a finished answer is taken out of it once half of the batch is finished."""
        import torch
        from transformers import DynamicCache

        device = self.model.device
        longest = max(len(one) for one in ids)
        pad = self.closing[0]
        tokens = torch.tensor([[pad] * (longest - len(one)) + one for one in ids], device=device)
        mask = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in ids], device=device)
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        closing = torch.tensor(self.closing, device=device)
        cache = DynamicCache()
        found: list[tuple[list[int], list[float]]] = [([], []) for _ in ids]
        rows = list(range(len(ids)))
        open_rows = torch.ones(len(ids), dtype=torch.bool, device=device)
        for _ in range(self.settings.max_new_tokens):
            out = self.model(
                input_ids=tokens,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            best, chosen = out.logits[:, -1].float().log_softmax(-1).max(-1)
            for row, token, logprob, is_open in zip(
                rows, chosen.tolist(), best.tolist(), open_rows.tolist(), strict=True
            ):
                if is_open:
                    found[row][0].append(token)
                    found[row][1].append(logprob)
            open_rows &= ~torch.isin(chosen, closing)
            left = int(open_rows.sum())
            if not left:
                break
            if left <= len(rows) // 2:
                kept = open_rows.nonzero()[:, 0]
                rows = [rows[i] for i in kept.tolist()]
                cache.batch_select_indices(kept)
                chosen, mask, positions, open_rows = chosen[kept], mask[kept], positions[kept], open_rows[kept]
            tokens = chosen[:, None]
            positions = positions[:, -1:] + 1
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], 1)
        return found

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[np.ndarray]:
        """Negative log-likelihood (natural log) of each answer token after its prompt; both are tokenised apart.

        Returns:
            One float64 array of shape (answer tokens,) per pair, in order.
        """
        import torch

        before = self.encode([prompt for prompt, _ in pairs])
        after = self.encoder.ids([answer for _, answer in pairs], goes_on=True)
        whole = [one + two for one, two in zip(before, after, strict=True)]
        order = sorted(range(len(whole)), key=lambda i: -len(whole[i]))
        found: dict[int, np.ndarray] = {}
        with torch.inference_mode():
            while order:
                room = max(1, LOGITS_AT_ONCE // (len(whole[order[0]]) * self.model.config.vocab_size))
                batch, order = order[: min(room, self.settings.batch)], order[min(room, self.settings.batch) :]
                longest = len(whole[batch[0]])
                tokens = torch.tensor(
                    [whole[i] + [self.closing[0]] * (longest - len(whole[i])) for i in batch], device=self.model.device
                )
                logits = self.model(input_ids=tokens, use_cache=False).logits[:, :-1].float()
                nll = (logits.logsumexp(-1) - logits.gather(-1, tokens[:, 1:, None])[..., 0]).double().cpu().numpy()
                for row, i in enumerate(batch):
                    found[i] = nll[row, len(before[i]) - 1 : len(whole[i]) - 1]
        return [found[i] for i in range(len(pairs))]


def refuse_too_long(prompt_tokens: Sequence[int], settings: Evaluation) -> None:
    """Every model gets the same room, so that a prompt without it is refused rather than answered short.

    Raises:
        BadInput: the longest prompt and the longest answer do not fit the context.
    """
    longest = max(prompt_tokens, default=0)
    if longest + settings.max_new_tokens > settings.context:
        raise BadInput(
            f"a prompt of {longest} tokens and an answer of {settings.max_new_tokens} do not fit evaluation.context = "
            f"{settings.context}; raise it or lower max_new_tokens"
        )
