"""Settings of the training phase: the student, its fine-tuning with LoRA, ANIL on top of it, the merge, and the
gate."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from configs.settings import Settings, runtime, setting

Dtype = Literal["float32", "bfloat16"]
Device = Literal["cpu", "cuda"]
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
Target = Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class Vocabulary(Settings):
    """A byte-level BPE trained on the rehearsal world."""

    tokens: int = setting("vocabulary size in tokens, the special ones and the 256 bytes included", ge=262)
    examples: int = setting("worked examples per domain and difficulty that the merges are learned from", ge=1)


class Scratch(Settings):
    """A small Llama, made and pretrained here on the easy families of the rehearsal world."""

    source: Literal["scratch"]
    vocabulary: Vocabulary = setting("its tokenizer")
    hidden: int = setting("width of the residual stream; K-quants need rows that 256 divides", ge=1)
    layers: int = setting("decoder layers", ge=1)
    feed_forward: int = setting("width of the feed-forward layers; K-quants need rows that 256 divides", ge=1)
    heads: int = setting("attention heads; they divide the hidden width", ge=1)
    key_value_heads: int = setting("key/value heads (grouped-query attention); they divide the heads", ge=1)
    rope_theta: float = setting("base of the rotary embedding (Llama 3: 500000)", gt=0)
    context: int = setting("longest sequence in tokens", ge=16)
    examples: dict[str, Annotated[int, Field(ge=1)]] = setting(
        "easy examples to pretrain on, per domain; the small families run out of different ones", min_length=1
    )
    drafted: float = setting(
        "share of them whose answer is written with draft and thinking, so that fine-tuning meets a form that is known",
        ge=0,
        le=1,
    )
    initial_std: float = setting("standard deviation of the initial weights", gt=0)
    tokens: int = setting("tokens to train on, repeated examples counted again", ge=1)
    arithmetic: Dtype = setting(
        "type of the matrix products; weights stay float32, and so do the products on a processor without bfloat16"
    )
    batch: int = setting("packed rows per step", ge=1)
    length: int = setting("tokens per packed row; longer examples are left out", ge=16)
    learning_rate: float = setting("peak learning rate of AdamW", gt=0)
    warmup: float = setting(
        "share of the steps in which the rate rises linearly; afterwards it falls linearly to 0", ge=0, lt=1
    )
    weight_decay: float = setting("AdamW's decay of matrices; norms are not decayed", ge=0)
    clip: float = setting("largest gradient norm", gt=0)

    @model_validator(mode="after")
    def _shapes(self) -> "Scratch":
        if self.hidden % self.heads or self.heads % self.key_value_heads or (self.hidden // self.heads) % 2:
            raise ValueError(
                f"{self.heads} heads must divide hidden {self.hidden} into even widths and be a multiple of "
                f"{self.key_value_heads} key/value heads"
            )
        if self.length > self.context:
            raise ValueError(f"rows of {self.length} tokens are longer than the context of {self.context}")
        return self


class Hub(Settings):
    """A student from the Hugging Face hub, pinned to a commit."""

    source: Literal["hub"]
    repository: str = setting("owner/name on the hub", pattern=r"^[\w.-]+/[\w.-]+$")
    revision: str = setting("full commit hash: a branch may move", pattern=r"^[0-9a-f]{40}$")
    dtype: Dtype = setting("type the weights are stored in here")


class Local(Settings):
    """A student from a folder in Hugging Face's layout, pinned to its content."""

    source: Literal["folder"]
    path: str = setting("folder with config.json, safetensors and tokenizer.json")
    sha256: str = setting(
        "SHA-256 over the names and contents of its files; a mismatch is an error that says the folder's own",
        pattern=r"^[0-9a-f]{64}$",
    )
    dtype: Dtype = setting("type the weights are stored in here")


class GgufStudent(Settings):
    """A student out of a GGUF file of llama.cpp, pinned to its content: its tensors turned back into numbers once, its
    tokenizer and chat template from its metadata. What was rounded away before stays away."""

    source: Literal["gguf"]
    path: str = setting("the GGUF file")
    sha256: str = setting(
        "SHA-256 of the file; a mismatch is an error that says the file's own", pattern=r"^[0-9a-f]{64}$"
    )
    dtype: Dtype = setting("type the weights are stored in here")


Student = Annotated[Scratch | Hub | Local | GgufStudent, Field(discriminator="source")]


class Lora(Settings):
    """Supervised fine-tuning of a frozen model with LoRA (Hu et al. 2021), or QLoRA where the base is quantised
    (Dettmers et al. 2023)."""

    rank: int = setting("rank of the update", ge=1)
    alpha: int = setting("the update is scaled by alpha / rank", ge=1)
    dropout: float = setting("dropout on the adapter's input", ge=0, lt=1)
    targets: tuple[Target, ...] = setting("projections that get an adapter", min_length=1)
    quantise: Literal["none", "nf4"] = setting(
        "precision of the frozen base while training: as stored, or 4-bit NormalFloat with double quantisation "
        "(bitsandbytes)"
    )
    dtype: Dtype = setting("type of the base's weights and activations; adapters train in float32")
    arithmetic: Dtype = setting(
        "type of the matrix products while training (autocast); float32 on a processor without bfloat16"
    )
    device: Device = setting("where it trains")
    checkpointing: bool = runtime("recompute activations in the backward pass: a third slower, memory of one layer")
    closing: bool = setting(
        "loss also on the closing token; the documents leave it out, but a student too small to remember when to stop "
        "needs it"
    )
    epochs: float = setting("passes over the training examples", gt=0)
    batch: int = setting("examples per forward pass, of similar length", ge=1)
    accumulation: int = setting("forward passes per optimiser step", ge=1)
    max_length: int = setting(
        "longest example in tokens; longer ones are left out, since a cut answer teaches not to finish", ge=16
    )
    learning_rate: float = setting("peak learning rate of AdamW", gt=0)
    schedule: Literal["linear", "cosine", "constant"] = setting("how the rate falls after warm-up")
    warmup: float = setting("share of the steps in which the rate rises linearly", ge=0, lt=1)
    weight_decay: float = setting("AdamW's decay", ge=0)
    clip: float = setting("largest gradient norm", gt=0)
    evaluations: int = setting(
        "validations along the run at most, evenly spaced, the last at its end; a checkpoint goes with each; the best "
        "is kept",
        ge=1,
    )
    validation_examples: int = setting("validation examples that are looked at each time", ge=1)
    patience: int = setting("validations without a better loss before the run stops", ge=1)


class Anil(Settings):
    """ANIL (Raghu et al. 2020) on the LoRA of the fine-tuning: the inner loop adapts the adapters of the last layers
    only."""

    support: int = setting("examples a task is adapted on", ge=1)
    query: int = setting("examples the adapted task is judged by", ge=1)
    inner_steps: int = setting("gradient steps on the support examples", ge=1)
    inner_rate: float = setting("learning rate of the inner steps (plain gradient descent)", gt=0)
    outer_rate: float = setting("learning rate of the outer AdamW, the control's too", gt=0)
    tasks: int = setting("tasks per outer step", ge=1)
    rounds: int = setting("outer steps at most", ge=1)
    head_layers: int = setting(
        "last decoder layers whose adapters the inner loop changes; all others learn in the outer loop only", ge=1
    )
    second_order: bool = setting(
        "differentiate through the inner steps (needs attention that can be differentiated twice; slower)"
    )
    clip: float = setting("largest norm of the outer gradient", gt=0)
    held_out: float = setting(
        "share of the task types that meta-training never sees, for the comparison with the control", gt=0, lt=1
    )
    episodes: int = setting("held-out episodes in the comparison with the control", ge=2)
    evaluate_every: int = setting("outer steps between validations", ge=1)
    patience: int = setting("validations without a better loss after adaptation before it stops", ge=1)


class Merging(Settings):
    """Folding an adapter into the weights, and the proof that nothing was lost."""

    dtype: Dtype = setting("type the merged weights are stored in")
    examples: int = setting("validation examples on which merged and base+adapter are compared", ge=1)
    max_length: int = setting("longest of them in tokens; longer ones are left out", ge=16)
    device: Device = setting("where both are run")
    max_difference: float = setting("largest difference of a logit, merged against base+adapter", gt=0)
    max_divergence: float = setting(
        "largest mean KL divergence in nats per answer token, merged against base+adapter", gt=0
    )


class Training(Settings):
    """student → fine-tuning → ANIL beside its control → merge."""

    student: Student = setting("where the model being built comes from")
    fine_tuning: Lora = setting("supervised fine-tuning on the dataset")
    meta: Anil = setting("ANIL, and the control of equal budget")
    merging: Merging = setting("the merge of the adapter that was kept")
    minimum_gain: float = setting(
        "gate: the low end of the 95% interval of exact match, fine-tuned minus pretrained, lies above this",
        ge=-1,
        le=1,
    )
    allowed_loss: float = setting(
        "exact match a later adapter may lose (low end of the paired 95% interval) and still replace the fine-tuned "
        "one",
        ge=0,
        le=1,
    )
