"""llama.cpp against transformers and against itself: the same tokens and likelihoods, adapters that do not leak, clear
errors."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blocks import store
from blocks.engines.description import EngineDescription
from blocks.engines.llama_cpp.scoring import Scorer
from blocks.engines.llama_cpp.server import LlamaCpp
from blocks.models import template
from blocks.models.template import LLAMA
from blocks.records import Artifact
from configs.errors import BadInput
from tests import rounding
from tests.tiny_llama import PROMPTS, saying, tiny

ASKED = [LLAMA.prompt(prompt) for prompt in PROMPTS]
ANSWERS = [saying(prompt) for prompt in PROMPTS]
CONTEXT = 64


def load(**options: Any) -> LlamaCpp:
    described = {name: options.pop(name) for name in list(options) if name in EngineDescription.model_fields}
    description = EngineDescription(kind="llama.cpp", **({"context": CONTEXT} | described))
    return LlamaCpp(tiny().gguf, description, **({"threads": 1, "slots": 4} | options))


@pytest.fixture(scope="module")
def server() -> Iterator[LlamaCpp]:
    with load(adapters=tiny().adapter_files) as running:
        yield running


def reference_nll(model: Artifact, adapter: Artifact | None, prompt: str, answer: str) -> np.ndarray:
    """Negative log-likelihood of each answer token by transformers in float64."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    words = AutoTokenizer.from_pretrained(store.open(model))
    student: Any = AutoModelForCausalLM.from_pretrained(store.open(model))
    if adapter is not None:
        student = PeftModel.from_pretrained(student, store.open(adapter))
    before, after = (words(text, add_special_tokens=False).input_ids for text in (prompt, answer))
    with torch.inference_mode():
        logits = student(torch.tensor([before + after])).logits[0, len(before) - 1 : -1].double()
    return -logits.log_softmax(-1).gather(1, torch.tensor(after)[:, None])[:, 0].numpy()


@pytest.mark.parametrize("adapter", [None, "code"])
def test_scores_are_those_of_transformers(adapter: str | None) -> None:
    files, peft = tiny().adapter_files, tiny().adapters
    pairs = [(ASKED[0], "apple pear<|eot_id|>"), (ASKED[5], "something it has never said, 42 times")]
    with Scorer(tiny().gguf, adapter=files[adapter] if adapter else None, context=CONTEXT, threads=1) as scorer:
        found = [scored.nll for scored in scorer.score(pairs)]
    from transformers import AutoTokenizer

    ids = AutoTokenizer.from_pretrained(store.open(tiny().model))("".join(pairs[1]), add_special_tokens=False).input_ids
    mean = rounding.nats(store.open(tiny().model), ids, rounding.ATTENTION + (rounding.ADAPTER if adapter else 0))
    other = reference_nll(tiny().model, peft["math" if adapter else "code"], *pairs[1])
    assert abs(found[1].mean() - other.mean()) > 10 * mean, "the bound tells one adapter from another"
    for (prompt, answer), nll in zip(pairs, found, strict=True):
        expected = reference_nll(tiny().model, peft[adapter] if adapter else None, prompt, answer)
        assert nll.mean() == pytest.approx(expected.mean(), abs=mean), "nats per token"
        np.testing.assert_allclose(nll, expected, rtol=0.02, atol=2e-3)  # llama.cpp keeps keys and values in float16


def test_a_text_longer_than_a_batch_is_scored_in_parts_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = (ASKED[0], "apple pear and more of it")

    def scored() -> np.ndarray:
        with Scorer(tiny().gguf, context=CONTEXT, threads=1) as scorer:
            return next(iter(scorer.score([pair]))).nll

    whole = scored()
    monkeypatch.setattr("blocks.engines.llama_cpp.scoring.BATCH", 5)
    np.testing.assert_allclose(scored(), whole, rtol=1e-4, atol=1e-4)


def test_greedy_answers_are_what_the_student_learned_with_their_log_probabilities(server: LlamaCpp) -> None:
    found = server.complete(ASKED, max_tokens=20)
    assert [one.text for one in found] == ANSWERS
    assert {one.finish for one in found} == {"stop"}
    assert [one.prompt_tokens for one in found] == [len(server.tokenize(prompt)) for prompt in ASKED]
    with Scorer(tiny().gguf, context=CONTEXT, threads=1) as scorer:
        for one, scored in zip(
            found, scorer.score([(prompt, one.tokens) for prompt, one in zip(ASKED, found, strict=True)]), strict=True
        ):
            assert scored.agrees.all(), "the closing token included"
            np.testing.assert_allclose(one.logprobs, -scored.nll, atol=2e-3)


def test_the_same_prompts_alone_and_together_answer_alike(server: LlamaCpp) -> None:
    together = server.complete(ASKED, max_tokens=20, adapter="math")
    alone = [server.complete([prompt], max_tokens=20, adapter="math")[0] for prompt in ASKED]
    assert [one.tokens for one in together] == [one.tokens for one in alone]


def test_switching_adapters_answers_as_a_fresh_server_does(server: LlamaCpp) -> None:
    fresh = {}
    for name in (None, "code", "math"):
        with load(adapters=tiny().adapter_files) as other:
            fresh[name] = [other.complete([prompt], max_tokens=12, adapter=name)[0] for prompt in ASKED]
    assert len({tuple(one.tokens for one in answers) for answers in fresh.values()}) == 3, "the adapters must matter"
    for name in (None, "code", "math", "code", None, "math"):
        for prompt, expected in zip(ASKED, fresh[name], strict=True):
            found = server.complete([prompt], max_tokens=12, adapter=name)[0]
            assert found.tokens == expected.tokens
            np.testing.assert_allclose(found.logprobs, expected.logprobs, atol=1e-4)


def test_an_unused_adapter_leaves_the_base_as_it_is(server: LlamaCpp) -> None:
    with load() as plain:
        expected = plain.complete(ASKED, max_tokens=20)
    assert [one.tokens for one in server.complete(ASKED, max_tokens=20)] == [one.tokens for one in expected]


def test_threads_may_ask_for_different_adapters_at_once(server: LlamaCpp) -> None:
    jobs = [(prompt, name) for prompt in ASKED for name in (None, "code", "math")]
    expected = [server.complete([prompt], max_tokens=10, adapter=name)[0].tokens for prompt, name in jobs]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda job: server.complete([job[0]], max_tokens=10, adapter=job[1])[0].tokens, jobs))
    assert found == expected


def test_a_fresh_server_gives_the_same_numbers_every_time() -> None:
    def numbers() -> list[tuple[float, ...]]:
        with load() as fresh:
            return [one.logprobs for one in fresh.complete(ASKED, max_tokens=20)]

    assert numbers() == numbers()


def test_a_server_that_was_never_asked_ends() -> None:
    for _ in range(20):
        with load():
            pass


def test_no_other_process_can_use_the_server(server: LlamaCpp) -> None:
    import httpx

    address = server._server.listening_address
    assert address.startswith("http://127.0.0.1:")
    with httpx.Client(base_url=address, timeout=60) as other:
        for reply in (
            other.post("/completion", json={"prompt": "Say", "n_predict": 1}),
            other.get("/lora-adapters"),
            other.get("/props"),
        ):
            assert reply.status_code == 401


def test_pieces_of_a_stream_are_the_answer_and_leaving_early_frees_the_slot(server: LlamaCpp) -> None:
    assert "".join(server.stream(ASKED[1], max_tokens=20)) == ANSWERS[1]
    for _ in range(6):  # more than there are slots
        for piece in server.stream(ASKED[0], max_tokens=40, adapter="code"):
            assert piece
            break
    assert "".join(server.stream(ASKED[2], max_tokens=20)) == ANSWERS[2]


def test_answers_end_at_stop_strings_and_at_the_limit(server: LlamaCpp) -> None:
    stopped, cut = (
        server.complete([ASKED[0]], max_tokens=20, stop=[" "])[0],
        server.complete([ASKED[0]], max_tokens=2)[0],
    )
    assert (stopped.text, stopped.finish) == ("apple", "stop")
    assert (len(cut.tokens), cut.finish) == (2, "length")
    assert ANSWERS[0].startswith(cut.text)
    assert server.complete([ASKED[0]], max_tokens=2, logprobs=False)[0].logprobs == ()
    assert server.complete([], max_tokens=2) == []


def test_sampling_follows_its_seed(server: LlamaCpp) -> None:
    def drawn(seed: int) -> list[str]:
        return [one.text for one in server.complete(ASKED, max_tokens=12, temperature=3.0, seed=seed)]

    assert drawn(1) == drawn(1) != drawn(2)


def test_special_tokens_are_parsed_and_none_is_added(server: LlamaCpp) -> None:
    words = store.open(tiny().model)
    from transformers import AutoTokenizer

    expected = AutoTokenizer.from_pretrained(words)(ASKED[0], add_special_tokens=False).input_ids
    assert server.tokenize(ASKED[0]) == expected
    assert expected.count(server.tokenize(template.BEGIN)[0]) == 1
    assert server.complete([expected], max_tokens=9)[0].tokens == server.complete([ASKED[0]], max_tokens=9)[0].tokens


def test_a_draft_model_proposes_and_the_answers_stay() -> None:
    with load(draft=tiny().gguf, slots=2) as fast:
        found = [fast.complete([prompt], max_tokens=20)[0] for prompt in ASKED]
    assert [one.text for one in found] == ANSWERS
    assert 0 < sum(one.accepted for one in found) <= sum(one.drafted for one in found)
    assert all(one.logprobs == () for one in found), "llama.cpp has none for drafted tokens"


def test_quantised_keys_and_values_still_answer() -> None:
    with load(cache_type_k="q8_0", cache_type_v="q8_0") as small, load(cache_type_k="f32", cache_type_v="f32") as exact:
        found, wanted = (one.complete(ASKED, max_tokens=20) for one in (small, exact))
    assert [one.logprobs for one in found] != [one.logprobs for one in wanted]
    assert sum(one.text == answer for one, answer in zip(found, ANSWERS, strict=True)) >= len(ANSWERS) - 2


def test_given_answers_are_scored_by_the_keys_and_values_that_answer() -> None:
    far = {}
    for kept in ("f16", "q4_0"):
        with load(cache_type_k=kept, cache_type_v=kept) as engine:
            pairs = [(prompt, "something it has never said") for prompt in ASKED]
            found = np.concatenate([one.nll for one in engine.score(pairs)])
            answers = engine.complete(ASKED, max_tokens=20)
            said = [(prompt, one.tokens) for prompt, one in zip(ASKED, answers, strict=True)]
            for one, scored in zip(answers, engine.score(said), strict=True):
                np.testing.assert_allclose(one.logprobs, -scored.nll, atol=0.05 if kept == "q4_0" else 2e-3)
        far[kept] = found
    assert np.abs(far["q4_0"] - far["f16"]).max() > 1e-3, "the cache types reach scoring"


def test_wrong_requests_are_one_clear_line(server: LlamaCpp) -> None:
    with pytest.raises(BadInput, match=r"unknown adapter 'law'; loaded are: code, math"):
        server.complete([ASKED[0]], max_tokens=5, adapter="law")
    with pytest.raises(BadInput, match=r"prompt 1 has .* tokens, which leaves no room"):
        server.complete([ASKED[0], "word " * CONTEXT], max_tokens=5)
    with pytest.raises(BadInput, match="prompt 0 is empty"):
        list(server.stream("", max_tokens=5))
    with (
        Scorer(tiny().gguf, context=CONTEXT, threads=1) as scorer,
        pytest.raises(BadInput, match="do not fit a context of 64"),
    ):
        list(scorer.score([(ASKED[0], "word " * CONTEXT)]))


def test_a_missing_or_damaged_file_is_one_clear_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    whole = tiny().gguf.read_bytes()
    broken = {
        "none.gguf": (None, "cannot read the GGUF file"),
        "empty.gguf": (b"", "is not a GGUF file"),
        "text.gguf": (b"{} and more", "is not a GGUF file"),
        "noise.gguf": (whole[:8] + b"\xff" * 200, r"llama\.cpp cannot load"),
        "cut.gguf": (whole[: len(whole) // 2], r"llama\.cpp cannot load"),
    }
    for name, (content, message) in broken.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        for opened in (
            LlamaCpp(tmp_path / name, EngineDescription(kind="llama.cpp", context=CONTEXT), threads=1, slots=1),
            Scorer(tmp_path / name, context=CONTEXT, threads=1),
        ):
            with pytest.raises(BadInput, match=message) as caught, opened:
                pass
            assert "\n" not in str(caught.value)
    with pytest.raises(BadInput, match=r"llama\.cpp cannot load"), load(adapters={"model": tiny().gguf}):
        pass
    with (
        pytest.raises(BadInput, match="cannot use the adapter"),
        Scorer(tiny().gguf, adapter=tiny().gguf, context=CONTEXT, threads=1),
    ):
        pass
    with load() as fine:
        fine.complete(ASKED, max_tokens=3)
    assert capfd.readouterr().err == ""
