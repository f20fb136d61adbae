"""What each choice of the compression phase costs and gains, on a student and a dataset of the store.

    python -m tests.benchmarks.compression STUDENT DATASET [TABLE …]

STUDENT and DATASET are digests; tables: methods, recovery, exports, packing (all of them by default). The settings are
the nano profile's. Quality is the mean KL divergence from the student over every token of validation examples, nats;
seconds are of CPU.
"""

import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

from blocks import store
from blocks.models.load import load_model
from blocks.records import Artifact
from configs.phases.compression import Compression
from configs.schema import load as profile
from tasks.compression.calibration import conversations
from tasks.compression.export.dequantise import dequantised
from tasks.compression.export.gguf_write import to_gguf
from tasks.compression.export.importance import importance
from tasks.compression.packing.zstd import pack
from tasks.compression.pruning.prune import prune
from tasks.compression.pruning.recover import divergence, recover
from tasks.compression.weights.awq import fold

R = TypeVar("R")
SEED = 0


def timed(work: Callable[[], R]) -> tuple[R, float]:
    """What ``work`` returns, and the CPU seconds it took."""
    started = time.process_time()
    return work(), time.process_time() - started


class Bench:
    """A student, a dataset, settings, and how far another model is from the student."""

    def __init__(self, student: Artifact, dataset: Artifact) -> None:
        self.student, self.dataset = student, dataset
        self.settings: Compression = profile("nano").compression
        self.whole = load_model(store.open(student), device="cpu")
        self.judged = conversations(dataset, "validation", store.open(student), limit=120, tokens=200, seed=SEED)

    def away(self, model: Any) -> float:
        """Mean KL divergence from the student, nats per token."""
        return divergence(model, self.whole, self.judged, 24)

    def pruned(self, share: float, **changes: Any) -> Artifact:
        """The student pruned to ``share``."""
        settings = self.settings.pruning.model_copy(update={"stages": (share,), **changes})
        return prune.fn(
            model=self.student,
            dataset=self.dataset,
            sparsity=share,
            settings=settings,
            calibration=self.settings.calibration,
            seed=SEED,
        )

    def recovered(self, pruned: Artifact, **changes: Any) -> Artifact:
        """``pruned`` after recovery."""
        return recover.fn(
            pruned,
            self.student,
            self.dataset,
            type(self.settings.recovery).model_validate({**self.settings.recovery.model_dump(), **changes}),
            SEED,
        )

    def methods(self) -> None:
        """Pruning methods without recovery."""
        print("pruning, no recovery: method, share of zeros → divergence, seconds")
        for method in ("sparsegpt", "wanda", "magnitude"):
            for share in (0.3, 0.5, 0.65):
                made, seconds = timed(lambda method=method, share=share: self.pruned(share, method=method))  # type: ignore[misc]
                print(
                    f"  {method:10} {share:.0%}  {self.away(self.loaded(made)):.4f}  {seconds:.1f} s",
                    flush=True,
                )
        print(f"  sparsegpt, 2:4  {self.away(self.loaded(self.pruned(0.5, structure='2:4'))):.4f}")

    def loaded(self, made: Artifact) -> Any:
        """A model as transformers has it."""
        return load_model(store.open(made), device="cpu")

    def recovery(self) -> None:
        """Recovery of one pruned model, by method and budget."""
        for share in (0.5, 0.65):
            pruned = self.pruned(share)
            print(f"recovery at {share:.0%}: → divergence, seconds")
            choices: dict[str, dict[str, Any]] = {
                f"all weights, {examples} examples, rate {rate}": {"examples": examples, "learning_rate": rate}
                for examples in (500, 1500)
                for rate in (2e-4, 5e-4, 1e-3)
            }
            choices["masked LoRA r64, 500 examples"] = {
                "lora": {"rank": 64, "alpha": 64.0},
                "examples": 500,
                "learning_rate": 2e-3,
            }
            choices["all weights, half labels, 500 examples"] = {"label_weight": 0.5, "examples": 500}
            for name, changes in choices.items():
                made, seconds = timed(lambda pruned=pruned, changes=changes: self.recovered(pruned, **changes))  # type: ignore[misc]
                print(
                    f"  {name:45} {made.metrics['divergence_before']:.4f} → {made.metrics['divergence_after']:.4f}  "
                    f"{seconds:.1f} s",
                    flush=True,
                )

    def exports(self) -> None:
        """GGUF exports of the student with and without folded scales and importance."""
        assert self.settings.awq is not None
        awq = self.settings.awq
        folded, seconds = timed(lambda: fold.fn(self.student, self.dataset, awq, self.settings.calibration, SEED))
        print(f"exports: → divergence (folding took {seconds:.1f} s)")
        weighed = {
            one.digest: importance.fn(one, self.dataset, self.settings.calibration, SEED)
            for one in (self.student, folded)
        }
        for quantisation in ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "Q3_K_M"):
            found = []
            for model in (self.student, folded):
                for weights in (None, weighed[model.digest]):
                    export = to_gguf.fn(model, quantisation, weights)
                    found.append(self.away(dequantised(store.open(export) / "model.gguf", store.open(model), "cpu")))
            print(
                f"  {quantisation:7} plain {found[0]:.5f}  importance {found[1]:.5f}  folded {found[2]:.5f}  both "
                f"{found[3]:.5f}",
                flush=True,
            )

    def packing(self) -> None:
        """Packed fraction and bits per weight by type and share of zeros."""
        print("packing at the profile's level: fraction left, plain → byte planes, MB (dictionary KB)")
        for name, model in (("dense", self.student), ("50% zeros", self.pruned(0.5)), ("65% zeros", self.pruned(0.65))):
            for quantisation in ("F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_0", "Q3_K_S"):
                export = to_gguf.fn(model, quantisation)
                plain, planes = (
                    pack.fn([export], self.settings.packing.model_copy(update={"byte_planes": on}))
                    for on in (False, True)
                )
                figures = (
                    f"{plain.metrics['fraction']:.3f} → {planes.metrics['fraction']:.3f}, "
                    f"{planes.metrics['megabytes']:.3f} MB ({planes.metrics['dictionary_kb']:.0f})"
                )
                print(f"  {name:10} {quantisation:7} {figures}", flush=True)


def main() -> None:
    """Print the tables that were asked for."""
    student, dataset, *tables = sys.argv[1:]
    bench = Bench(store.find(student), store.find(dataset))
    for table in tables or ["methods", "recovery", "exports", "packing"]:
        getattr(bench, table)()


if __name__ == "__main__":
    main()
