"""The export of a pruned model that packs smallest: of the mixtures that keep zeros, measured, not assumed.

Not here: whether it answers as well (the ledger).
"""

from blocks.records import Artifact
from configs.errors import BadInput
from configs.phases.compression import Packing
from tasks.compression.export.gguf_write import to_gguf
from tasks.compression.export.mixtures import KEEPS_ZEROS
from tasks.compression.packing.zstd import pack
from tasks.step import step


@step(version=1)
def smallest_packed(
    model: Artifact, quantisations: list[str], packing: Packing, importance: Artifact | None = None
) -> Artifact:
    """``model`` as GGUF in the mixture of ``quantisations`` that zstd makes smallest; the first of equals.

    Raises:
        BadInput: none given, or one that loses zeros.
    """
    losing = [one for one in quantisations if one not in KEEPS_ZEROS]
    if losing or not quantisations:
        raise BadInput(
            f"gguf.sparse names {', '.join(losing) or 'nothing'}; choose of {', '.join(sorted(KEEPS_ZEROS))}, whose "
            "zeros stay zero"
        )
    exports = [to_gguf.fn(model, one, importance) for one in quantisations]
    sizes = [pack.fn([export], packing).bytes for export in exports]
    return exports[sizes.index(min(sizes))]
