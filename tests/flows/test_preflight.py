"""What a late phase lacks is said before the first phase begins."""

import logging
from pathlib import Path

import pytest

from blocks import store
from configs.errors import BadInput
from configs.schema import load
from flows.phases import PHASES
from flows.pipeline import pipeline
from flows.preflight import preflight
from tasks.compression.export.gguf_write import to_gguf
from tests.tiny_llama import make_model

HERE = [f"pools.{phase.name}=local" for phase in PHASES]


def test_a_pool_that_a_late_phase_lacks_ends_the_run_before_its_first_step(prefect_server: None, state: Path) -> None:
    with pytest.raises(BadInput, match="there is no work pool 'gqu'"):
        pipeline("nano", ["pools.release=gqu"])
    assert not (state / "store").exists()


@pytest.mark.parametrize("source", ["folder", "gguf"])
def test_a_student_that_is_not_the_pinned_one_ends_the_run_before_a_teacher_is_asked(
    source: str, prefect_server: None, state: Path
) -> None:
    adopted = make_model(teach=False)
    place = store.open(adopted) if source == "folder" else store.open(to_gguf(adopted, "F16")) / "model.gguf"
    with pytest.raises(BadInput, match=r"training\.student\.sha256: .* not the pinned one"):
        pipeline(
            "nano", [f"training.student={{source: {source}, path: {place}, sha256: '{'0' * 64}', dtype: float32}}"]
        )
    assert {folder.name for folder in (state / "store").iterdir()} & {"dataset", "examples", "plan"} == set()


def test_keys_of_phases_that_run_elsewhere_are_not_asked_for(
    prefect_server: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "TOGETHER_API_KEY", "GROQ_API_KEY", "OPENROUTER_API_KEY"):
        monkeypatch.delenv(name, raising=False)

    def missing(*phases: str) -> dict[str, str]:
        caplog.clear()
        preflight([one for one in PHASES if one.name in phases], load("llama-8b", HERE))
        return {message.split()[2]: message for message in caplog.messages}

    with caplog.at_level(logging.WARNING, "cogumi.preflight"):
        assert missing("training", "compression", "release") == {}
        everything = missing(*(one.name for one in PHASES))
        assert set(missing("dataset")) <= set(everything) == set(missing("dataset", "modifiers"))
        assert "gpt-5" in everything["OPENAI_API_KEY"]
        assert "gpt-5" not in missing("dataset")["OPENAI_API_KEY"]
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        assert set(missing(*(one.name for one in PHASES))) == set(everything) - {"OPENAI_API_KEY"}
        caplog.clear()
        preflight(PHASES, load("nano"))
    assert caplog.messages == []
