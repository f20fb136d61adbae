"""The sizes of a model from its config.json: weights in decoder, embedding and head, and in a LoRA on it.

Not here: what a size costs in time and memory (blocks/estimates/hardware.py), and how small it can be made
(tasks/compression/floor.py).
"""

import os
from pathlib import Path
from typing import Any

from blocks.models import gguf_config, gguf_file, model_config
from blocks.records import Record
from configs.errors import BadInput
from configs.phases.training import GgufStudent, Local, Scratch, Student

# config.json of public students, so that a plan needs no download.
CONFIGS: dict[str, dict[str, Any]] = {
    f"meta-llama/Llama-{name}-Instruct": {"architectures": ["LlamaForCausalLM"], "vocab_size": 128256, **sizes}
    for name, sizes in {
        "3.1-8B": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
                   "num_attention_heads": 32, "num_key_value_heads": 8},
        "3.2-3B": {"hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 28,
                   "num_attention_heads": 24, "num_key_value_heads": 8, "tie_word_embeddings": True},
        "3.2-1B": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
                   "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64, "tie_word_embeddings": True},
    }.items()
}  # fmt: skip


class Architecture(Record):
    """A model's widths. ``queries`` and ``keys``: total width of the query and of the key (and value) projection.
    ``vectors``: weights of all norms and biases."""

    hidden: int
    layers: int
    feed_forward: int
    queries: int
    keys: int
    vocabulary: int
    tied: bool
    vectors: int

    @property
    def projections(self) -> dict[str, tuple[int, int]]:
        """(in, out) of every matrix of a decoder layer."""
        hidden, wide = self.hidden, self.feed_forward
        return {
            "q_proj": (hidden, self.queries),
            "k_proj": (hidden, self.keys),
            "v_proj": (hidden, self.keys),
            "o_proj": (self.queries, hidden),
            "gate_proj": (hidden, wide),
            "up_proj": (hidden, wide),
            "down_proj": (wide, hidden),
        }

    @property
    def decoder(self) -> int:
        """Weights in the matrices of the decoder layers."""
        return self.layers * sum(width * height for width, height in self.projections.values())

    @property
    def embedding(self) -> int:
        """Weights of the token embedding."""
        return self.vocabulary * self.hidden

    @property
    def head(self) -> int:
        """Weights of a head of its own; 0 where it is the embedding."""
        return 0 if self.tied else self.embedding

    @property
    def parameters(self) -> int:
        """All weights."""
        return self.decoder + self.embedding + self.head + self.vectors

    def adapter(self, rank: int, targets: tuple[str, ...]) -> int:
        """Weights of a LoRA of ``rank`` on ``targets`` in every layer."""
        return self.layers * rank * sum(sum(self.projections[target]) for target in targets)


def architecture(config: dict[str, Any]) -> Architecture:
    """The sizes that a config.json describes, which blocks/models/model_config.py let pass."""
    size = model_config.head_size(config)
    return Architecture(
        hidden=config["hidden_size"],
        layers=config["num_hidden_layers"],
        feed_forward=config["intermediate_size"],
        queries=size * config["num_attention_heads"],
        keys=size * model_config.key_value_heads(config),
        vocabulary=config["vocab_size"],
        tied=model_config.tied(config),
        vectors=sum(shape[0] for shape in model_config.tensor_shapes(config).values() if len(shape) == 1),
    )


def of_student(student: Student) -> Architecture:
    """The sizes of a profile's student, without loading or downloading it.

    Raises:
        BadInput: its config.json is neither known, nor in the folder, nor among what was downloaded before.
    """
    if isinstance(student, Scratch):
        return Architecture(
            hidden=student.hidden,
            layers=student.layers,
            feed_forward=student.feed_forward,
            queries=student.hidden,
            keys=student.hidden // student.heads * student.key_value_heads,
            vocabulary=student.vocabulary.tokens,
            tied=True,
            vectors=(2 * student.layers + 1) * student.hidden,
        )
    if isinstance(student, GgufStudent):
        path = Path(os.path.expanduser(student.path))
        try:
            return architecture(gguf_config.config(path, gguf_file.read(path)))
        except BadInput as error:
            raise BadInput(f"training.student: {error}") from None
    if isinstance(student, Local):
        return architecture(_read(Path(os.path.expanduser(student.path)) / "config.json"))
    known = {name.split("/")[1]: config for name, config in CONFIGS.items()}
    if (name := student.repository.split("/")[1]) in known:  # mirrors carry the same name
        return architecture(known[name])
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(student.repository, "config.json", revision=student.revision)
    if not isinstance(found, str):
        raise BadInput(
            f"training.student: the sizes of {student.repository} are not known here; run `hf download "
            f"{student.repository} config.json --revision {student.revision}` first, "
            f"or plan with {', '.join(CONFIGS)}"
        )
    return architecture(_read(Path(found)))


def _read(path: Path) -> dict[str, Any]:
    try:
        return model_config.read(path)
    except BadInput as error:
        raise BadInput(f"training.student: {error}") from None
