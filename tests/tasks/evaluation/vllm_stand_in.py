"""Stands in for the command ``vllm``, which needs a GPU: its arguments, key and wire format, answered by transformers.

Run as a script. What it was started with goes to the file that VLLM_TOLD names; VLLM_LATE delays its start.
"""

import itertools
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

LORA = "--enable-lora"


def main() -> None:
    """Serve until ended."""
    _, folder, *options = sys.argv[1:]
    Path(os.environ["VLLM_TOLD"]).write_text(json.dumps({"argv": sys.argv[1:], "pid": os.getpid()}))
    time.sleep(float(os.environ.get("VLLM_LATE", "0")))
    told = dict(itertools.pairwise(options))
    adapters = [one.partition("=") for one in options[options.index("--lora-modules") + 1 :]] if LORA in options else []
    from blocks.engines.description import EngineDescription
    from blocks.engines.transformers import Transformers

    engine = Transformers(
        Path(folder),
        EngineDescription(kind="transformers", context=int(told["--max-model-len"]), dtype=told["--dtype"]),  # type: ignore[arg-type]
        adapters={name: Path(path) for name, _, path in adapters},
        device="cpu",
        batch=1,
        threads=1,
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            names = [told["--served-model-name"], *(name for name, _, _ in adapters)]
            self.say({"data": [{"id": name} for name in names]})

        def do_POST(self) -> None:
            time.sleep(float(os.environ.get("VLLM_SLOW", "0")))
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.say(answer(engine, asked, None if asked["model"] == told["--served-model-name"] else asked["model"]))

        def say(self, found: dict[str, Any]) -> None:
            allowed = self.path == "/health" or self.headers["Authorization"] == f"Bearer {os.environ['VLLM_API_KEY']}"
            content = json.dumps(found).encode()
            self.send_response(200 if allowed else 401)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    HTTPServer((told["--host"], int(told["--port"])), Handler).serve_forever()


def answer(engine: Any, asked: dict[str, Any], adapter: str | None) -> dict[str, Any]:
    """A completion as vLLM words it."""
    ids = asked["prompt"]
    if asked.get("prompt_logprobs") is not None:
        (scored,) = engine.score([(ids[:1], ids[1:])], adapter=adapter)
        each = zip(ids[1:], scored.nll, scored.agrees, strict=True)
        told = [None, *({str(token): {"logprob": -nll, "rank": 1 if best else 2}} for token, nll, best in each)]
        return {"choices": [{"text": "", "finish_reason": "length", "logprobs": None, "prompt_logprobs": told}]}
    assert asked["return_tokens_as_token_ids"]
    assert set(asked["stop_token_ids"]) == set(engine.closing)
    (one,) = engine.complete([ids], max_tokens=asked["max_tokens"], adapter=adapter)
    logprobs = {"tokens": [f"token_id:{token}" for token in one.tokens], "token_logprobs": list(one.logprobs)}
    choice = {"text": one.text, "finish_reason": one.finish, "logprobs": logprobs}
    return {"choices": [choice], "usage": {"prompt_tokens": len(ids)}}


if __name__ == "__main__":
    main()
