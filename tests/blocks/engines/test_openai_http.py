"""The engine over HTTP against llama.cpp's own server: the same answers and likelihoods as in process; and against
servers that fail."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from blocks.engines import openai_http
from blocks.engines.description import EngineDescription
from blocks.engines.llama_cpp.server import LlamaCpp
from blocks.engines.openai_http import OpenAIHttp
from blocks.models.template import LLAMA
from configs.errors import BadInput, CogumiError, Transient
from tests import llama_http
from tests.tiny_llama import PROMPTS, saying, tiny

ASKED = [LLAMA.prompt(prompt) for prompt in PROMPTS]
PAIRS = [(prompt, "apple pear and more") for prompt in ASKED[:3]]
CONTEXT = 64


@pytest.fixture(scope="module")
def inside() -> Iterator[LlamaCpp]:
    description = EngineDescription(kind="llama.cpp", context=CONTEXT)
    with LlamaCpp(tiny().gguf, description, adapters=tiny().adapter_files, threads=1, slots=4) as running:
        yield running


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with llama_http.served(tiny().gguf, "tiny", tiny().adapter_files, context=CONTEXT) as url:
        yield url


def over_http(url: str, inside: LlamaCpp | None, **changes: Any) -> OpenAIHttp:
    given: dict[str, Any] = {
        "key": llama_http.KEY,
        "server": "llama-server",
        "model": "tiny",
        "adapters": {},
        "encoder": inside._vocabulary if inside else None,
        "slots": 4,
        "timeout_s": 30,
    }
    return OpenAIHttp(EngineDescription(kind="http", context=CONTEXT), url=url, **(given | changes))


@pytest.fixture
def outside(address: str, inside: LlamaCpp) -> Iterator[OpenAIHttp]:
    files = {name: str(path) for name, path in tiny().adapter_files.items()}
    with over_http(address, inside, adapters=files) as engine:
        yield engine


@pytest.mark.parametrize("adapter", [None, "code", "math"])
def test_answers_over_http_are_those_in_process(outside: OpenAIHttp, inside: LlamaCpp, adapter: str | None) -> None:
    told: list[int] = []
    found = outside.complete(ASKED, max_tokens=20, adapter=adapter, advance=told.append)
    expected = inside.complete(ASKED, max_tokens=20, adapter=adapter)
    assert sum(told) == len(ASKED)
    for one, other in zip(found, expected, strict=True):
        assert (one.text, one.tokens, one.finish) == (other.text, other.tokens, other.finish)
        assert one.prompt_tokens == other.prompt_tokens
        np.testing.assert_allclose(one.logprobs, other.logprobs, atol=2e-3)
    if adapter is None:
        assert [one.text for one in found] == [saying(prompt) for prompt in PROMPTS]


@pytest.mark.parametrize("adapter", [None, "code"])
def test_given_answers_are_scored_alike(outside: OpenAIHttp, inside: LlamaCpp, adapter: str | None) -> None:
    for one, other in zip(outside.score(PAIRS, adapter=adapter), inside.score(PAIRS, adapter=adapter), strict=True):
        np.testing.assert_allclose(one.nll, other.nll, atol=5e-3, rtol=5e-3)
        assert one.agrees.tolist() == other.agrees.tolist()


def test_a_stream_is_the_answer_in_pieces_and_stops_where_it_is_left(outside: OpenAIHttp, inside: LlamaCpp) -> None:
    pieces = list(outside.stream(ASKED[0], max_tokens=20))
    assert "".join(pieces) == saying(PROMPTS[0])
    assert len(pieces) > 1
    for _ in outside.stream(ASKED[0], max_tokens=20):
        break
    assert outside.complete(ASKED[:1], max_tokens=20)[0].text == saying(PROMPTS[0])


def test_an_adapters_scale_is_the_descriptions(address: str, inside: LlamaCpp) -> None:
    files = {"code": str(tiny().adapter_files["code"])}
    description = EngineDescription(kind="http", context=CONTEXT, scales={"code": 0.0})
    engine = over_http(address, inside, adapters=files)
    engine.description = description
    with engine:
        assert engine.complete(ASKED[:1], max_tokens=20, adapter="code")[0].text == saying(PROMPTS[0])


def test_what_the_server_does_not_serve_or_do_is_one_line(address: str, inside: LlamaCpp) -> None:
    with (
        pytest.raises(BadInput, match=r"serves tiny, not other; start it with that name"),
        over_http(address, inside, model="other"),
    ):
        pass
    with (
        pytest.raises(BadInput, match=r"no adapter elsewhere is loaded"),
        over_http(address, inside, adapters={"a": "elsewhere"}),
    ):
        pass
    with pytest.raises(BadInput, match="401"), over_http(address, inside, key="wrong"):
        pass
    with over_http(address, inside) as engine:
        with pytest.raises(BadInput, match="unknown adapter 'code'; loaded are: none"):
            engine.complete(ASKED[:1], max_tokens=2, adapter="code")
        with pytest.raises(BadInput, match=f"a prompt has {CONTEXT + 1} tokens, the context {CONTEXT}"):
            engine.complete([[5] * (CONTEXT + 1)], max_tokens=2)
    with over_http(address, inside, server="openai") as engine, pytest.raises(BadInput, match="cannot score"):
        next(engine.score(PAIRS))


@contextmanager
def answering(reply: Callable[[str], tuple[int, bytes]]) -> Iterator[str]:
    """A server that answers every request with what ``reply`` makes of its path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, content = reply(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


MODELS = json.dumps({"data": [{"id": "tiny"}]}).encode()
ANSWER = json.dumps(
    {
        "choices": [
            {"text": "fig", "finish_reason": "stop", "logprobs": {"tokens": ["fig"], "token_logprobs": [-0.5]}}
        ],
        "usage": {"prompt_tokens": 3},
    }
).encode()


def test_what_can_pass_is_asked_again_and_what_cannot_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_http.time, "sleep", lambda seconds: None)
    statuses = iter([503, 429, 200])
    asked: list[int] = []

    def reply(path: str) -> tuple[int, bytes]:
        if path.endswith("/models"):
            return 200, MODELS
        asked.append(status := next(statuses, 503))
        return status, ANSWER

    with answering(reply) as url, over_http(url, None, server="openai") as engine:
        (found,) = engine.complete(["Say fig"], max_tokens=3)
        assert (found.text, found.logprobs, found.tokens) == ("fig", (-0.5,), (openai_http.UNKNOWN,))
        assert asked == [503, 429, 200]
        with pytest.raises(Transient, match="503"):
            engine.complete(["Say fig"], max_tokens=3)
        assert len(asked) == 3 + openai_http.TRIES
        statuses = iter([404])
        with pytest.raises(BadInput, match="404"):
            engine.complete(["Say fig"], max_tokens=3)
        assert len(asked) == 4 + openai_http.TRIES
    with pytest.raises(Transient, match="is the server running"), over_http(url, None):
        pass


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{}", "not a reply of openai"),
        (b"no json", "not readable as JSON"),
        (b'{"choices": [{"text": "a", "finish_reason": "stop", "logprobs": null}]}', "no log-probabilities"),
        (b" " * 3000, "longer than"),
    ],
)
def test_a_reply_that_is_none_is_one_line(content: bytes, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_http, "LARGEST", 2000)
    with (
        answering(lambda path: (200, MODELS if path.endswith("/models") else content)) as url,
        over_http(url, None, server="openai") as engine,
        pytest.raises(CogumiError, match=said),
    ):
        engine.complete(["Say fig"], max_tokens=3)
