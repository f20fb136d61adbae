"""The folded model rounded to groups of few-bit weights in compressed-tensors' format, which vLLM serves with 16-bit activations.

Not here: the scales (awq.py), which must be in the weights already; serving.
"""

import shutil

from blocks import store
from blocks.records import Artifact
from configs.phases.compression import Awq
from tasks.compression.awq import scheme
from tasks.compression.checkpoint import llama
from tasks.compression.oneshot import oneshot, quiet
from tasks.step import step

TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json")


@step(version=1)
def w4a16(folded: Artifact, settings: Awq) -> Artifact:
    """``folded`` in compressed-tensors (pack-quantized), ``settings.bits`` bits per weight; kind "w4a16"."""
    folder = llama(folded)
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
