"""A BPE vocabulary as GGUF metadata: tokens, merges or scores, special ids, chat template.

Not here: reading and checking it (blocks/models/vocabulary.py).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from blocks.models import pre_tokenizer, vocabulary
from blocks.models.template import Template

if TYPE_CHECKING:
    from gguf import GGUFWriter


def write_vocabulary(writer: "GGUFWriter", folder: Path, size: int) -> None:
    """Add the tokenizer in ``folder`` to a GGUF file; ``size`` rows in the embedding (the rest are marked unused).

    Raises:
        BadInput: as :func:`blocks.models.vocabulary.read`.
    """
    from gguf import TokenType

    found = vocabulary.read(folder, size)
    kinds = {
        "normal": TokenType.NORMAL,
        "control": TokenType.CONTROL,
        "user defined": TokenType.USER_DEFINED,
        "unused": TokenType.UNUSED,
        "byte": TokenType.BYTE,
        "unknown": TokenType.UNKNOWN,
    }
    writer.add_tokenizer_model(found.model)
    writer.add_tokenizer_pre(found.splitting)
    writer.add_token_list(found.tokens)
    writer.add_token_types([kinds[kind] for kind in found.kinds])
    if found.scores is None:
        writer.add_token_merges(found.merges)
    else:
        writer.add_token_scores(found.scores)
        writer.add_add_space_prefix(found.reading.space != "nowhere")
        writer.add_string(vocabulary.SPACE, found.reading.space)
        writer.add_bool(vocabulary.ONCE, found.reading.once)
    if found.splitting == pre_tokenizer.QWEN:
        writer.add_bool(vocabulary.NFC, found.reading.nfc)
    for role, add in (
        ("bos", writer.add_bos_token_id),
        ("eos", writer.add_eos_token_id),
        ("pad", writer.add_pad_token_id),
        ("unk", writer.add_unk_token_id),
    ):
        token = found.special.get(f"{role}_token")
        if token in found.ids:
            add(found.ids[token])
    closing = Template.of(folder).closing
    writer.add_eot_token_id(found.ids[closing])
    writer.add_add_bos_token(found.begins)
    if found.template:
        writer.add_chat_template(found.template)
