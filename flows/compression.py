"""The compression phase: prune → recover → fold AWQ scales → GGUF → temperature → zstd, with a ledger row after
each."""

from blocks.records import Artifact, GateCheck, GateReport, Record
from flows.parameters import Chosen, Stored
from flows.phase import phase
from tasks.compression.calibrate import calibrate
from tasks.compression.choose import Book, count_parameters, keep
from tasks.compression.export.gguf_sparse import smallest_packed
from tasks.compression.export.gguf_write import to_gguf
from tasks.compression.export.importance import importance
from tasks.compression.packing.zstd import pack
from tasks.compression.pruning.prune import prune
from tasks.compression.pruning.recover import recover
from tasks.compression.show import show_compression
from tasks.compression.weights.awq import fold
from tasks.compression.weights.w4a16 import unpacked, w4a16
from tasks.evaluation.agreement import agreement
from tasks.evaluation.gates import gate
from tasks.evaluation.ledger import ledger


class Compressed(Record):
    """``model``: the Hugging Face weights that every export was made of. ``gguf``: what is served, ``packed``: it with
    zstd. ``gguf_sparse``: the export that packs smallest, None without pruning or where it lost too much;
    ``packed_sparse``: it with zstd. ``reference``: the export that agrees with transformers token by token. ``w4a16``:
    for vLLM."""

    model: Artifact
    gguf: Artifact
    gguf_sparse: Artifact | None
    reference: Artifact
    packed: Artifact
    packed_sparse: Artifact | None
    w4a16: Artifact | None
    ledger: Artifact
    parameters: int
    gates: tuple[GateReport, ...]


@phase
def compression(student: Stored, dataset: Stored, questions: Stored, profile: Chosen) -> Compressed:
    """Make ``student`` small, step by step; a step that loses more than the profile allows is undone or replaced by its
    fallback.

    Args:
        student: digest of the trained student (kind model)
        dataset: digest of the dataset (kind dataset)
        questions: digest of the held-out questions (kind questions); they only measure
        profile: what to build: a profile's name (nano, llama-1b, llama-8b), the path of a YAML file, or the whole
            profile
    """
    settings, seed = profile.compression, profile.seed
    book = Book(questions, count_parameters(student), profile.evaluation, seed)
    kept = book.measure("student", student, None)
    reached = 0.0
    for sparsity in settings.pruning.stages:
        pruned = prune(
            model=kept.model,
            dataset=dataset,
            sparsity=sparsity,
            settings=settings.pruning,
            calibration=settings.calibration,
            seed=seed,
        )
        book.measure(f"pruned to {sparsity:.0%}", pruned, kept, fallback="the same mask after recovery")
        recovered = book.measure(
            f"recovered at {sparsity:.0%}", recover(pruned, student, dataset, settings.recovery, seed), kept
        )
        recovered = book.within_perplexity(recovered, settings.pruning.max_perplexity_ratio)
        kept = keep(kept, recovered)
        if recovered.reverted:
            break
        reached = sparsity
    if settings.awq is not None:
        kept = keep(
            kept,
            book.measure(
                "AWQ scales folded", fold(kept.model, dataset, settings.awq, settings.calibration, seed), kept
            ),
        )
    model = kept.model
    rounded = None
    if settings.awq is not None and settings.awq.w4a16:
        rounded = w4a16(model, settings.awq)
        plain = rounded if profile.evaluation.engine.kind == "vllm" else unpacked(rounded, model)
        if book.measure_as("W4A16 for vLLM", rounded, plain, kept, fallback="no vLLM export").reverted:
            rounded = None
    reference = to_gguf(model, settings.gguf.reference)
    agreed = gate("agreement", agreement(model, reference, questions, profile.evaluation).checks(profile.evaluation))

    weighed = importance(model, dataset, settings.calibration, seed) if settings.gguf.importance else None
    for quantisation, instead in settings.gguf.in_order:
        exported = calibrate(to_gguf(model, quantisation, weighed), model, dataset, settings.temperature, seed)
        served = book.measure(f"GGUF {quantisation}", exported, kept, fallback=instead)
        if not served.reverted:
            break
    packed = pack([served.model], settings.packing)
    book.repacked("zstd", packed, served)
    sparse = sparse_packed = None
    if reached and settings.gguf.sparse:
        exported = calibrate(
            smallest_packed(model, list(settings.gguf.sparse), settings.packing, weighed),
            model,
            dataset,
            settings.temperature,
            seed,
        )
        measured = book.measure("GGUF that packs smallest", exported, kept, fallback="the served export")
        if not measured.reverted:
            sparse, sparse_packed = exported, pack([exported], settings.packing)
            book.repacked("zstd of it", sparse_packed, measured)
    written = ledger(book.rows)
    show_compression(written)
    gguf = served.model
    if settings.gguf.smallest and sparse and sparse_packed and sparse_packed.bytes < packed.bytes:
        gguf, packed = sparse, sparse_packed
    name, shipped = ("packed model, MB", packed) if profile.release.packed else ("model, MB", gguf)
    size = gate(
        "size",
        [GateCheck(name=name, value=shipped.bytes / 1e6, rule="<=", threshold=settings.target_megabytes)],
    )
    return Compressed(
        model=model,
        gguf=gguf,
        gguf_sparse=sparse,
        reference=reference,
        packed=packed,
        packed_sparse=sparse_packed,
        w4a16=rounded,
        ledger=written,
        parameters=book.parameters,
        gates=(agreed, size),
    )
