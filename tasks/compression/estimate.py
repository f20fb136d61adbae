"""What the compression phase will take, from settings alone: pruning, recovery, AWQ, exports, packing, and an
evaluation after each.

Not here: the size floor (floor.py), adding phases up (deployments/commands/plan.py).
"""

from blocks.estimates.calls import Estimate, Work
from blocks.estimates.hardware import CPU_LORA, PROCESS_BYTES, Device, training_seconds
from blocks.models.architecture import Architecture
from configs.phases.compression import Compression, Recovery
from configs.phases.evaluation import Evaluation
from tasks.compression.floor import BITS
from tasks.evaluation.estimate import by_llama_cpp, by_transformers, example_tokens, questions

CORES = 2  # of the machine that compresses on the CPU
SOLVING = 3.0  # SparseGPT's passes over the calibration text, forward and Hessians, per forward pass
QUANTISING = 1e7  # weights a second and core (llama.cpp's quantiser, measured)
PACKING = 2e7  # bytes a second at zstd 10, both layouts tried, measured
SETUP_S = 1.0  # loading a model and llm-compressor, measured
LOGIT_COPIES = 16  # bytes per logit of recovery: two models' logits in float32 with a gradient
ACTIVATIONS = 34  # bytes per token and unit of width that one decoder layer keeps (arXiv 2205.05198)


def estimate(
    settings: Compression, evaluation: Evaluation, model: Architecture, scratch: bool, on: Device | None
) -> Estimate:
    """Time, memory and disk of the compression phase, with every step kept and the first served mixture accepted.

    Raises:
        BadInput: there are no held-out questions.
    """
    count = sum(questions(evaluation).values())
    half = 4 if scratch else 2  # bytes of a stored weight
    weights = half * model.parameters
    judged = by_transformers(model, count, evaluation, on, scratch)
    work = [judged]
    tokens = min(float(settings.recovery.tokens), example_tokens(scratch, 0.5))
    for _ in settings.pruning.stages:
        work += [
            _calibrated(step="prune", settings=settings, model=model, written=weights, passes=SOLVING, on=on),
            judged,
            _recovered(settings.recovery, model, weights, tokens, on),
            judged,
        ]
    if settings.awq is not None:
        work += [
            _calibrated(
                step="fold AWQ scales",
                settings=settings,
                model=model,
                written=weights,
                passes=settings.awq.grid / 4,
                on=on,
                rows=settings.awq.rows,
            ),
            judged,
        ]
        if settings.awq.w4a16:
            work += [
                Work(
                    step="W4A16",
                    on="cpu",
                    seconds=SETUP_S + model.parameters / QUANTISING / CORES,
                    memory_bytes=PROCESS_BYTES + 2 * weights,
                    disk_bytes=weights + model.parameters * 4.5 / 8,
                ),
                judged,
            ]
    if settings.gguf.importance:
        work.append(
            _calibrated(step="importance", settings=settings, model=model, written=1e-3 * weights, passes=1, on=on)
        )
    served = [settings.gguf.served, *settings.gguf.sparse[:1]]
    exports = [settings.gguf.reference, settings.gguf.served, *settings.gguf.sparse]
    for name in exports:
        size = model.parameters * BITS[name] / 8
        work.append(
            Work(
                step=f"GGUF {name}",
                on="cpu",
                seconds=model.parameters / QUANTISING / CORES,
                memory_bytes=PROCESS_BYTES + weights / 4,
                disk_bytes=2 * size,
            )
        )
        work.append(
            Work(
                step=f"zstd of {name}",
                on="cpu",
                seconds=size / PACKING,
                memory_bytes=PROCESS_BYTES + size,
                disk_bytes=size,
            )
        )
    work += [by_llama_cpp(model, BITS[name], count, evaluation, on=on, scratch=scratch) for name in served]
    agreed = min(count, evaluation.agreement_questions or count)
    work += [
        by_transformers(model, agreed, evaluation, on, scratch),
        by_llama_cpp(model, BITS[settings.gguf.reference], agreed, evaluation, on=on, scratch=scratch),
    ]
    heat = settings.temperature
    work += [
        _training(
            step="temperature",
            wanted=heat.device,
            operations=2.0 * model.parameters * heat.examples * tokens,
            held=weights + heat.batch * heat.tokens * model.vocabulary * 8,
            written=1e3,
            on=on,
        )
    ] * len(served)
    assumptions = ("every stage is kept and the first served mixture accepted; an undone step saves what follows it",)
    return Estimate(phase="compression", work=tuple(work), assumptions=assumptions)


def _calibrated(
    step: str,
    settings: Compression,
    model: Architecture,
    written: float,
    passes: float,
    on: Device | None,
    rows: int | None = None,
) -> Work:
    """A step that runs the calibration text through the model ``passes`` times."""
    text = settings.calibration
    seen = (rows or text.rows) * text.tokens
    held = (
        2 * model.parameters
        + text.batch * text.tokens * (model.hidden * ACTIVATIONS + model.vocabulary * 4)
        + 4 * model.feed_forward**2
    )
    return _training(
        step=step,
        wanted=text.device,
        operations=passes * 2.0 * model.parameters * seen,
        held=held,
        written=written,
        on=on,
    )


def _recovered(settings: Recovery, model: Architecture, weights: float, tokens: float, on: Device | None) -> Work:
    """The pruned model learns, the whole one only answers: 4 or 6 and 2 operations a token and weight, 2 more with
    checkpointing."""
    each = 2 + (4 if settings.lora else 6) + (2 if settings.checkpointing else 0)
    learned = model.adapter(settings.lora.rank, tuple(model.projections)) if settings.lora else model.parameters
    in_batch = settings.batch * min(settings.tokens, 2 * tokens)
    layers = 1 if settings.checkpointing else model.layers
    held = (
        2 * weights
        + 16 * learned
        + in_batch * (model.vocabulary * LOGIT_COPIES + layers * model.hidden * 2 * ACTIVATIONS)
    )
    return _training(
        step="recover",
        wanted=settings.device,
        operations=each * model.parameters * settings.examples * tokens,
        held=held,
        written=weights,
        on=on,
    )


def _training(step: str, wanted: str, operations: float, held: float, written: float, on: Device | None) -> Work:
    at = on if wanted == "cuda" else None
    seconds = SETUP_S + training_seconds(operations, at, CORES, CPU_LORA)
    return Work(
        step=step,
        on=at.name if at else "cpu",
        seconds=seconds,
        memory_bytes=held + (0 if at else PROCESS_BYTES),
        disk_bytes=written,
    )
