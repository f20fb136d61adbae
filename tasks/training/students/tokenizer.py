"""The tokenizer of a student made here: byte-level BPE behind Llama 3's pre-tokeniser, with Llama 3.1's special tokens.

Its GGUF therefore declares ``tokenizer.ggml.pre = llama-bpe``, and llama.cpp splits text as it does here. No token
holds two digits: the merges are learned with single digits, so that the pre-tokeniser's groups of three have nothing to
merge. Not here: a hub model's tokenizer, which comes with it (student.py).
"""

from pathlib import Path

from blocks import store
from blocks.models import sections, template
from blocks.models.encoding import Encoder
from blocks.records import DOMAINS, Artifact, Difficulty, Example
from blocks.rehearsal import world
from configs.phases.training import Vocabulary
from tasks.step import step

# Llama 3's, as in its tokenizer.json and in llama.cpp's LLAMA_VOCAB_PRE_TYPE_LLAMA3.
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| "
    r"?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SINGLE_DIGITS = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
ROLES = ["system\n\n", "user\n\n", "assistant\n\n"]  # every turn has one, so each shall be few tokens
DIFFICULTIES: tuple[Difficulty, ...] = ("easy", "hard")


@step(version=1)
def tokenizer(settings: Vocabulary, seed: int) -> Artifact:
    """Learn ``settings.tokens`` tokens from worked examples of the rehearsal world; kind "tokenizer"."""
    with store.create("tokenizer", settings={**settings.identity(), "seed": seed}) as folder:
        examples = [
            one
            for domain in DOMAINS
            for difficulty in DIFFICULTIES
            for one in world.examples(domain, difficulty, "train", settings.examples, seed)
        ]
        texts = [text for one in examples for text in (one.prompt, sections.written(one))]
        train([*texts, *ROLES * len(examples)], settings.tokens, folder.path)
        characters = sum(len(text) for text in texts)
        folder.metrics["tokens"] = settings.tokens
        folder.metrics["characters_per_token"] = characters / count(folder.path, examples)
    return folder.artifact


def train(texts: list[str], tokens: int, folder: Path) -> None:
    """Learn merges from ``texts`` and write tokenizer.json, tokenizer_config.json and chat_template.jinja into
    ``folder``."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    def pre_tokenizer(pattern: str) -> pre_tokenizers.PreTokenizer:
        return pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(pattern), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )

    bpe = Tokenizer(models.BPE(ignore_merges=True))  # as Llama 3 has it, and llama.cpp assumes it
    bpe.pre_tokenizer = pre_tokenizer(SINGLE_DIGITS)
    special = [AddedToken(token, special=True, normalized=False) for token in template.SPECIAL_TOKENS]
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=tokens,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    bpe.pre_tokenizer = pre_tokenizer(LLAMA3)
    bpe.decoder = decoders.ByteLevel()
    begin = template.BEGIN
    bpe.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single=f"{begin} $A",
                pair=f"{begin} $A {begin}:1 $B:1",
                special_tokens=[(begin, bpe.token_to_id(begin))],
            ),
        ]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=begin,
        eos_token=template.END,
        pad_token=template.PAD,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )
    fast.chat_template = template.TEMPLATE
    fast.save_pretrained(folder)


def count(folder: Path, examples: list[Example]) -> int:
    """Tokens of all prompts and answers together."""
    texts = [text for one in examples for text in (one.prompt, sections.written(one))]
    return sum(len(ids) for ids in Encoder.of(folder).ids(texts))
