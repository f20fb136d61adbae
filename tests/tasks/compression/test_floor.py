"""The size floor: the published arithmetic, a lower bound for what is really packed, and refusal with alternatives."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks import store
from blocks.models.checkpoint import Checkpoint
from blocks.records import Artifact
from configs.errors import BadInput
from tasks.compression.export.gguf_write import to_gguf
from tasks.compression.export.mixtures import QUANTISATIONS
from tasks.compression.floor import KNOWN, entropy, refuse_impossible, shape, size_floor
from tasks.compression.packing.zstd import pack
from tasks.compression.pruning.prune import prune
from tests.tasks.compression.conftest import compression
from tests.tasks.compression.packing.test_zstd import packing
from tests.tasks.compression.pruning.test_prune import CALIBRATION, pruning

EIGHT = KNOWN["meta-llama/Llama-3.1-8B-Instruct"]


def test_the_known_shapes_have_the_published_numbers_of_weights(model: Artifact) -> None:
    assert [KNOWN[name].parameters for name in KNOWN] == [8_030_261_248, 3_212_749_824, 1_235_814_400]
    with Checkpoint(store.open(model)) as checkpoint:
        assert shape(checkpoint.config).parameters == checkpoint.parameters()
    assert shape(json.loads((store.open(model) / "config.json").read_text())).head == 0


def test_the_mask_alone_of_an_8b_is_larger_than_520_megabytes() -> None:
    assert entropy(0.35) == pytest.approx(0.934, abs=5e-4)
    assert EIGHT.parameters * entropy(0.35) / 8e6 == pytest.approx(938, abs=1)


def test_an_impossible_target_is_refused_with_the_floor_and_what_fits() -> None:
    settings = compression(
        target_megabytes=520,
        pruning={"stages": [0.5, 0.65]},
        gguf={"served": "Q5_K_M", "fallback": "Q6_K", "sparse": ["Q4_0"]},
    )
    with pytest.raises(
        BadInput,
        match=r"520 cannot be reached: 8\.03B weights, 65% of the decoder zero, in Q4_0 need at least 26\d\d "
        r"MB.*Llama-3\.2-1B",
    ) as refusal:
        refuse_impossible(EIGHT, settings)
    assert "\n" not in str(refusal.value)
    assert refuse_impossible(EIGHT, settings.model_copy(update={"target_megabytes": 3000.0}))[0].quantisation == "Q4_0"
    with pytest.raises(BadInput, match="does not fit either"):
        refuse_impossible(EIGHT, settings.model_copy(update={"target_megabytes": 100.0}))


def test_nothing_really_packed_is_smaller_than_the_floor(model: Artifact, dataset: Artifact) -> None:
    sparse = prune(
        model=model, dataset=dataset, sparsity=0.65, settings=pruning(stages=(0.65,)), calibration=CALIBRATION, seed=0
    )
    with Checkpoint(store.open(model)) as checkpoint:
        form = shape(checkpoint.config)
    for quantisation in ("Q4_0", "Q6_K", "Q5_K_M", "Q8_0", "Q3_K_S"):
        for artifact, sparsity in ((model, 0.0), (sparse, 0.65)):
            floor = size_floor(form, quantisation, sparsity)
            packed = pack([to_gguf(artifact, quantisation)], packing(level=15))
            assert floor.megabytes < packed.metrics["megabytes"] < 2.2 * floor.megabytes


@given(st.sampled_from(QUANTISATIONS), st.floats(0, 0.99), st.floats(0, 0.99))
def test_more_zeros_never_raise_the_floor_and_bits_add_up(quantisation: str, first: float, second: float) -> None:
    low, high = sorted((first, second))
    dense, sparse = (size_floor(EIGHT, quantisation, max(0.5, share)) for share in (low, high))
    assert sparse.megabytes <= dense.megabytes + 1e-6
    assert math.isclose(dense.bits_per_parameter * EIGHT.parameters / 8e6, dense.megabytes)
