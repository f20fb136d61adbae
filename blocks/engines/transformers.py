"""Answers with log-probabilities, and the likelihood of given answers, by transformers.

Own loop instead of ``generate``: prompts of similar length share a batch, finished answers leave it, and each token's
log-probability is kept. Not here: llama.cpp (blocks/engines/llama_cpp), which answers the same prompts for GGUF models.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from blocks.engines.completion import Completion, Scored
from blocks.engines.description import EngineDescription
from blocks.engines.protocol import Text, unheard
from blocks.estimates.hardware import refuse_missing
from blocks.models.encoding import Encoder
from blocks.models.load import load_adapter, load_model
from configs.errors import BadInput

LOGITS_AT_ONCE = 1 << 25  # values of (examples, tokens, vocabulary) held at once when scoring


class Transformers:
    """A folder in Hugging Face's layout (blocks/engines/protocol.py), computed with ``threads`` of torch inside the
    context.

    Args:
        folder: weights and tokenizer.
        description: context, type to compute in, scales.
        adapters: PEFT adapters' folders by name.
        device: where it computes.
        batch: prompts answered at the same time.
        threads: torch's, on the CPU.

    Raises:
        BadInput: the device is missing, or the description asks for what transformers does not do here.
    """

    def __init__(
        self,
        folder: Path,
        description: EngineDescription,
        *,
        adapters: Mapping[str, Path] | None = None,
        device: Literal["cpu", "cuda"],
        batch: int,
        threads: int,
    ) -> None:
        refuse_missing(device)
        if any(scale != 1 for scale in description.scales.values()) or description.draft_tokens:
            raise BadInput("transformers takes adapters at scale 1 and no draft model here; use llama.cpp for either")
        self.description, self._batch_size, self._threads_wanted = description, batch, threads
        self.encoder = Encoder.of(folder)
        self.template = self.encoder.template
        model: Any = load_model(folder, device=device, dtype=description.dtype or "float32")
        self._adapters = dict(adapters or {})
        for name, path in self._adapters.items():
            model = load_adapter(model, path, trainable=False, name=name)
        self.model: Any = model.eval()
        ids = self.encoder.tokenizer.convert_tokens_to_ids
        self.closing = [token for text in self.template.stops if (token := ids(text)) is not None]

    def __enter__(self) -> "Transformers":
        import torch

        self._threads = torch.get_num_threads()
        torch.set_num_threads(self._threads_wanted)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import torch

        torch.set_num_threads(self._threads)

    def encode(self, texts: Sequence[str], *, goes_on: bool = False) -> list[list[int]]:
        """See the protocol."""
        return self.encoder.ids(texts, goes_on=goes_on)

    def complete(
        self,
        prompts: Sequence[Text],
        *,
        max_tokens: int,
        adapter: str | None = None,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
        logprobs: bool = True,
        seed: int = 0,
        advance: Callable[[int], None] = unheard,
    ) -> list[Completion]:
        """See the protocol; prompts of similar length share a batch."""
        import torch

        started = time.monotonic()
        ids = self._ids(prompts)
        refuse_too_long([len(one) for one in ids], max_tokens, self.description.context)
        answers: dict[int, tuple[list[int], list[float]]] = {}
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        with torch.inference_mode(), self._under(adapter):
            for start in range(0, len(order), self._batch_size):
                batch = order[start : start + self._batch_size]
                found = self._batch([ids[i] for i in batch], max_tokens, _chooser(temperature, seed))
                answers |= dict(zip(batch, found, strict=True))
                advance(len(batch))
        texts = self.encoder.texts([answers[i][0] for i in range(len(ids))])
        seconds = time.monotonic() - started
        said: list[Completion] = []
        for i, one in enumerate(ids):
            (tokens, chances), (text, stopped) = answers[i], _cut(texts[i], stop)
            said.append(
                Completion(
                    text=text,
                    tokens=tuple(tokens) if logprobs else (),
                    logprobs=tuple(chances) if logprobs else (),
                    finish="stop" if stopped or tokens[-1] in self.closing else "length",
                    prompt_tokens=len(one),
                    seconds=seconds,
                )
            )
        return said

    def stream(
        self,
        prompt: Text,
        *,
        max_tokens: int,
        adapter: str | None = None,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
        seed: int = 0,
    ) -> Iterator[str]:
        """See the protocol. A piece is held back while a character, or a stop string, may still be unfinished in it."""
        import torch
        from transformers import DynamicCache

        (ids,) = self._ids([prompt])
        refuse_too_long([len(ids)], max_tokens, self.description.context)
        choose, cache, given, said = _chooser(temperature, seed), DynamicCache(), list(ids), 0
        held = max((len(one) for one in stop), default=1) - 1
        tokens: list[int] = []
        with self._under(adapter):
            for _ in range(max_tokens):
                with torch.inference_mode():
                    out = self.model(
                        input_ids=torch.tensor([given], device=self.model.device),
                        past_key_values=cache,
                        use_cache=True,
                        logits_to_keep=1,
                    )
                    token = int(choose(out.logits[:, -1].float())[1])
                if token in self.closing:
                    break
                tokens.append(token)
                given = [token]
                (text,) = self.encoder.texts([tokens])
                cut, stopped = _cut(text, stop)
                end = len(cut) if stopped else len(cut) - (held or text.endswith("\ufffd"))
                if end > said:
                    yield cut[said:end]
                    said = end
                if stopped:
                    return
        (text,) = self.encoder.texts([tokens])
        if rest := _cut(text, stop)[0][said:]:
            yield rest

    def _ids(self, texts: Sequence[Text]) -> list[list[int]]:
        written = [number for number, text in enumerate(texts) if isinstance(text, str)]
        encoded = dict(zip(written, self.encode([str(texts[i]) for i in written]) if written else [], strict=True))
        found = [encoded[i] if i in encoded else [int(token) for token in text] for i, text in enumerate(texts)]
        for number, one in enumerate(found):
            if not one:
                raise BadInput(f"prompt {number} is empty")
        return found

    @contextmanager
    def _under(self, adapter: str | None) -> Iterator[None]:
        """Compute with ``adapter``, or with the base alone."""
        if adapter is not None and adapter not in self._adapters:
            raise BadInput(f"unknown adapter {adapter!r}; loaded are: {', '.join(self._adapters) or 'none'}")
        if not self._adapters:
            yield
        elif adapter is None:
            with self.model.disable_adapter():
                yield
        else:
            self.model.set_adapter(adapter)
            yield

    def _batch(
        self, ids: list[list[int]], max_tokens: int, choose: "Callable[[Any], tuple[Any, Any]]"
    ) -> list[tuple[list[int], list[float]]]:
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
        for _ in range(max_tokens):
            out = self.model(
                input_ids=tokens,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            best, chosen = choose(out.logits[:, -1].float())
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

    def score(self, pairs: Sequence[tuple[Text, Text]], *, adapter: str | None = None) -> Iterator[Scored]:
        """See the protocol."""
        import torch

        before = self._ids([prompt for prompt, _ in pairs])
        after = [self.encode([one], goes_on=True)[0] if isinstance(one, str) else list(one) for _, one in pairs]
        whole = [one + two for one, two in zip(before, after, strict=True)]
        order = sorted(range(len(whole)), key=lambda i: -len(whole[i]))
        found: dict[int, Scored] = {}
        with torch.inference_mode(), self._under(adapter):
            while order:
                room = max(1, LOGITS_AT_ONCE // (len(whole[order[0]]) * self.model.config.vocab_size))
                batch, order = order[: min(room, self._batch_size)], order[min(room, self._batch_size) :]
                longest = len(whole[batch[0]])
                tokens = torch.tensor(
                    [whole[i] + [self.closing[0]] * (longest - len(whole[i])) for i in batch], device=self.model.device
                )
                logits = self.model(input_ids=tokens, use_cache=False).logits[:, :-1].float()
                nll = (logits.logsumexp(-1) - logits.gather(-1, tokens[:, 1:, None])[..., 0]).double().cpu().numpy()
                agrees = (logits.argmax(-1) == tokens[:, 1:]).cpu().numpy()
                for row, i in enumerate(batch):
                    mine = slice(len(before[i]) - 1, len(whole[i]) - 1)
                    found[i] = Scored(nll[row, mine], agrees[row, mine])
        yield from (found[i] for i in range(len(pairs)))


def _chooser(temperature: float, seed: int) -> Callable[[Any], tuple[Any, Any]]:
    """What takes logits (rows, vocabulary) to (log-probability, token) of each row: the likeliest, or one drawn at
    ``temperature``."""
    import torch

    if not temperature:
        return lambda logits: logits.log_softmax(-1).max(-1)
    source = torch.Generator().manual_seed(seed)

    def draw(logits: Any) -> tuple[Any, Any]:
        drawn = torch.multinomial((logits / temperature).softmax(-1).cpu(), 1, generator=source).to(logits.device)
        return logits.log_softmax(-1).gather(-1, drawn)[:, 0], drawn[:, 0]

    return draw


def _cut(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """``text`` up to the first of the stop strings, and whether there was one."""
    at = min((place for one in stop if (place := text.find(one)) >= 0), default=None)
    return (text, False) if at is None else (text[:at], True)


def refuse_too_long(prompt_tokens: Sequence[int], max_tokens: int, context: int) -> None:
    """Every model gets the same room, so that a prompt without it is refused rather than answered short.

    Raises:
        BadInput: the longest prompt and the longest answer do not fit the context.
    """
    longest = max(prompt_tokens, default=0)
    if longest + max_tokens > context:
        raise BadInput(
            f"a prompt of {longest} tokens and an answer of {max_tokens} do not fit evaluation.context = {context}; "
            "raise it or lower max_new_tokens"
        )
