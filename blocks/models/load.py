"""A model and an adapter out of their folders, as transformers and PEFT have them: the one loader of all phases.
Everything is read from local files, safetensors only.

Not here: the tokenizer (encoding.py), what answers with them (blocks/engines), a folder's tensors one by one
(checkpoint.py).
"""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from blocks.estimates.hardware import refuse_missing
from blocks.models import adapter_folder
from configs.errors import BadInput
from configs.phases.training import Device

if TYPE_CHECKING:
    from peft import PeftModel


def load_model(
    folder: Path,
    *,
    device: Device,
    dtype: Literal["float32", "bfloat16", "float16", "auto"] = "auto",
    quantise: str = "none",
    frozen: bool = True,
) -> Any:
    """The model in ``folder`` on ``device``; ``dtype`` "auto" is the type it is stored in. ``quantise="nf4"`` rounds
    its projections to 4 bits on the way. ``frozen``: no weight of it is trained.

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
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype="auto" if dtype == "auto" else getattr(torch, dtype),
        attn_implementation="sdpa",
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        **extra,
    )
    return (model.requires_grad_(False) if frozen else model).eval()


def load_adapter(model: Any, adapter: Path, *, trainable: bool, name: str = "default") -> "PeftModel":
    """``model`` with the adapter in the folder ``adapter`` on it, in float32, beside those that it has, as ``name``.

    Raises:
        BadInput: it is no adapter, or a damaged one.
    """
    from peft import PeftModel

    adapter_folder.read(adapter)
    if isinstance(model, PeftModel):
        model.load_adapter(str(adapter), adapter_name=name, is_trainable=trainable)
        return model
    return PeftModel.from_pretrained(
        model, adapter, adapter_name=name, is_trainable=trainable, autocast_adapter_dtype=True
    )


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
