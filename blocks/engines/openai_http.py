"""Answers of any OpenAI-compatible server over HTTP: vLLM, llama.cpp's llama-server, Ollama.

Prompts go as token ids where the server takes them, so that none can open a turn, and as text otherwise. Replies are
read within bounds; only what can pass (a lost connection, 408, 429, 5xx) is tried again. Scoring: vLLM reports the
likelihood of a prompt's tokens; llama-server is made to say each token of the answer in turn, by a bias that its
reported log-probabilities, taken before sampling, do not see. Not here: starting a server (vllm_server.py).
"""

import functools
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Literal, Protocol, Self, TypeVar

import numpy as np

from blocks.engines.completion import Completion, Scored, from_llama_server
from blocks.engines.description import EngineDescription
from blocks.engines.protocol import Text, unheard
from blocks.models import json_object
from blocks.models.template import Template
from blocks.printable import plain
from configs.errors import BadInput, CogumiError, Transient

Server = Literal["llama-server", "vllm", "openai"]
PASSING = (408, 429, 500, 502, 503, 504)  # statuses that another try may not meet
TRIES, LONGEST_WAIT_S = 5, 20.0
LARGEST = 64 << 20  # bytes of a reply
FORCED = 1e4  # added to the logit of the token that llama-server shall say; no model's logits differ by as much
UNKNOWN = -1  # the id of a token that a server names by its text only
R = TypeVar("R")


class Encoding(Protocol):
    """A tokenizer with its chat format, as blocks/models/encoding.py has it."""

    @property
    def template(self) -> Template:
        """The chat format."""
        ...

    def ids(self, rendered: Sequence[str], *, goes_on: bool = False) -> list[list[int]]:
        """Token ids of rendered conversations."""
        ...


class OpenAIHttp:
    """A model on a server (blocks/engines/protocol.py). Calls may come from several threads.

    Args:
        description: context and stop tokens; what else it says is the server's own affair, and was given to it.
        url: of the API, with /v1. ``key``: sent as bearer, None for none.
        server: whose fields it takes beyond OpenAI's.
        model: the name under which it serves the model.
        adapters: name → as what it is served: in vLLM the name of a model, in llama-server a part of the file's path.
        encoder: the chat format and the token ids of the model's own tokenizer.
        slots: requests at the same time.
        timeout_s: longest wait for one answer.

    Raises:
        BadInput: the server serves no such model or adapter, or refuses what is asked.
        Transient: it cannot be reached, or is overloaded, after all tries.
    """

    def __init__(
        self,
        description: EngineDescription,
        *,
        url: str,
        key: str | None,
        server: Server,
        model: str,
        adapters: Mapping[str, str] | None = None,
        encoder: Encoding,
        slots: int,
        timeout_s: float,
    ) -> None:
        self.description, self._url, self._key, self._server = description, url.rstrip("/"), key, server
        self._model, self._adapters, self._encoder = model, dict(adapters or {}), encoder
        self._slots, self._timeout_s = slots, timeout_s
        self._loras: dict[str, int] = {}

    def __enter__(self) -> Self:
        import httpx

        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        self._client = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(self._timeout_s, connect=min(10.0, self._timeout_s)),
            limits=httpx.Limits(max_connections=self._slots),
        )
        try:
            self._refuse_unserved()
        except BaseException:
            self._client.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    @property
    def template(self) -> Template:
        """The model's chat format."""
        return self._encoder.template

    def encode(self, texts: Sequence[str], *, goes_on: bool = False) -> list[list[int]]:
        """See the protocol."""
        return self._encoder.ids(texts, goes_on=goes_on)

    def complete(
        self,
        prompts: Sequence[Text],
        *,
        max_tokens: int,
        adapter: str | None = None,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
        logprobs: bool = True,
        seed: int = 0,
        advance: Callable[[int], None] = unheard,
    ) -> list[Completion]:
        """See the protocol; a request for each prompt, as many at a time as there are slots."""

        def one(prompt: Text) -> Completion:
            body = self._body(
                prompt, max_tokens=max_tokens, adapter=adapter, temperature=temperature, stop=stop, seed=seed
            )
            if logprobs:
                body["logprobs"] = 1
            started = time.monotonic()
            reply = self._post(body)
            found = self._read(lambda: self._completion(reply, prompt, logprobs, time.monotonic() - started))
            advance(1)
            return found

        return self._together(one, prompts)

    def stream(
        self,
        prompt: Text,
        *,
        max_tokens: int,
        adapter: str | None = None,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
        seed: int = 0,
    ) -> Iterator[str]:
        """See the protocol; never tried again, since pieces may have been shown."""
        import httpx

        body = self._body(
            prompt, max_tokens=max_tokens, adapter=adapter, temperature=temperature, stop=stop, seed=seed
        ) | {"stream": True}
        try:
            with self._client.stream("POST", f"{self._url}/completions", json=body) as reply:
                if reply.status_code != 200:
                    raise self._refused(reply.status_code, _bounded(reply.iter_bytes()))
                for line in reply.iter_lines():
                    data = line.removeprefix("data:").strip()
                    if data == "[DONE]":
                        return
                    if line.startswith("data:") and (
                        piece := self._read(functools.partial(_text_of, json.loads(data)))
                    ):
                        yield piece
        except (httpx.TransportError, ValueError) as error:
            raise Transient(f"{self._url}: the answer broke off ({type(error).__name__})") from error

    def score(self, pairs: Sequence[tuple[Text, Text]], *, adapter: str | None = None) -> Iterator[Scored]:
        """See the protocol; over HTTP by vLLM and llama-server."""
        if self._server == "openai":
            raise BadInput(
                f"{self._url}: a plain OpenAI-compatible server cannot score a given answer; use vLLM or llama-server, "
                "or an engine in process"
            )
        ids = [(self._ids(one), self._ids(other, goes_on=True)) for one, other in pairs]
        for number, (before, after) in enumerate(ids):
            if not before:
                raise BadInput(f"pair {number}: the prompt is empty; begin it with the chat format's opening token")
            if len(before) + len(after) > self.description.context:
                raise BadInput(
                    f"pair {number}: {len(before)} + {len(after)} tokens do not fit a context of "
                    f"{self.description.context}; raise the context"
                )
        one = self._score_by_vllm if self._server == "vllm" else self._score_by_llama_server

        def read(pair: tuple[list[int], list[int]]) -> Scored:
            return self._read(lambda: one(*pair, adapter))

        yield from self._together(read, ids)

    def _score_by_vllm(self, before: list[int], after: list[int], adapter: str | None) -> Scored:
        body = self._body([*before, *after], max_tokens=1, adapter=adapter) | {"prompt_logprobs": 1}
        told = self._post(body)["choices"][0]["prompt_logprobs"][len(before) :] if after else []
        found = [entry[str(token)] for entry, token in zip(told, after, strict=True)]
        return Scored(
            -np.array([one["logprob"] for one in found], np.float64),
            np.array([one["rank"] == 1 for one in found], bool),
        )

    def _score_by_llama_server(self, before: list[int], after: list[int], adapter: str | None) -> Scored:
        nll, agrees = [], []
        for place, token in enumerate(after):
            body = self._body([*before, *after[:place]], max_tokens=1, adapter=adapter)
            body |= {"logprobs": 1, "logit_bias": [[token, FORCED]], "cache_prompt": not self._loras}
            (entry,) = self._post(body)["choices"][0]["logprobs"]["content"]
            if entry["id"] != token:
                raise CogumiError(
                    f"{self._url}: llama-server said token {entry['id']} where it was made to say {token}"
                )
            nll.append(-entry["logprob"])
            agrees.append(entry["top_logprobs"][0]["id"] == token)
        return Scored(np.array(nll, np.float64), np.array(agrees, bool))

    def _ids(self, text: Text, *, goes_on: bool = False) -> list[int]:
        return self.encode([text], goes_on=goes_on)[0] if isinstance(text, str) else list(text)

    def _body(
        self,
        prompt: Text,
        *,
        max_tokens: int,
        adapter: str | None,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
        seed: int = 0,
    ) -> dict[str, Any]:
        if adapter is not None and adapter not in self._adapters:
            raise BadInput(f"unknown adapter {adapter!r}; loaded are: {', '.join(self._adapters) or 'none'}")
        if not prompt:
            raise BadInput("a prompt is empty")
        body: dict[str, Any] = {
            "model": self._model,
            "max_tokens": max_tokens,
            "temperature": temperature,
            "top_p": 1.0,
            "seed": seed,
            "stop": list(stop),
        }
        if self._server == "openai":
            if not isinstance(prompt, str):
                raise BadInput(f"{self._url}: a plain OpenAI-compatible server takes text, not token ids")
            return body | {"prompt": prompt}
        body["prompt"] = ids = self._ids(prompt)
        if len(ids) > self.description.context:
            raise BadInput(f"a prompt has {len(ids)} tokens, the context {self.description.context}; shorten it")
        if self._server == "vllm":
            served = self._adapters[adapter] if adapter is not None else self._model
            closing = [ids[0] for ids in self.encode(self.template.stops) if len(ids) == 1]
            return body | {
                "model": served,
                "return_tokens_as_token_ids": True,
                "stop_token_ids": closing,
                "add_special_tokens": False,
            }
        scale = self.description.scales.get(adapter, 1.0) if adapter is not None else 0.0
        return body | {
            "top_k": 0,
            "min_p": 0.0,
            "cache_prompt": False,
            "lora": [
                {"id": number, "scale": scale if name == adapter else 0.0} for name, number in self._loras.items()
            ],
        }

    def _completion(self, reply: dict[str, Any], prompt: Text, wanted: bool, seconds: float) -> Completion:
        length = reply.get("usage", {}).get("prompt_tokens", 0)
        if self._server == "llama-server":
            return from_llama_server(reply, [length], seconds)[0]
        (choice,) = reply["choices"]
        told = choice.get("logprobs") or {}
        if wanted and not told.get("token_logprobs"):
            raise BadInput(f"{self._url}: the server reports no log-probabilities, which the router reads; use another")
        names = told.get("tokens", [])
        return Completion(
            text=choice["text"],
            tokens=tuple(int(name[9:]) if name.startswith("token_id:") else UNKNOWN for name in names),
            logprobs=tuple(told.get("token_logprobs", [])),
            finish="stop" if choice["finish_reason"] == "stop" else "length",
            prompt_tokens=length,
            seconds=seconds,
        )

    def _refuse_unserved(self) -> None:
        listed = self._read(lambda: [str(one["id"]) for one in self._get("/models")["data"]])
        wanted = [self._model, *(self._adapters.values() if self._server == "vllm" else ())]
        if missing := [name for name in wanted if name not in listed]:
            raise BadInput(
                f"{self._url} serves {plain(', '.join(listed))[:200] or 'nothing'}, not {missing[0]}; start it with "
                "that name (llama-server --alias, vllm --served-model-name or --lora-modules)"
            )
        if self._server != "llama-server":
            return
        loaded = self._read(lambda: [(one["id"], str(one["path"])) for one in self._get("/../lora-adapters")])
        self._loras = {path: number for number, path in loaded}
        for name, part in self._adapters.items():
            found = [path for path in self._loras if part in path]
            if len(found) != 1:
                raise BadInput(f"{self._url}: no adapter {part} is loaded; start llama-server with --lora and its file")
            self._loras[name] = self._loras.pop(found[0])

    def _get(self, path: str) -> Any:
        return self._asked("GET", path, None)

    def _post(self, body: dict[str, Any]) -> Any:
        return self._asked("POST", "/completions", body)

    def _asked(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        """The reply in JSON; asked again, with pauses that grow, while the reason may pass."""
        import httpx

        url = self._url.removesuffix("/v1") + path[3:] if path.startswith("/../") else self._url + path
        for attempt in range(1, TRIES + 1):
            try:
                with self._client.stream(method, url, json=body) as reply:
                    content = _bounded(reply.iter_bytes())
                if reply.status_code == 200:
                    return _parsed(content, url)
                failed: CogumiError = self._refused(reply.status_code, content)
            except httpx.TransportError as error:
                failed = Transient(f"{url}: no answer ({type(error).__name__}: {error}); is the server running?")
            if not isinstance(failed, Transient) or attempt == TRIES:
                raise failed
            time.sleep(min(LONGEST_WAIT_S, 0.5 * 2**attempt) * random.uniform(0.5, 1))
        raise AssertionError

    def _refused(self, status: int, content: bytes) -> CogumiError:
        said = plain(" ".join(content[:4000].decode("utf-8", "replace").split()))[:300]
        kind = Transient if status in PASSING else BadInput
        return kind(f"{self._url}: the server answered {status}: {said or 'nothing'}")

    def _read(self, reader: Callable[[], R]) -> R:
        try:
            return reader()
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise CogumiError(
                f"{self._url}: not a reply of {self._server} ({type(error).__name__}: {str(error)[:100]}); name the "
                "right kind of server"
            ) from error

    def _together(self, one: Callable[[Any], R], asked: Sequence[Any]) -> list[R]:
        with ThreadPoolExecutor(self._slots) as pool:
            waiting = [pool.submit(one, each) for each in asked]
            try:
                return [each.result() for each in waiting]
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def _text_of(chunk: dict[str, Any]) -> str:
    return "".join(one["text"] for one in chunk["choices"])


def _bounded(chunks: Iterator[bytes]) -> bytes:
    found = bytearray()
    for chunk in chunks:
        found += chunk
        if len(found) > LARGEST:
            raise CogumiError(f"a server's reply is longer than {LARGEST >> 20} MiB")
    return bytes(found)


def _parsed(content: bytes, url: str) -> Any:
    return json_object.parse(content, url)
