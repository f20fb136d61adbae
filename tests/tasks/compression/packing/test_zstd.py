"""Packing: every byte comes back, damage is noticed, byte planes and the dictionary are used only where they help."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks import store
from blocks.models import packing_list, unpacking
from blocks.models.unpacking import _joined
from blocks.records import Artifact
from configs.errors import BadInput, DamagedArtifact
from configs.phases.compression import Packing
from tasks.compression.export.adapter_to_gguf import adapter_to_gguf
from tasks.compression.export.gguf_sparse import smallest_packed
from tasks.compression.export.gguf_write import to_gguf
from tasks.compression.packing.zstd import pack, split, unpack
from tasks.compression.pruning.prune import prune
from tests.tasks.compression.export.test_adapter_to_gguf import make_adapter
from tests.tasks.compression.pruning.test_prune import CALIBRATION, pruning


def packing(**changes: object) -> Packing:
    return Packing.model_validate({"level": 10, "dictionary_kb": 0, "byte_planes": True, "threads": 2} | changes)


@given(st.binary(max_size=2000), st.integers(1, 300))
def test_splitting_into_planes_loses_nothing(data: bytes, width: int) -> None:
    assert _joined(split(data, width), width) == data


@pytest.mark.parametrize("quantisation", ["Q4_0", "Q6_K", "Q5_K_M", "F16"])
@pytest.mark.parametrize("planes", [True, False])
def test_a_model_comes_back_byte_by_byte(
    model: Artifact, quantisation: str, planes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing_list, "PIECE", 50_000)  # many pieces per tensor
    gguf = to_gguf(model, quantisation)
    packed = pack([gguf], packing(byte_planes=planes))
    back = unpack(packed)
    assert back.kind == "gguf"
    assert (store.open(back) / "model.gguf").read_bytes() == (store.open(gguf) / "model.gguf").read_bytes()
    assert packed.metrics["fraction"] == pytest.approx(packed.bytes / gguf.bytes)
    assert packed.digest == pack([gguf], packing(byte_planes=planes, threads=1)).digest


def test_damage_is_noticed(model: Artifact, tmp_path: Path) -> None:
    folder = store.open(pack([to_gguf(model, "Q4_0")], packing()))
    for name in ("0.zst", "packing.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    data = bytearray((tmp_path / "0.zst").read_bytes())
    unpacking.unpack_to(tmp_path, 0, tmp_path / "whole")
    data[len(data) // 2] ^= 1
    (tmp_path / "0.zst").write_bytes(bytes(data))
    with pytest.raises(DamagedArtifact, match="fetch it again"):
        unpacking.unpack_to(tmp_path, 0, tmp_path / "broken")


def test_zeros_pack_planes_help_and_the_smallest_is_found(model: Artifact, dataset: Artifact) -> None:
    pruned = prune(
        model=model, dataset=dataset, sparsity=0.65, settings=pruning(stages=(0.65,)), calibration=CALIBRATION, seed=0
    )
    fractions = {}
    for name, artifact in (("dense", model), ("sparse", pruned)):
        for planes in (True, False):
            fractions[name, planes] = pack([to_gguf(artifact, "Q4_0")], packing(byte_planes=planes)).metrics["fraction"]
    assert fractions["sparse", False] < 0.8 < 0.9 < fractions["dense", False]
    assert fractions["sparse", True] < fractions["sparse", False]
    found = smallest_packed(pruned, ["Q6_K", "Q4_0"], packing())
    assert found.digest == to_gguf(pruned, "Q4_0").digest
    with pytest.raises(BadInput, match="Q5_K_M"):
        smallest_packed(pruned, ["Q4_0", "Q5_K_M"], packing())


def test_a_dictionary_serves_many_alike_files_and_never_makes_one_larger(model: Artifact) -> None:
    gguf = to_gguf(model, "Q5_K_M")
    assert pack([gguf], packing(dictionary_kb=128)).bytes <= pack([gguf], packing()).bytes
    one = adapter_to_gguf(make_adapter(model)[0], model)
    random = np.random.default_rng(0)
    shared = random.integers(0, 256, 20_000, dtype=np.uint8).tobytes()
    alike = []
    for i in range(12):  # adapters that share a fifth of their bytes
        with store.create("gguf_adapter", settings={"i": i}) as folder:
            data = bytearray((store.open(one) / "adapter.gguf").read_bytes())
            data[-len(shared) - 200 : -200] = shared
            data[-100:] = random.integers(0, 256, 100, dtype=np.uint8).tobytes()
            (folder.path / "adapter.gguf").write_bytes(bytes(data))
        alike.append(folder.artifact)
    helped, plain = pack(alike, packing(dictionary_kb=16)), pack(alike, packing())
    assert helped.metrics["dictionary_kb"] == pytest.approx(16, abs=0.1)
    assert helped.bytes < plain.bytes
    for number, artifact in enumerate(alike):
        back = unpack(helped, number)
        assert back.kind == "gguf_adapter"
        assert (store.open(back) / "adapter.gguf").read_bytes() == (store.open(artifact) / "adapter.gguf").read_bytes()


def test_what_cannot_be_packed_is_refused(model: Artifact) -> None:
    with pytest.raises(BadInput, match="only gguf and gguf_adapter are packed"):
        pack([model], packing())
    with pytest.raises(BadInput, match="nothing to pack"):
        pack([], packing())
    with pytest.raises(BadInput, match="has 1 files, no number 1"):
        unpack(pack([to_gguf(model, "Q4_0")], packing()), 1)
