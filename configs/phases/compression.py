"""Settings of the compression phase: calibration text, pruning and recovery, AWQ, GGUF, temperature, packing, size."""

from typing import Literal

from pydantic import model_validator

from configs.settings import Settings, runtime, setting

Quantisation = Literal["F32", "F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "Q3_K_M", "Q3_K_S"]
Device = Literal["cpu", "cuda"]


class Calibration(Settings):
    """Text that activations are measured on: the dataset's training examples in the student's chat format, packed."""

    rows: int = setting("packed rows; fewer where the dataset has less text (SparseGPT's paper: 128)", ge=1)
    tokens: int = setting("tokens per row (SparseGPT's paper: 2048)", ge=8)
    batch: int = setting("rows per forward pass", ge=1)
    device: Device = runtime(
        "where activations are measured; llm-compressor takes an accelerator by itself where there is one"
    )


class Owl(Settings):
    """Outlier-weighed layer ratios (Yin et al. 2023, arXiv 2310.05175): layers with more outliers lose fewer
    weights."""

    threshold: float = setting(
        "a weight is an outlier where |weight| x input norm exceeds this many times the layer's mean (M in the paper: "
        "5)",
        gt=1,
    )
    spread: float = setting(
        "largest distance of a layer's sparsity from the target (lambda in the paper: 0.08)", gt=0, lt=0.5
    )


class Pruning(Settings):
    """Setting weights of the decoder layers to zero; embedding and head stay whole."""

    method: Literal["sparsegpt", "wanda", "magnitude"] = setting(
        "SparseGPT (arXiv 2301.00774), Wanda (arXiv 2306.11695), or the smallest of each matrix as a control"
    )
    stages: tuple[float, ...] = setting(
        "share of weights that are zero after each stage, rising; recovery follows every stage; empty for no pruning"
    )
    structure: Literal["0:0", "2:4"] = setting(
        "0:0 any weight; 2:4 two of every four in a row, which no engine here runs faster"
    )
    layer_ratios: Owl | None = setting("one ratio per layer; null for the same in all")
    max_perplexity_ratio: float = setting(
        "gate: a stage whose recovered perplexity is more than this many times the student's is undone, and no later "
        "one tried",
        gt=1,
    )
    block: int = setting(
        "SparseGPT: columns that are pruned at once, and among which the weights to drop are chosen (paper: 128)", ge=1
    )
    dampening: float = setting("SparseGPT: added to the Hessian's diagonal, as a share of its mean (paper: 0.01)", gt=0)

    @model_validator(mode="after")
    def _rising(self) -> "Pruning":
        if any(not 0 < stage < 1 for stage in self.stages) or list(self.stages) != sorted(set(self.stages)):
            raise ValueError(f"stages {list(self.stages)} must lie between 0 and 1 and rise")
        if self.structure == "2:4" and self.stages not in ((), (0.5,)):
            raise ValueError("structure 2:4 is half of the weights: stages must be [0.5]")
        if self.structure == "2:4" and (self.layer_ratios or self.method == "magnitude"):
            raise ValueError("structure 2:4 has the same ratio in all layers and needs sparsegpt or wanda")
        return self


class MaskedLora(Settings):
    """A low-rank update under the mask (PERP, arXiv 2312.15230): what is zero stays zero, and it merges without a
    trace."""

    rank: int = setting("rank of the update", ge=1)
    alpha: float = setting("the update is scaled by alpha / rank", gt=0)


class Recovery(Settings):
    """Training after pruning, towards the whole student's predictions, with the zeros held at zero."""

    lora: MaskedLora | None = setting(
        "train a masked low-rank update of the decoder's matrices; null trains every weight that is left"
    )
    examples: int = setting("training examples seen, repeated where the dataset has fewer", ge=1)
    batch: int = setting("examples per forward pass, of similar length", ge=1)
    accumulation: int = setting("forward passes per optimiser step", ge=1)
    tokens: int = setting("longest example in tokens; longer ones are left out", ge=16)
    learning_rate: float = setting("peak learning rate of AdamW", gt=0)
    warmup: float = setting(
        "share of the steps in which the rate rises linearly; afterwards it falls linearly to 0", ge=0, lt=1
    )
    clip: float = setting("largest gradient norm", gt=0)
    label_weight: float = setting(
        "weight of the answers' cross-entropy; the rest is the divergence from the whole student (forward KL, every "
        "token)",
        ge=0,
        le=1,
    )
    device: Device = runtime("where it trains")
    checkpointing: bool = runtime("recompute activations in the backward pass: a third slower, memory of one layer")


class Awq(Settings):
    """Activation-aware scales (Lin et al. 2023, arXiv 2306.00978), folded into the weights without rounding them."""

    backend: Literal["llmcompressor", "autoawq"] = setting(
        "who finds the scales; autoawq is deprecated by its authors and an extra to install"
    )
    duo_scaling: bool | Literal["both"] = setting(
        "use the weights' size beside the activations' in the scales: yes, no, or try both (llmcompressor)"
    )
    grid: int = setting("scales tried per layer (paper: 20)", ge=4)
    bits: Literal[4, 8] = setting("bits per weight that the scales are sought for, and of the vLLM export")
    group: int = setting("weights that share a rounding scale (g128)", ge=8)
    rows: int = setting("calibration rows used, at most those of the calibration", ge=1)
    w4a16: bool = setting(
        "also export compressed-tensors with rounded weights and 16-bit activations, which vLLM serves"
    )
    max_divergence: float = setting(
        "gate: largest mean KL divergence, nats per token, of the folded model from the one before", gt=0
    )


class Gguf(Settings):
    """The exports for llama.cpp."""

    reference: Literal["F16", "Q8_0"] = setting("export whose greedy tokens must agree with transformers")
    served: Quantisation = setting("mixture that is served (8B: Q5_K_M 5.33 GiB, perplexity +0.057)")
    fallback: Quantisation = setting("mixture that is served where the first loses more than the tolerance")
    sparse: tuple[Quantisation, ...] = setting(
        "mixtures that keep zeros; the one that packs smallest is exported beside the served one; empty for none"
    )
    smallest: bool = setting(
        "serve the export that packs smallest in place of the served mixture, where it loses no more than the tolerance"
    )
    importance: bool = setting(
        "weigh rounding errors by the mean square of each input on the calibration text (imatrix)"
    )

    @property
    def in_order(self) -> list[tuple[str, str]]:
        """What is tried to be served, and what instead: served, fallback, reference."""
        names = list(dict.fromkeys((self.served, self.fallback, self.reference)))
        return list(zip(names, [*names[1:], "it all the same, as nothing larger is exported,"], strict=True))


class Temperature(Settings):
    """One factor on the logits that makes a quantised model as sure as it is right (Guo et al. 2017, arXiv
    1706.04599)."""

    examples: int = setting("validation examples: one half to fit, the other to judge", ge=4)
    tokens: int = setting("longest example in tokens; longer ones are left out", ge=16)
    batch: int = runtime("examples per forward pass", ge=1)
    device: Device = runtime("where it is measured")


class Packing(Settings):
    """zstandard for transport and storage."""

    level: int = setting("zstd level", ge=1, le=22)
    dictionary_kb: int = setting(
        "size of a dictionary trained on the files, KB; kept only where everything gets smaller with it; 0 for none",
        ge=0,
    )
    byte_planes: bool = setting("try each tensor with its blocks' bytes sorted by position, and keep the smaller")
    threads: int = runtime("CPU threads", ge=1)


class Compression(Settings):
    """prune → recover → fold AWQ scales → GGUF → temperature → zstd, with a ledger row after each."""

    calibration: Calibration = setting("text for pruning, AWQ and importance")
    pruning: Pruning = setting("the mask")
    recovery: Recovery = setting("training under the mask")
    awq: Awq | None = setting("activation-aware scales; null for none")
    gguf: Gguf = setting("exports for llama.cpp")
    temperature: Temperature = setting("calibration of the exported model's confidence")
    packing: Packing = setting("the packed file")
    target_megabytes: float = setting(
        "gate: largest packed model, MB (10^6 bytes); `plan` refuses one below what the settings can reach", gt=0
    )
