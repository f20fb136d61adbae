"""The real Llama 3 vocabulary (128,256 tokens) through our writer, tokenised by llama.cpp, against llama.cpp's own
published expectations."""

import base64
import os
from pathlib import Path

import pytest

from blocks import store
from blocks.models import template
from tasks.compression.export.gguf_write import to_gguf
from tests.tasks.compression import served
from tests.tasks.compression.conftest import SPLIT, make_model

CORPUS = Path(os.environ.get("COGUMI_CORPORA", "../shared/corpora")) / "llama-bpe-vocab"


def write_llama_3_tokenizer(folder: Path) -> None:
    """tokenizer.json from Meta's rank file: ranks are ids, and a token's merges are all its splits into two tokens."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = bytes_to_unicode()
    ranks = {
        base64.b64decode(token): int(rank)
        for token, rank in (line.split() for line in (CORPUS / "tokenizer.model").read_text().split("\n") if line)
    }

    def spell(token: bytes) -> str:
        return "".join(letters[byte] for byte in token)

    merges = []
    for token in ranks:
        pairs = [(token[:i], token[i:]) for i in range(1, len(token)) if token[:i] in ranks and token[i:] in ranks]
        merges += [
            (spell(left), spell(right))
            for left, right in sorted(pairs, key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))
        ]
    tokenizer = Tokenizer(models.BPE({spell(token): rank for token, rank in ranks.items()}, merges, ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(template.SPECIAL_TOKENS))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=template.BEGIN, eos_token=template.END, pad_token=template.PAD
    ).save_pretrained(folder)


@pytest.mark.slow
@pytest.mark.skipif(not CORPUS.is_dir(), reason="needs COGUMI_CORPORA: llama-bpe-vocab")
def test_llama_cpps_own_expectations_hold() -> None:
    with store.create("model") as folder:
        write_llama_3_tokenizer(folder.path)
        make_model(
            folder.path,
            vocab_size=128256,
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=1,
            num_key_value_heads=1,
        )
    texts = (CORPUS / "ggml-vocab-llama-bpe.gguf.inp").read_text(encoding="utf-8").split("\n__ggml_vocab_test__\n")
    expected = [
        [int(token) for token in line.split()]
        for line in (CORPUS / "ggml-vocab-llama-bpe.gguf.out").read_text().split("\n")
    ]
    assert len(texts) > 40
    with served.llama_cpp(store.open(to_gguf(folder.artifact, "Q8_0")) / "model.gguf") as server:
        for text, tokens in zip(texts, expected, strict=False):
            assert served.tokenize(server, text, False) == tokens, repr(text)
        assert served.tokenize(server, "<|begin_of_text|>Hi<|eot_id|>", True) == [128000, 13347, 128004]
