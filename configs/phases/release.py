"""Settings of the release phase."""

from configs.settings import Settings, runtime, setting


class Release(Settings):
    """What a release holds and how it answers."""

    title: str = setting("name of the released system on its card")
    license: str = setting("licence of the released weights, for the card")
    size_limit_mib: float = setting("gate: most MiB of the whole release folder", gt=0)
    context_tokens: int = setting("longest conversation that is served, prompt and answer, tokens", ge=64)
    answer_tokens: int = setting("longest answer, tokens", ge=1)
    min_routed_minus_base: float = setting("gate: least paired difference in exact match, routed minus base alone (lower end of the 95% interval)", ge=-1, le=1)
    keep: int = runtime("how many earlier releases stay listed for a rollback", ge=0)
    threads: int = runtime("threads that llama.cpp answers with", ge=1)
