"""Settings of the release phase."""

from typing import Literal

from configs.settings import Settings, runtime, setting


class Release(Settings):
    """What a release holds and how it answers."""

    title: str = setting("name of the released system on its card")
    license: str = setting("licence of the released weights, for the card")
    size_limit_mib: float = setting("gate: most MiB of the whole release folder", gt=0)
    context_tokens: int = setting("longest conversation that is served, prompt and answer, tokens", ge=64)
    answer_tokens: int = setting("longest answer, tokens", ge=1)
    packed: bool = setting(
        "ship the model packed with zstd (compression.packing), unpacked once where it answers; false ships the GGUF"
    )
    log: Literal["full", "numbers", "off"] = setting(
        "what serving writes down of each answer: full with prompt and answer (personal data; the nightly run learns "
        "from it), numbers without them, off nothing"
    )
    keep: int = runtime("how many earlier releases stay listed for a rollback", ge=0)
