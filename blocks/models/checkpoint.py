"""A Hugging Face model folder read tensor by tensor: names, shapes, values, one file or many shards.

Never loads the whole model. Not here: building a model from it (transformers does), and any file format but
safetensors.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from blocks import store
from blocks.models import model_config, safetensors_file, weights
from blocks.records import Artifact
from blocks.storage import folders
from configs.errors import BadInput


class Checkpoint:
    """The weights and configuration of a model folder, opened lazily. Use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = model_config.read(folder / "config.json")
        self._files = weights.files(folder)
        self._open: dict[str, Any] = {}

    def __enter__(self) -> "Checkpoint":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.clear()

    def names(self) -> list[str]:
        """Tensor names, sorted."""
        return sorted(self._files)

    def shape(self, name: str) -> tuple[int, ...]:
        """The tensor's shape, without reading it."""
        return tuple(self._handle(self._files[name]).get_slice(name).get_shape())

    def read(self, name: str) -> Any:
        """The tensor (torch, as stored), read from disk."""
        return self._handle(self._files[name]).get_tensor(name)

    def parameters(self) -> int:
        """Number of weights, a tied head counted once."""
        total = 0
        for name in self.names():
            count = 1
            for size in self.shape(name):
                count *= size
            total += 0 if name == "lm_head.weight" and self.tied else count
        return total

    @property
    def tied(self) -> bool:
        """Whether the output head is the embedding."""
        return model_config.tied(self.config)

    def _handle(self, file: str) -> Any:
        if file not in self._open:
            self._open[file] = safetensors_file.opened(self.folder / file)
        return self._open[file]


def model_folder(model: Artifact) -> Path:
    """The local folder of a model artifact.

    Raises:
        BadInput: the artifact is not a model, or not of an architecture that can be exported.
    """
    if model.kind != "model":
        raise BadInput(f"{model.short} is a {model.kind}; give an artifact of kind model (a Hugging Face folder)")
    folder = store.open(model)
    model_config.read(folder / "config.json")
    return folder


def layers(names: list[str]) -> Iterator[tuple[int, str]]:
    """Pairs (layer index, tensor name) of the tensors inside decoder layers, in order of the layers."""
    inside = [(int(name.split(".")[2]), name) for name in names if name.startswith("model.layers.")]
    yield from sorted(inside)


def rewrite(source: Path, target: Path, change: Callable[[str, Any], Any]) -> int:
    """Write ``source``, one file of weights, to ``target`` with every tensor passed through ``change`` (name, tensor
    on the CPU); how many weights there are in it."""
    from safetensors.torch import save_file

    with safetensors_file.opened(source) as stream:
        tensors = {name: change(name, stream.get_tensor(name)).contiguous() for name in stream.keys()}  # noqa: SIM118
    save_file(tensors, target, metadata={"format": "pt"})
    return sum(tensor.numel() for tensor in tensors.values())


def write_changed(source: Path, target: Path, changed: dict[str, Any]) -> None:
    """Copy a model folder with the tensors in ``changed`` (Hugging Face name → torch tensor of the same shape)
    replaced, shard by shard, in the type they were stored in.

    Raises:
        BadInput: a name that the folder does not have.
    """
    left = set(changed)

    def replaced(name: str, tensor: Any) -> Any:
        if name not in left:
            return tensor
        left.remove(name)
        if changed[name].shape != tensor.shape:
            raise BadInput(
                f"{source}: {name} has shape {tuple(tensor.shape)}, the new values {tuple(changed[name].shape)}"
            )
        return changed[name].detach().to("cpu", tensor.dtype)

    for path in sorted(source.iterdir()):
        if path.name == folders.MANIFEST or path.is_dir():
            continue
        if path.suffix != ".safetensors":
            shutil.copyfile(path, target / path.name)
            continue
        rewrite(path, target / path.name, replaced)
    if left:
        raise BadInput(f"{source} has no tensor {min(left)!r}")


def prunable(names: list[str]) -> list[str]:
    """The names of the decoder layers' matrices: what pruning may change and scales are folded into."""
    return [name for _, name in layers(names) if name.endswith("_proj.weight")]
