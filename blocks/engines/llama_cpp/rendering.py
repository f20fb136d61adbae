"""Conversations rendered by llama.cpp from a Jinja chat template, to hold a student's chat format against.

llama.cpp has a Jinja of its own. It is asked through its server on a model of a few kilobytes that knows only the
format's tokens. Not here: what the format is (blocks/models/chat_frame.py).
"""

import json
import secrets
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from blocks.engines.llama_cpp.native import library
from blocks.models.chat_frame import Rendering, Turns
from configs.errors import BadInput

_WIDTH = 32  # of everything in the model


@contextmanager
def renderer(jinja: str, special: Mapping[str, str], where: Path) -> Iterator[Rendering]:
    """A function that renders turns, and opens the assistant's, as llama.cpp does. ``special``: bos_token, eos_token.

    Raises:
        BadInput: llama.cpp cannot read or render the template.
    """
    import xllamacpp

    library()  # silences the log before anything speaks
    key = secrets.token_hex(16)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with tempfile.TemporaryDirectory(prefix="cogumi-template-") as folder:
        model = Path(folder) / "model.gguf"
        _write(model, jinja, special)
        params = xllamacpp.CommonParams()
        params.verbosity, params.model.path = -1, str(model)
        params.n_ctx, params.n_parallel = 64, 1
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        params.fit_params = params.warmup = params.ui = False
        params.hostnames, params.port, params.api_keys = ["127.0.0.1"], 0, [key]
        try:
            server = xllamacpp.Server(params)
        except RuntimeError:
            raise BadInput(
                f"{where}: llama.cpp cannot read its chat template; give the student a simpler one"
            ) from None
        # A server that is stopped before its loop has begun never ends; one answer shows that it has.
        server.handle_completions({"prompt": [0], "n_predict": 1})

        def render(turns: Turns, generate: bool) -> str:
            messages = [{"role": role, "content": content} for role, content in turns]
            body = {
                "messages": messages,
                "add_generation_prompt": generate,
                "chat_template_kwargs": {"enable_thinking": False},
            }
            request = urllib.request.Request(
                f"{server.listening_address}/apply-template",
                json.dumps(body).encode(),
                {"Content-Type": "application/json", "Authorization": f"Bearer {key}"},
            )
            try:
                with opener.open(request, timeout=60) as answer:
                    found: str = json.load(answer)["prompt"]
            except urllib.error.HTTPError as error:
                said = " ".join(error.read(2000).decode("utf-8", "replace").split())[:160]
                raise BadInput(f"{where}: llama.cpp cannot render its chat template ({said})") from None
            return found

        yield render


def _write(path: Path, jinja: str, special: Mapping[str, str]) -> None:
    """The smallest Llama that llama.cpp loads, with the template and its tokens."""
    import numpy as np
    from gguf import GGUFWriter, TokenType
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    control = list(dict.fromkeys(special.values()))
    letters = [letter for letter in bytes_to_unicode().values() if letter not in control]
    tokens = [*control, *letters, "ab"]  # a vocabulary without a merge is none to llama.cpp
    writer = GGUFWriter(path, "llama")
    for add in (writer.add_context_length, writer.add_embedding_length, writer.add_feed_forward_length):
        add(_WIDTH)
    writer.add_block_count(1)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.CONTROL] * len(control) + [TokenType.NORMAL] * (len(tokens) - len(control)))
    writer.add_token_merges(["a b"])
    if "bos_token" in special:
        writer.add_bos_token_id(control.index(special["bos_token"]))
    if "eos_token" in special:
        writer.add_eos_token_id(control.index(special["eos_token"]))
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_chat_template(jinja)
    square, row = np.zeros((_WIDTH, _WIDTH), np.float32), np.zeros(_WIDTH, np.float32)
    writer.add_tensor("token_embd.weight", np.zeros((len(tokens), _WIDTH), np.float32))
    writer.add_tensor("output_norm.weight", row)
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        writer.add_tensor(f"blk.0.{name}.weight", square)
    for name in ("attn_norm", "ffn_norm"):
        writer.add_tensor(f"blk.0.{name}.weight", row)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
