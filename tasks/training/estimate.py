"""What the training phase will take, and what any LoRA training takes, from settings alone.

Operations a token: 6·N where every weight learns (Kaplan et al. 2020, arXiv 2001.08361), 4·N where the base is frozen
(no gradient of its weights), 2·N more where activations are computed again. Not here: adding phases up
(deployments/commands/plan.py).
"""

from blocks.estimates.calls import Estimate, Work
from blocks.estimates.hardware import CPU_ANIL, CPU_PRETRAINING, PROCESS_BYTES, Device, training_seconds
from blocks.models.architecture import Architecture
from configs.phases.data import Planning
from configs.phases.evaluation import Evaluation
from configs.phases.training import Anil, Lora, Scratch, Training
from tasks.evaluation.estimate import by_transformers, example_tokens, questions

CORES = 2  # of the machine that trains on the CPU
TOKENIZER_S = 5.0  # training the vocabulary of a student made here, measured
EPISODES_S = 0.35  # of one held-out episode of the comparison at nano size, measured
NF4_BITS = 4.5  # of a weight in double-quantised NormalFloat, scales included (QLoRA, arXiv 2305.14314)
LOGIT_COPIES = 10  # bytes per logit while training: bfloat16, float32 and its gradient
# bytes per token and unit of width that one decoder layer keeps (Korthikanti et al. 2022, arXiv 2205.05198, without
# attention maps)
ACTIVATIONS = 34
CPU_ACTIVATIONS = 2 * ACTIVATIONS  # the same in float32


def estimate(
    settings: Training, planning: Planning, evaluation: Evaluation, model: Architecture, on: Device | None
) -> Estimate:
    """Time, memory and disk of the training phase.

    Raises:
        BadInput: there are no held-out questions.
    """
    student, lora, meta = settings.student, settings.fine_tuning, settings.meta
    scratch = isinstance(student, Scratch)
    weights = (4 if isinstance(student, Scratch) or student.dtype == "float32" else 2) * model.parameters
    work = [
        _made(student, model)
        if isinstance(student, Scratch)
        else Work(step="student", on="cpu", seconds=weights / 50e6, memory_bytes=PROCESS_BYTES, disk_bytes=2 * weights)
    ]
    examples = planning.examples
    tokens = min(float(lora.max_length), example_tokens(scratch, planning.hard_share))
    work.append(fine_tuning(name="fine-tuning", lora=lora, model=model, examples=examples, tokens=tokens, on=on))
    work += [
        _meta(name=name, meta=meta, lora=lora, model=model, tokens=tokens, on=on) for name in ("ANIL", "its control")
    ]
    work.append(_compared(meta, lora, model, tokens, on))
    count = sum(questions(evaluation).values())
    work += [by_transformers(model, count, evaluation, on, scratch) for _ in range(3)]
    merged = (4 if settings.merging.dtype == "float32" else 2) * model.parameters
    work.append(
        Work(
            step="merge",
            on=_where(settings.merging.device, on),
            seconds=max(0.5, merged / 1e9),
            memory_bytes=2 * merged + PROCESS_BYTES,
            disk_bytes=merged,
        )
    )
    how = "made here" if scratch else "downloaded at 50 MB/s, kept once by the hub's cache and once by the store"
    return Estimate(
        phase="training",
        work=tuple(work),
        assumptions=(
            f"student of {model.parameters / 1e6:,.1f} million parameters, {how}",
            f"{tokens:.0f} tokens per example",
        ),
    )


def fine_tuning(name: str, lora: Lora, model: Architecture, examples: float, tokens: float, on: Device | None) -> Work:
    """A LoRA training on ``examples`` of ``tokens`` each."""
    seen = examples * lora.epochs * tokens
    learned = model.adapter(lora.rank, lora.targets)
    operations = seen * (_per_token(model, lora) + 6 * learned)
    at = _device(lora.device, on)
    checkpoint = learned * 12.0  # adapter, and both moments of the optimiser
    seconds = training_seconds(operations, at, CORES, arithmetic=lora.arithmetic)
    return Work(
        step=name,
        on=at.name if at else "cpu",
        seconds=seconds,
        memory_bytes=memory(lora, model, tokens, at is not None),
        disk_bytes=4.0 * learned + checkpoint,
    )


def memory(lora: Lora, model: Architecture, tokens: float, accelerator: bool) -> float:
    """Bytes that a LoRA training holds at most: base, adapter with gradient and moments, activations and logits of one
    batch."""
    in_batch = lora.batch * (min(lora.max_length, 2 * tokens) if not accelerator else lora.max_length)
    return _held(lora, model, in_batch, in_batch, accelerator)


def _episode_memory(meta: Anil, lora: Lora, model: Architecture, tokens: float, accelerator: bool) -> float:
    """As :func:`memory`, for one episode: padded to its longest example, logits for the answers' tokens only."""
    rows = meta.support + meta.query
    return _held(lora, model, rows * min(lora.max_length, 2 * tokens), rows * tokens, accelerator)


def _held(lora: Lora, model: Architecture, in_batch: float, with_logits: float, accelerator: bool) -> float:
    base = model.parameters * (NF4_BITS / 8 if lora.quantise == "nf4" else 4 if lora.dtype == "float32" else 2)
    learned = 16.0 * model.adapter(lora.rank, lora.targets)
    layer = in_batch * model.hidden * (ACTIVATIONS if accelerator else CPU_ACTIVATIONS)
    kept = model.layers * in_batch * model.hidden * 2 + layer if lora.checkpointing else model.layers * layer
    return base + learned + kept + with_logits * model.vocabulary * LOGIT_COPIES + (0 if accelerator else PROCESS_BYTES)


def _per_token(model: Architecture, lora: Lora) -> float:
    return (6.0 if lora.checkpointing else 4.0) * model.parameters


def _made(student: Scratch, model: Architecture) -> Work:
    """A student made and pretrained here: all weights learn, in float32."""
    seconds = TOKENIZER_S + training_seconds(
        6.0 * model.parameters * student.tokens, None, CORES, CPU_PRETRAINING, student.arithmetic
    )
    held = 16 * model.parameters + student.batch * student.length * (
        model.layers * model.hidden * CPU_ACTIVATIONS + model.vocabulary * LOGIT_COPIES
    )
    return Work(
        step="pretraining",
        on="cpu",
        seconds=seconds,
        memory_bytes=PROCESS_BYTES + held,
        disk_bytes=4 * model.parameters,
    )


def _meta(name: str, meta: Anil, lora: Lora, model: Architecture, tokens: float, on: Device | None) -> Work:
    """All rounds; patience may end them sooner. Validations look at one episode per task type."""
    rows = meta.rounds * meta.tasks * (meta.support + meta.query) * (1 + 1 / max(1, meta.evaluate_every))
    operations = rows * tokens * _per_token(model, lora) * (1.5 if meta.second_order else 1)
    at = _device(lora.device, on)
    seconds = training_seconds(operations, at, CORES, CPU_ANIL)
    disk = 4.0 * model.adapter(lora.rank, lora.targets)
    return Work(
        step=name,
        on=at.name if at else "cpu",
        seconds=seconds,
        memory_bytes=_episode_memory(meta, lora, model, tokens, at is not None),
        disk_bytes=disk,
    )


def _compared(meta: Anil, lora: Lora, model: Architecture, tokens: float, on: Device | None) -> Work:
    """Three adapters, each adapted and judged on every held-out episode."""
    rows = 3 * meta.episodes * (meta.support + meta.query)
    at = _device(lora.device, on)
    seconds = (
        training_seconds(rows * tokens * _per_token(model, lora), at, CORES, CPU_ANIL)
        if at
        else meta.episodes * EPISODES_S * max(1.0, model.parameters / 1.9e6)
    )
    return Work(
        step="comparison with the control",
        on=at.name if at else "cpu",
        seconds=seconds,
        memory_bytes=_episode_memory(meta, lora, model, tokens, at is not None),
        disk_bytes=1e4,
    )


def _device(wanted: str, on: Device | None) -> Device | None:
    return on if wanted == "cuda" else None


def _where(wanted: str, on: Device | None) -> str:
    found = _device(wanted, on)
    return found.name if found else "cpu"
