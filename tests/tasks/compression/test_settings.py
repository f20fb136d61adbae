"""Every field of the compression settings that a step reads changes what the step makes; on a model so small that a
step takes a blink."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from blocks import store
from blocks.models import packing_list
from blocks.models.load import load_model
from blocks.records import Artifact
from configs.errors import BadInput, GateFailed
from configs.phases.compression import Calibration, Compression
from tasks.compression.calibrate import calibrate
from tasks.compression.calibration import packed
from tasks.compression.export.gguf_write import to_gguf
from tasks.compression.export.importance import importance
from tasks.compression.packing import zstd
from tasks.compression.packing.zstd import pack
from tasks.compression.pruning.prune import prune, zero_share
from tasks.compression.pruning.recover import recover
from tasks.compression.weights.awq import fold
from tasks.compression.weights.w4a16 import w4a16
from tests import tiny_llama
from tests.tasks.compression.conftest import compression, make_artifact, make_dataset

Shapes = list[tuple[int, ...]]


def small(**changes: dict[str, Any]) -> Compression:
    """The folder's settings at this file's size."""
    sections: dict[str, dict[str, Any]] = {
        "calibration": {"rows": 8, "tokens": 64, "batch": 4},
        "recovery": {"examples": 16, "batch": 4, "tokens": 200},
        "awq": {"group": 32, "grid": 4},
        "temperature": {"examples": 16, "tokens": 200, "batch": 4},
        "packing": {"dictionary_kb": 0},
    }
    return compression(**{name: {**sections.get(name, {}), **changes.get(name, {})} for name in {*sections, *changes}})


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    """A one-layer student, the same with half of its weights zero, a dataset, and an export."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COGUMI_HOME", str(tmp_path_factory.mktemp("home")))
        model = make_artifact(hidden_size=64, intermediate_size=128, num_hidden_layers=2)
        dataset = make_dataset(64, 24)
        settings = small(pruning={"method": "magnitude"})
        pruned = prune.fn(
            model=model,
            dataset=dataset,
            sparsity=0.5,
            settings=settings.pruning,
            calibration=settings.calibration,
            seed=0,
        )
        return {"model": model, "dataset": dataset, "pruned": pruned, "gguf": to_gguf.fn(model, "Q8_0")}


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Shapes:
    """(rows, tokens) of what every forward pass of a Llama was given."""
    from transformers import LlamaModel

    seen: Shapes = []
    forward = LlamaModel.forward

    def counted(self: Any, *args: Any, **given: Any) -> Any:
        seen.append(tuple(given["input_ids"].shape))
        return forward(self, *args, **given)

    monkeypatch.setattr(LlamaModel, "forward", counted)
    return seen


@pytest.fixture(scope="module")
def plain() -> dict[str, str]:
    """What the settings make as they are, by method: made once."""
    return {}


def file(made: Artifact, name: str = "model.safetensors") -> str:
    """The content's digest, which the settings' own is no part of."""
    return store.manifest(made).files[name][0]


@pytest.mark.parametrize(
    ("fields", "shape"), [({"rows": 8}, (8, 64)), ({"rows": 3}, (3, 64)), ({"tokens": 32}, (8, 32))]
)
def test_calibration_rows_and_tokens_are_the_shape_of_the_text(
    parts: dict[str, Artifact], fields: dict[str, int], shape: tuple[int, int]
) -> None:
    assert (
        tuple(packed(parts["dataset"], store.open(parts["model"]), small(calibration=fields).calibration, 0).shape)
        == shape
    )


@pytest.mark.parametrize(("batch", "shapes"), [(4, [(4, 64)] * 2), (3, [(3, 64), (3, 64), (2, 64)])])
def test_the_calibration_batch_is_what_a_forward_pass_gets(
    parts: dict[str, Artifact], passes: Shapes, batch: int, shapes: Shapes
) -> None:
    importance.fn(parts["model"], parts["dataset"], small(calibration={"batch": batch}).calibration, 0)
    assert passes == shapes


def test_llm_compressor_gets_the_calibration_batch_too(
    parts: dict[str, Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    import llmcompressor

    seen: list[list[int]] = []
    run = llmcompressor.oneshot

    def watched(**given: Any) -> Any:
        seen.append([len(one["input_ids"]) for one in given["dataset"]])
        return run(**given)

    monkeypatch.setattr(llmcompressor, "oneshot", watched)
    for batch in (4, 8):
        settings = small(calibration={"batch": batch})
        prune.fn(
            model=parts["model"],
            dataset=parts["dataset"],
            sparsity=0.5,
            settings=settings.pruning,
            calibration=settings.calibration,
            seed=0,
        )
    assert seen == [[4, 4], [8]]


Device = Callable[[dict[str, Artifact], Any], Artifact]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the accelerator that is asked for")
@pytest.mark.parametrize(
    ("section", "run"),
    [
        ("calibration", lambda p, s: importance.fn(p["model"], p["dataset"], s.calibration, 0)),
        (
            "calibration",
            lambda p, s: prune.fn(
                model=p["model"],
                dataset=p["dataset"],
                sparsity=0.5,
                settings=s.pruning,
                calibration=s.calibration,
                seed=0,
            ),
        ),
        ("calibration", lambda p, s: fold.fn(p["model"], p["dataset"], s.awq, s.calibration, 0)),
        ("recovery", lambda p, s: recover.fn(p["pruned"], p["model"], p["dataset"], s.recovery, 0)),
        ("temperature", lambda p, s: calibrate.fn(p["gguf"], p["model"], p["dataset"], s.temperature, 0)),
    ],
    ids=["importance", "prune", "fold", "recover", "temperature"],
)
def test_a_device_that_is_not_there_is_refused(parts: dict[str, Artifact], section: str, run: Device) -> None:
    run(parts, small(**{section: {"device": "cpu"}}))
    with pytest.raises(BadInput, match='device "cuda" was asked for'):
        run(parts, small(**{section: {"device": "cuda"}}))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_device_that_is_there_is_used(parts: dict[str, Artifact]) -> None:
    assert load_model(store.open(parts["model"]), device="cuda").device.type == "cuda"


@pytest.mark.parametrize(
    "fields",
    [
        {"method": "wanda"},
        {"method": "magnitude"},
        {"block": 8},
        {"dampening": 1.0},
        {"structure": "2:4"},
        {"layer_ratios": {"threshold": 3.0, "spread": 0.08}},
    ],
)
def test_every_field_of_the_pruning_changes_which_weights_stay(
    parts: dict[str, Artifact], plain: dict[str, str], fields: dict[str, Any]
) -> None:
    def pruned(**changes: Any) -> str:
        settings = small(pruning={"block": 32} | changes)
        return file(
            prune.fn(
                model=parts["model"],
                dataset=parts["dataset"],
                sparsity=0.5,
                settings=settings.pruning,
                calibration=settings.calibration,
                seed=0,
            )
        )

    assert pruned(**fields) != (plain.get("pruning") or plain.setdefault("pruning", pruned()))


def test_threshold_and_spread_change_the_layers_shares(parts: dict[str, Artifact]) -> None:
    def pruned(threshold: float, spread: float) -> Artifact:
        settings = small(pruning={"method": "magnitude", "layer_ratios": {"threshold": threshold, "spread": spread}})
        made = prune.fn(
            model=parts["model"],
            dataset=parts["dataset"],
            sparsity=0.5,
            settings=settings.pruning,
            calibration=settings.calibration,
            seed=0,
        )
        assert zero_share(store.open(made)) == pytest.approx(0.5, abs=0.001)
        return made

    made = [
        pruned(3.0, 0.08),
        pruned(3.0, 0.2),
        pruned(1000.0, 0.08),
    ]  # nothing is a thousand times the mean: equal shares
    assert len({file(one) for one in made}) == 3


@pytest.mark.parametrize(
    "fields",
    [
        {"lora": {"rank": 4, "alpha": 8.0}}, {"examples": 24}, {"batch": 2}, {"accumulation": 2}, {"tokens": 60},
        {"learning_rate": 1e-4}, {"warmup": 0.9}, {"clip": 0.001},
        {"label_weight": 0.5},
    ],
)  # fmt: skip
def test_every_field_of_the_recovery_changes_the_weights(
    parts: dict[str, Artifact], plain: dict[str, str], fields: dict[str, Any]
) -> None:
    def recovered(**changes: Any) -> str:
        return file(recover.fn(parts["pruned"], parts["model"], parts["dataset"], small(recovery=changes).recovery, 0))

    assert recovered(**fields) != (plain.get("recovery") or plain.setdefault("recovery", recovered()))


@pytest.mark.parametrize("fields", [{"rank": 2}, {"alpha": 16.0}])
def test_rank_and_alpha_of_the_masked_update_change_the_weights(
    parts: dict[str, Artifact], plain: dict[str, str], fields: dict[str, Any]
) -> None:
    def recovered(**changes: Any) -> str:
        settings = small(recovery={"examples": 4, "lora": {"rank": 4, "alpha": 8.0} | changes}).recovery
        return file(recover.fn(parts["pruned"], parts["model"], parts["dataset"], settings, 0))

    assert recovered(**fields) != (plain.get("update") or plain.setdefault("update", recovered()))


def test_the_recovery_sees_as_many_examples_as_it_should_at_once(parts: dict[str, Artifact], passes: Shapes) -> None:
    recover.fn(
        parts["pruned"],
        parts["model"],
        parts["dataset"],
        small(recovery={"examples": 12, "batch": 6, "tokens": 90}).recovery,
        0,
    )
    trained = [shape for shape in passes if shape[0] == 6]
    assert sum(shape[0] for shape in trained) >= 2 * 12, "the pruned model and the whole one"
    assert max(tokens for _, tokens in passes) <= 90


def test_checkpointing_computes_the_layers_twice_and_learns_the_same(
    parts: dict[str, Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tiny_llama.training_passes(monkeypatch)
    found = []
    for checkpointing in (False, True):
        ran.clear()
        made = recover.fn(
            parts["pruned"],
            parts["model"],
            parts["dataset"],
            small(recovery={"checkpointing": checkpointing}).recovery,
            0,
        )
        found.append((len(ran), file(made)))
    assert found[1][0] == 2 * found[0][0] > 0
    assert found[1][1] == found[0][1]


@pytest.mark.parametrize(
    "fields", [{"duo_scaling": False}, {"duo_scaling": True}, {"grid": 9}, {"bits": 8}, {"group": 16}, {"rows": 2}]
)
def test_every_field_of_the_search_changes_the_folded_weights(
    parts: dict[str, Artifact], plain: dict[str, str], fields: dict[str, Any]
) -> None:
    def folded(**changes: Any) -> str:
        settings = small(awq={"rows": 8, "max_divergence": 1e-3} | changes)
        assert settings.awq is not None
        return file(fold.fn(parts["model"], parts["dataset"], settings.awq, settings.calibration, 0))

    assert folded(**fields) != (plain.get("awq") or plain.setdefault("awq", folded()))


def test_another_backend_has_other_limits(parts: dict[str, Artifact]) -> None:
    """Both scalings are tried by llm-compressor alone; that both backends fold well is in test_awq.py."""
    settings = small(awq={"backend": "autoawq", "duo_scaling": "both"})
    assert settings.awq is not None
    with pytest.raises(BadInput, match="autoawq rounds to 4 bits and tries one kind of scaling"):
        fold.fn(parts["model"], parts["dataset"], settings.awq, settings.calibration, 0)


def test_a_divergence_above_max_divergence_is_refused(parts: dict[str, Artifact]) -> None:
    """In bfloat16 the folded weights are rounded again, which shows a little."""
    model = make_artifact(hidden_size=64, intermediate_size=128, num_hidden_layers=2, dtype="bfloat16")

    def folded(max_divergence: float) -> float:
        settings = small(awq={"max_divergence": max_divergence})
        assert settings.awq is not None
        return fold.fn(model, parts["dataset"], settings.awq, settings.calibration, 0).metrics["divergence"]

    apart = folded(1.0)
    assert apart > 0
    with pytest.raises(GateFailed, match=r"must be <= .*; keep the model unfolded"):
        folded(apart / 2)


@pytest.mark.parametrize(("fields", "least", "most"), [({"bits": 8}, 1.5, 2.2), ({"group": 16}, 1.01, 1.3)])
def test_bits_and_group_are_the_vllm_exports_too(
    parts: dict[str, Artifact], fields: dict[str, int], least: float, most: float
) -> None:
    def packed_bytes(**changes: int) -> int:
        from safetensors.torch import load_file

        settings = small(awq=changes).awq
        assert settings is not None
        stored = load_file(store.open(w4a16.fn(parts["model"], settings)) / "model.safetensors")
        return sum(tensor.nbytes for name, tensor in stored.items() if name.endswith(("weight_packed", "weight_scale")))

    assert least < packed_bytes(**fields) / packed_bytes() < most


def test_the_temperatures_examples_tokens_and_batch_are_what_is_judged(
    parts: dict[str, Artifact], passes: Shapes
) -> None:
    def judged(**fields: int) -> tuple[int, int, int, float]:
        """Examples in all, most at once, most tokens, and what was measured."""
        passes.clear()
        made = calibrate.fn(parts["gguf"], parts["model"], parts["dataset"], small(temperature=fields).temperature, 0)
        return (
            sum(rows for rows, _ in passes),
            max(rows for rows, _ in passes),
            max(tokens for _, tokens in passes),
            made.metrics["nll_before"],
        )

    examples, at_once, longest, loss = judged()
    assert (examples, at_once) == (16, 4)
    fewer = judged(examples=8)
    assert fewer[0] == 8
    assert fewer[3] != loss
    assert judged(batch=2)[:2] == (16, 2)
    shorter = judged(tokens=60)
    assert shorter[2] <= 60 < longest
    assert shorter[3] != loss


@pytest.mark.parametrize("fields", [{"level": 1}, {"level": 19}, {"byte_planes": False}])
def test_level_and_byte_planes_change_the_packed_bytes(parts: dict[str, Artifact], fields: dict[str, Any]) -> None:
    gguf = to_gguf.fn(parts["pruned"], "Q4_0")
    assert file(pack.fn([gguf], small().packing), "0.zst") != file(
        pack.fn([gguf], small(packing=fields).packing), "0.zst"
    )


def test_as_many_threads_as_the_settings_say_pack(parts: dict[str, Artifact], monkeypatch: pytest.MonkeyPatch) -> None:
    """They pack in step: with fewer threads than pieces wait at the barrier, packing would not end."""
    import threading

    monkeypatch.setattr(packing_list, "PIECE", 4096)
    made: list[int] = []

    class Watched(ThreadPoolExecutor):
        def __init__(self, threads: int) -> None:
            made.append(threads)
            super().__init__(threads)

        def map(self, work: Any, *pieces: Any, **options: Any) -> Any:
            (group,) = pieces
            together = threading.Barrier(len(group))

            def one(piece: Any) -> Any:
                together.wait(120)
                return work(piece)

            return super().map(one, group, **options)

    monkeypatch.setattr(zstd, "ThreadPoolExecutor", Watched)
    monkeypatch.setattr("blocks.cores.cores", lambda: 4)
    found = [pack.fn([parts["gguf"]], small(packing={"threads": threads}).packing) for threads in (1, 3)]
    assert made == [1, 3]
    assert file(found[0], "0.zst") == file(found[1], "0.zst")


def test_a_calibration_of_another_size_is_another_text_for_the_weights(parts: dict[str, Artifact]) -> None:
    """Rows and tokens reach pruning and importance, not only the packing of the text."""
    for run in (
        lambda text: file(
            prune.fn(
                model=parts["model"],
                dataset=parts["dataset"],
                sparsity=0.5,
                settings=small().pruning,
                calibration=text,
                seed=0,
            )
        ),
        lambda text: file(importance.fn(parts["model"], parts["dataset"], text, 0), "importance.safetensors"),
    ):
        assert (
            len(
                {
                    run(Calibration(rows=rows, tokens=tokens, batch=4, device="cpu"))
                    for rows, tokens in ((8, 64), (4, 64), (8, 32))
                }
            )
            == 3
        )
