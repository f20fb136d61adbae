"""The folded model rounded to groups of few-bit weights in compressed-tensors' format, which vLLM serves with 16-bit
activations.

``w4a16`` writes it; ``unpacked`` gives the same rounded weights as a plain model, so that they are measured like every
other. Not here: the scales (awq.py), which must be in the weights already; serving.
"""

import shutil

from blocks import store
from blocks.models.checkpoint import model_folder, prunable, write_changed
from blocks.records import Artifact
from configs.errors import BadInput
from configs.phases.compression import Awq
from tasks.compression.weights.awq import scheme
from tasks.compression.weights.oneshot import oneshot, quiet
from tasks.step import step

TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json")


@step(version=1)
def w4a16(folded: Artifact, settings: Awq) -> Artifact:
    """``folded`` in compressed-tensors (pack-quantized), ``settings.bits`` bits per weight; kind "w4a16"."""
    folder = model_folder(folded)
    with store.create("w4a16", parents=[folded], settings={"bits": settings.bits, "group": settings.group}) as made:
        rounded = oneshot(folder, [scheme(settings)])
        with quiet():
            rounded.save_pretrained(made.path, save_compressed=True)
        for name in TOKENIZER:
            if (folder / name).exists():
                shutil.copyfile(folder / name, made.path / name)
        (made.path / "recipe.yaml").unlink(missing_ok=True)
        made.metrics["megabytes"] = sum(path.stat().st_size for path in made.path.glob("*.safetensors")) / 1e6
    return made.artifact


@step(version=1)
def unpacked(export: Artifact, folded: Artifact) -> Artifact:
    """The weights that ``export`` (kind "w4a16", made of ``folded``) computes with, as a plain model; kind "model".

    Raises:
        BadInput: not such an export.
    """
    from transformers import AutoModelForCausalLM
    from transformers.utils.quantization_config import CompressedTensorsConfig

    if export.kind != "w4a16":
        raise BadInput(f"{export.short} is a {export.kind}; give an artifact of kind w4a16")
    with store.create("model", parents=[export, folded]) as made, quiet():
        rounded = AutoModelForCausalLM.from_pretrained(
            store.open(export),
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            quantization_config=CompressedTensorsConfig(run_compressed=False),
        )
        state = rounded.state_dict()
        write_changed(model_folder(folded), made.path, {name: state[name] for name in prunable(list(state))})
    return made.artifact
