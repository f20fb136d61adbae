"""AWQ scales found on calibration text and folded into the weights, which are not rounded (Lin et al. 2023, arXiv
2306.00978).

Inputs that matter most are scaled up in the matrix and down in what feeds it, so the function stays and later rounding
hurts less. Every export then rounds once: GGUF (gguf_write.py) or compressed-tensors (w4a16.py). Zeros of a pruned
model stay zero. Values that feed grouped queries cannot be scaled against the output projection; those pairs are left
out.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blocks import store
from blocks.estimates.hardware import refuse_missing
from blocks.models import model_config
from blocks.models.checkpoint import Checkpoint, model_folder, write_changed
from blocks.models.encoding import load_tokenizer
from blocks.models.load import load_model
from blocks.records import Artifact
from configs.errors import BadInput, GateFailed
from configs.phases.compression import Awq, Calibration
from tasks.compression.calibration import packed
from tasks.compression.weights.oneshot import oneshot, quiet
from tasks.step import step

if TYPE_CHECKING:
    import torch


@step(version=2)
def fold(model: Artifact, dataset: Artifact, settings: Awq, calibration: Calibration, seed: int) -> Artifact:
    """``model`` with AWQ's scales folded in; kind "model", same function, same types.

    Metrics: divergence (mean KL in nats per token of the folded model from ``model``, on calibration text),
    matrices_scaled.

    Raises:
        BadInput: not such a model, a group that does not divide its rows, or the backend is not installed.
        GateFailed: the folded model is further from ``model`` than ``settings.max_divergence``.
    """
    import torch

    refuse_missing(calibration.device)
    folder = model_folder(model)
    model_config.refuse_group(model_config.read(folder / "config.json"), settings.group)
    rows = packed(dataset, folder, calibration, seed)[: settings.rows]
    described = {**settings.identity(), "calibration": calibration.identity(), "seed": seed}
    with store.create("model", parents=[model, dataset], settings=described) as made:
        state = {"llmcompressor": _by_llmcompressor, "autoawq": _by_autoawq}[settings.backend](
            folder, rows, settings, calibration.batch
        )
        with Checkpoint(folder) as checkpoint:
            changed = {name: state[name] for name in checkpoint.names() if name in state}
            scaled = sum(
                not torch.equal(changed[name].float(), checkpoint.read(name).float())
                for name in changed
                if name.endswith("_proj.weight")
            )
        write_changed(folder, made.path, changed)
        apart = _divergence(folder, made.path, rows, calibration)
        if not apart <= settings.max_divergence:
            raise GateFailed(
                f"fold: the folded model diverges by {apart:.2g} nats per token, must be <= "
                f"{settings.max_divergence:.2g}; keep the model unfolded (awq: null)"
            )
        made.metrics |= {"divergence": apart, "matrices_scaled": scaled}
    return made.artifact


def scheme(settings: Awq) -> Any:
    """llm-compressor's modifier that rounds every decoder matrix to ``settings.bits`` in groups, symmetric."""
    with quiet():
        from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
        from llmcompressor.modifiers.quantization import QuantizationModifier

    weights = QuantizationArgs(
        num_bits=settings.bits, type="int", symmetric=True, strategy="group", group_size=settings.group
    )
    return QuantizationModifier(
        config_groups={"weights": QuantizationScheme(targets=["Linear"], weights=weights)}, ignore=["re:.*lm_head"]
    )


def _by_llmcompressor(folder: Path, rows: "torch.Tensor", settings: Awq, batch: int) -> "dict[str, torch.Tensor]":
    with quiet():
        from llmcompressor.modifiers.transform.awq import AWQModifier

    # The scheme tells AWQ what it scales for; it rounds only when its model is saved compressed, which is not done
    # here.
    scaled = oneshot(
        folder, [AWQModifier(duo_scaling=settings.duo_scaling, n_grid=settings.grid), scheme(settings)], rows, batch
    )
    return dict(scaled.state_dict())


def _by_autoawq(folder: Path, rows: "torch.Tensor", settings: Awq, batch: int) -> "dict[str, torch.Tensor]":
    if settings.duo_scaling == "both" or settings.bits != 4:
        raise BadInput(
            "autoawq rounds to 4 bits and tries one kind of scaling: set awq.bits to 4 and awq.duo_scaling to true or "
            "false"
        )
    try:
        with quiet():
            from awq import AutoAWQForCausalLM
    except ImportError as error:
        raise BadInput(
            f"awq.backend autoawq needs the package autoawq ({error}); pip install 'cogumi[gpu]', or set awq.backend "
            "to llmcompressor"
        ) from None
    with quiet(), _copying():
        model = AutoAWQForCausalLM.from_pretrained(
            str(folder), torch_dtype="auto", device_map=None, safetensors=True, trust_remote_code=False
        )
        tokenizer = load_tokenizer(folder)
        config = {"zero_point": True, "q_group_size": settings.group, "w_bit": settings.bits, "version": "GEMM"}
        common: dict[str, Any] = {
            "apply_clip": False,
            "export_compatible": True,
            "duo_scaling": settings.duo_scaling,
            "n_parallel_calib_samples": batch,
        }
        model.quantize(
            tokenizer,
            config,
            calib_data=rows.tolist(),
            max_calib_samples=len(rows),
            max_calib_seq_len=rows.shape[1],
            **common,
        )
    return dict(model.model.state_dict())


@contextmanager
def _copying() -> Iterator[None]:
    """AutoAWQ keeps the weights of a trial by ``.cpu()``, which on a machine without an accelerator is no copy: its
    trials would pile up and the folded model would be another one. Inside the block ``.cpu()`` always copies."""
    import torch

    original = torch.Tensor.cpu

    def copied(self: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        return self.clone() if self.device.type == "cpu" else original(self, *args, **kwargs)

    setattr(torch.Tensor, "cpu", copied)  # noqa: B010
    try:
        yield
    finally:
        setattr(torch.Tensor, "cpu", original)  # noqa: B010


def _divergence(before: Path, after: Path, rows: "torch.Tensor", calibration: Calibration) -> float:
    """Mean KL divergence over a few calibration rows, nats per token."""
    import torch
    from torch.nn.functional import kl_div

    first, second = (load_model(one, device=calibration.device) for one in (before, after))
    total = 0.0
    judged = rows[: 2 * calibration.batch]
    with torch.no_grad():
        for ids in judged.split(calibration.batch):
            ids = ids.to(first.device)
            aim, found = (one(input_ids=ids).logits.float().log_softmax(-1) for one in (first, second))
            total += float(kl_div(found, aim, reduction="none", log_target=True).sum())
    return total / judged.numel()
