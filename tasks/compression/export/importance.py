"""llama.cpp's importance matrix: how much an error in each weight column matters, by the mean square of its input.

Not here: the rounding that uses it (quantiser.py).
"""

from blocks import store
from blocks.models.checkpoint import model_folder
from blocks.models.load import load_model
from blocks.records import Artifact
from configs.phases.compression import Calibration
from tasks.compression.calibration import packed
from tasks.compression.pruning.activations import input_squares
from tasks.step import step


@step(version=2)
def importance(model: Artifact, dataset: Artifact, calibration: Calibration, seed: int) -> Artifact:
    """Mean square of each input of ``model``'s decoder matrices on calibration text; kind "importance".

    importance.safetensors: Hugging Face weight name → (inputs,) float32.
    """
    from safetensors.torch import save_file

    folder = model_folder(model)
    with store.create(
        "importance", parents=[model, dataset], settings={**calibration.identity(), "seed": seed}
    ) as made:
        rows = packed(dataset, folder, calibration, seed)
        save_file(
            input_squares(load_model(folder, device=calibration.device), rows, calibration.batch),
            made.path / "importance.safetensors",
        )
        made.metrics["tokens"] = rows.numel()
    return made.artifact
