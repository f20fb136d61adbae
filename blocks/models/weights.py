"""Which file of a model's folder holds which tensor: one file, or shards by their index.

Not here: the values (tasks read them file by file).
"""

from pathlib import Path

from blocks.models import json_object, safetensors_file
from blocks.models.safetensors_file import Tensor
from configs.errors import BadInput

ONE, INDEX = "model.safetensors", "model.safetensors.index.json"
LARGEST = 16 << 20  # bytes of an index


def headers(folder: Path) -> dict[str, dict[str, Tensor]]:
    """File name → the tensors that its header describes; every tensor stands in one file, the one that the index names.

    Raises:
        BadInput: no safetensors weights, an index that names files elsewhere or other tensors, or a damaged header.
    """
    index = folder / INDEX
    if not index.exists():
        if not (folder / ONE).exists():
            raise BadInput(
                f"{folder} has no safetensors weights: neither {ONE} nor {INDEX}; pickled weights are not read, "
                "convert the model first"
            )
        return {ONE: safetensors_file.header(folder / ONE)}
    named = json_object.read(index, LARGEST).get("weight_map")
    if not isinstance(named, dict) or not named or not all(isinstance(file, str) for file in named.values()):
        raise BadInput(f"{index}: weight_map is no object of tensors and their files; save the model again")
    found = {}
    for file in sorted(set(named.values())):
        if Path(file).name != file or not file.endswith(".safetensors") or "\\" in file or "\0" in file:
            raise BadInput(f"{index}: weight_map names {file[:80]!r}; weights are safetensors files in the same folder")
        if not (folder / file).is_file():
            raise BadInput(f"{index}: weight_map names {file}, which is not there; fetch the model again")
        found[file] = safetensors_file.header(folder / file)
    held = {name: file for file, tensors in found.items() for name in tensors}
    if sum(map(len, found.values())) != len(held) or held != named:
        other = min(set(held.items()) ^ set(named.items()), default=("a tensor", ""))[0]
        raise BadInput(
            f"{index}: weight_map is not what its files hold ({other[:80]!r} is elsewhere, twice or nowhere); save the "
            "model again"
        )
    return found


def files(folder: Path) -> dict[str, str]:
    """Tensor → name of the file that holds it.

    Raises:
        BadInput: as :func:`headers`.
    """
    return {name: file for file, tensors in headers(folder).items() for name in tensors}
