"""Models and adapters out of artifacts, and datasets' rows. Everything is read from local files,
safetensors only.

Not here: generation (tasks/evaluation).
"""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blocks import store
from blocks.estimates.hardware import refuse_missing
from blocks.models import adapter_folder
from blocks.records import Artifact, Example
from configs.errors import BadInput
from configs.phases.training import Device, Dtype

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import LlamaForCausalLM


def load_model(folder: Path, *, device: Device, dtype: Dtype, quantise: str = "none") -> "LlamaForCausalLM":
    """The frozen model in ``folder`` on ``device``; ``quantise="nf4"`` rounds its projections to 4 bits on the way.

    Raises:
        BadInput: the device is not there, or bitsandbytes is missing.
    """
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig
    from transformers.utils import logging

    require(device, quantise)
    logging.disable_progress_bar()
    extra: dict[str, Any] = {}
    if quantise == "nf4":
        extra["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=getattr(torch, dtype),
        )
    if device == "cuda" or extra:
        extra["device_map"] = {"": device}
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=getattr(torch, dtype),
        attn_implementation="sdpa",
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        **extra,
    )
    return model.requires_grad_(False).eval()


def load_adapter(model: "LlamaForCausalLM", adapter: Path, *, trainable: bool) -> "PeftModel":
    """``model`` with the adapter in the folder ``adapter`` on it, in float32.

    Raises:
        BadInput: it is no adapter, or a damaged one.
    """
    from peft import PeftModel

    adapter_folder.read(adapter)
    return PeftModel.from_pretrained(model, adapter, is_trainable=trainable, autocast_adapter_dtype=True)


def require(device: Device, quantise: str) -> None:
    """Refuse early what this machine cannot do.

    Raises:
        BadInput: as in :func:`load_model`.
    """
    refuse_missing(device)
    if quantise == "nf4" and importlib.util.find_spec("bitsandbytes") is None:
        raise BadInput(
            "quantise=nf4 needs the bitsandbytes package, which is not installed; pip install 'cogumi[gpu]', or set "
            "quantise to none"
        )


def rows(dataset: Artifact, split: str) -> list[Example]:
    """The examples of ``split`` ("train" or "validation") of a dataset artifact, in order.

    Raises:
        BadInput: the split is missing or empty, or a line is no example.
    """
    path = store.open(dataset) / f"{split}.jsonl"
    if not path.is_file():
        raise BadInput(f"{dataset.short} has no {path.name}; the training phase needs a dataset artifact")
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if line:
            try:
                found.append(Example.model_validate_json(line))
            except ValueError as error:
                raise BadInput(
                    f"{path}:{number}: not an example ({str(error).splitlines()[0]}); build the dataset again"
                ) from None
    if not found:
        raise BadInput(f"{path} has no examples; build the dataset with more questions")
    return found
