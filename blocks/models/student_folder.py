"""A folder that shall become the student, looked over before any library loads from it: one that every later phase
can work with.

Not here: its configuration's rules (model_config.py), its vocabulary's (vocabulary.py), copying it
(tasks/training/students/student.py).
"""

from pathlib import Path
from typing import Any, NamedTuple

from blocks.models import json_object, model_config, safetensors_file, template, vocabulary, weights
from blocks.models.safetensors_file import Tensor
from blocks.models.template import Template
from configs.errors import BadInput

DTYPES = ("F64", "F32", "F16", "BF16")
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
_NOT_STORED = "rotary_emb.inv_freq"  # older checkpoints carry it; it follows from the configuration


class StudentFolder(NamedTuple):
    """``config``: config.json. ``weights``: names of the files with weights, in order."""

    config: dict[str, Any]
    weights: list[str]


def look_over(folder: Path, files: list[Path]) -> StudentFolder:
    """The student in ``folder``, of which ``files`` would be read.

    Raises:
        BadInput: a file lies elsewhere or is unreadable, or later phases could not work with the model; one line with
            file, field and value.
    """
    inside(folder, files)
    config = model_config.read(folder / "config.json")
    for path in files:
        if path.suffix == ".json" and path.name not in ("tokenizer.json", weights.INDEX):
            json_object.read(path)
    _vocabulary(folder, config["vocab_size"])
    found = weights.headers(folder)
    _refuse_tensors(folder, config, {name: tensor for held in found.values() for name, tensor in held.items()})
    return StudentFolder(config, sorted(found))


def inside(folder: Path, files: list[Path]) -> None:
    """Refuse links that lead out of the folder. A snapshot in the hub's cache is made of links to the blobs of its
    repository.

    Raises:
        BadInput: a file of the folder lies elsewhere.
    """
    place = folder.resolve()
    allowed = [place, *([place.parent.parent / "blobs"] if place.parent.name == "snapshots" else [])]
    for path in files:
        try:
            target = path.resolve()
        except (OSError, RuntimeError) as error:
            raise BadInput(f"{path}: cannot be followed ({type(error).__name__}); put the file itself there") from None
        if not any(target.is_relative_to(one) for one in allowed):
            raise BadInput(f"{path} is a link that leads out of the folder; put the file itself there")


def _vocabulary(folder: Path, size: int) -> None:
    found = vocabulary.read(folder, size)
    for name, token in found.special.items():
        if token not in found.ids:
            raise BadInput(
                f"{folder / 'tokenizer_config.json'}: {name} is {token[:60]!r}, which is no token of tokenizer.json; "
                "name one that is"
            )
    if not template.of_llama(found.ids):
        Template.of(folder)
        return
    ordinary = [token for token in template.SPECIAL_TOKENS if found.kinds[found.ids[token]] != "control"]
    if ordinary:
        raise BadInput(
            f"{folder / 'tokenizer.json'}: {', '.join(ordinary)} are not added tokens with special true; a text could "
            "then open and close turns"
        )


def _refuse_tensors(folder: Path, config: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Refuse weights that are not those of the configuration."""
    wanted = model_config.tensor_shapes(config)
    if model_config.tied(config) and HEAD in tensors:
        wanted[HEAD] = wanted[EMBEDDING]
    missing, extra = (
        sorted(wanted.keys() - tensors.keys()),
        sorted(name for name in tensors.keys() - wanted.keys() if not name.endswith(_NOT_STORED)),
    )
    if missing:
        why = (
            "tie_word_embeddings is false in config.json, so the head has to be there"
            if missing == [HEAD]
            else "config.json says that there is one"
        )
        raise BadInput(f"{folder}: the weights lack {missing[0]} ({len(missing)} in all); {why}")
    if extra:
        raise BadInput(
            f"{folder}: the weights hold {extra[0][:80]!r} ({len(extra)} in all), which a model of this config.json "
            "has not; correct config.json or the weights"
        )
    for name, shape in wanted.items():
        if tensors[name].shape != shape:
            raise BadInput(
                f"{folder}: {name} has shape {list(tensors[name].shape)}; by config.json it is {list(shape)}"
            )
        if tensors[name].dtype not in DTYPES:
            raise BadInput(
                f"{folder}: {name} is stored in {tensors[name].dtype}; weights have to be whole ({', '.join(DTYPES)})"
            )
    if model_config.tied(config) and HEAD in tensors:
        _refuse_other_head(folder)


def _refuse_other_head(folder: Path) -> None:
    """A head beside tied embeddings may only repeat them: what reads the file would otherwise differ about which one
    counts."""
    import torch

    held = weights.files(folder)
    head, embedding = (safetensors_file.opened(folder / held[name]).get_tensor(name) for name in (HEAD, EMBEDDING))
    if not torch.equal(head, embedding):
        raise BadInput(
            f"{folder}: tie_word_embeddings is true in config.json, but {HEAD} is not the embedding; set it to false, "
            "or leave the head out"
        )
