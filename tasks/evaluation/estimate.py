"""What an evaluation takes, how many questions it has, and what so many questions can show.

Not here: which models a phase evaluates (the phases' own estimates).
"""

import math

from blocks.estimates.calls import CHARACTERS_PER_TOKEN, LENGTHS, REHEARSAL, Work
from blocks.estimates.hardware import (
    LLAMA_CPP_STEP_S,
    PROCESS_BYTES,
    VLLM_STEP_S,
    Device,
    cpu_decoding_seconds,
    decoding_seconds,
    training_seconds,
)
from blocks.models.architecture import Architecture
from blocks.records import DOMAINS
from configs.errors import BadInput
from configs.phases.evaluation import Evaluation
from tasks.evaluation.benchmarks import READERS

CHANGED = 0.25  # share of questions whose verdict a training changes, assumed; 0.2 to 0.3 in a nano run
SWITCHED = 0.03  # the same for routing, which changes few; 0.03 in a nano run
OVERHEAD_S = 1.5  # of one evaluation beside generating: loading, checking, perplexity of a small model, measured
REHEARSAL_CHARACTERS_PER_TOKEN = 2.65  # of a 512-token vocabulary, measured
VLLM_START_S = 120.0  # of loading and compiling, assumed
ROW_BYTES = 450.0  # of an answer, log-probabilities included, measured


def questions(settings: Evaluation, purpose: str = "test") -> dict[str, int]:
    """Held-out questions by domain.

    Raises:
        BadInput: there are none.
    """
    found = dict.fromkeys(DOMAINS, 0)
    if settings.rehearsal is not None:
        each = settings.rehearsal.test if purpose == "test" else settings.rehearsal.calibration
        found = dict.fromkeys(found, 2 * each)  # easy and hard
    for one in settings.benchmarks:
        found[READERS[one.format].domain] += one.test if purpose == "test" else one.calibration
    if not sum(found.values()):
        raise BadInput(
            f"no held-out questions for {purpose}: evaluation names neither rehearsal nor benchmarks with any; set "
            "evaluation.rehearsal or evaluation.benchmarks"
        )
    return {name: count for name, count in found.items() if count}


def half_width(count: int, changed: float) -> float:
    """Half the 95% interval of a paired difference over ``count`` questions of which a share ``changed`` get another
    verdict."""
    return 1.96 * math.sqrt(changed / count)


def needed(half: float, changed: float) -> int:
    """Questions that an interval of ± ``half`` needs."""
    return math.ceil(changed * (1.96 / half) ** 2)


def characters_per_token(scratch: bool) -> float:
    """Of the student's tokenizer: one made here, or a public one."""
    return REHEARSAL_CHARACTERS_PER_TOKEN if scratch else CHARACTERS_PER_TOKEN


def example_tokens(scratch: bool, hard_share: float) -> float:
    """Mean tokens of an example to the student, chat format included."""
    known = LENGTHS[REHEARSAL if scratch else ""]
    return (
        known.easy_characters + (known.hard_characters - known.easy_characters) * hard_share
    ) / characters_per_token(scratch) + 10


def uses_accelerator(settings: Evaluation) -> bool:
    """Whether any evaluation is answered on one."""
    return settings.device == "cuda" or settings.engine.kind != "in_process" or settings.gpu_layers != 0


def by_transformers(model: Architecture, count: int, settings: Evaluation, on: Device | None, scratch: bool) -> Work:
    """One evaluation of the model's weights by transformers, or by the engine that takes its place."""
    bytes_each = 4 if settings.dtype == "float32" else 2
    if on and settings.engine.kind != "in_process":
        return _served(model, 8 * bytes_each, count, settings, on=on, scratch=scratch)
    tokens = min(settings.max_new_tokens, example_tokens(scratch, 0.5))
    weights = bytes_each * model.parameters
    if on and settings.device == "cuda":
        seconds = decoding_seconds(
            weights, count, settings.batch, min(settings.max_new_tokens, 2 * tokens), on
        )  # a batch lasts as long as its longest answer
    else:
        seconds = OVERHEAD_S + cpu_decoding_seconds(model.parameters, count * tokens, settings.threads)
    cache = 2 * bytes_each * model.layers * model.keys * settings.context * settings.batch
    logits = 4 * model.vocabulary * settings.batch
    return Work(
        step="evaluate",
        on=on.name if on and settings.device == "cuda" else "cpu",
        seconds=seconds,
        memory_bytes=weights + cache + logits + (0 if on and settings.device == "cuda" else PROCESS_BYTES),
        disk_bytes=count * ROW_BYTES,
    )


def by_llama_cpp(
    model: Architecture, bits: float, count: float, settings: Evaluation, on: Device | None, scratch: bool
) -> Work:
    """One evaluation of a GGUF of ``bits`` per parameter by llama.cpp, on the CPU unless the settings say otherwise."""
    if on and (settings.gpu_layers or settings.engine.kind == "http"):
        return _served(model, bits, count, settings, on=on, scratch=scratch)
    tokens = min(settings.context, example_tokens(scratch, 0.5))
    return Work(
        step="evaluate by llama.cpp",
        on="cpu",
        seconds=OVERHEAD_S + cpu_decoding_seconds(model.parameters, count * tokens, settings.threads),
        memory_bytes=PROCESS_BYTES + model.parameters * bits / 8 + _slots_bytes(model, settings),
        disk_bytes=count * ROW_BYTES,
    )


def _served(model: Architecture, bits: float, count: float, settings: Evaluation, on: Device, scratch: bool) -> Work:
    """One evaluation by what batches continuously on an accelerator: llama.cpp there, vLLM, or a server."""
    engine, tokens, weights = settings.engine, example_tokens(scratch, 0.5), model.parameters * bits / 8
    by_vllm = engine.kind == "vllm" or (engine.kind == "http" and engine.server == "vllm")
    least, loading = (VLLM_STEP_S, VLLM_START_S) if by_vllm else (LLAMA_CPP_STEP_S, OVERHEAD_S)
    answers = decoding_seconds(weights, count, settings.slots, min(settings.max_new_tokens, tokens), on, least=least)
    prompts = training_seconds(2.0 * model.parameters * count * tokens, on, 1)
    return Work(
        step=f"evaluate by {'vLLM' if by_vllm else 'llama.cpp'}",
        on=on.name,
        seconds=loading + prompts + answers,
        memory_bytes=weights + _slots_bytes(model, settings),
        disk_bytes=count * ROW_BYTES,
    )


def _slots_bytes(model: Architecture, settings: Evaluation) -> float:
    """Keys and values of all slots, in 16 bits."""
    return 2.0 * 2 * model.layers * model.keys * settings.context * settings.slots
