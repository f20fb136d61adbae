"""What an engine computes with: all that changes an answer and is not the weights. It stands in release.json, and
evaluation and serving make their engine from it, so that what is measured is what is served.

Not here: what only changes the speed (threads, slots, devices: loading.py), making an engine of it (loading.py).
"""

from typing import Literal

from pydantic import Field

from blocks.records import Record
from configs.phases.evaluation import CacheType

Kind = Literal["llama.cpp", "transformers", "vllm", "http"]


class EngineDescription(Record):
    """Who answers, and with what.

    ``context``: longest prompt and answer together, tokens. ``cache_type_k``, ``cache_type_v``: type of the stored keys
    and values, for llama.cpp; ``dtype``: type in which the others compute. ``template``: the chat format by name,
    ``stop``: the tokens that end an answer, as the model itself has them; for the reader. ``scales``: what each adapter
    is multiplied with, 1 where it is not named. ``draft_tokens``: longest proposal of the draft model, None without
    one.
    """

    kind: Kind
    context: int
    cache_type_k: CacheType = "f16"
    cache_type_v: CacheType = "f16"
    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    template: str | None = None
    stop: tuple[str, ...] = ()
    scales: dict[str, float] = Field(default_factory=dict)
    draft_tokens: int | None = None

    @property
    def named(self) -> str:
        """For people, such as "llama.cpp with f16 keys and f16 values"."""
        if self.kind == "llama.cpp":
            return f"llama.cpp with {self.cache_type_k} keys and {self.cache_type_v} values"
        return self.kind + (f" in {self.dtype}" if self.dtype else "")
