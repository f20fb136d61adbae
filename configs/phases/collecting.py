"""Settings of collecting: which public sources are read, how much of each."""

from configs.settings import Settings, setting


class SourceQuota(Settings):
    """One public source (tasks/data/collect/sources.py knows where it lies, its licence and its shape)."""

    records: int = setting("records read from the source, in its own order", gt=0)
    keep: int = setting("records kept, the best by the quality heuristic (tasks/data/collect/quality.py)", gt=0)
    files: tuple[str, ...] = setting("local files (glob patterns) that are read instead of the hub; none = the hub")


class Collecting(Settings):
    """Public records. No source = nothing is collected, nothing is downloaded."""

    sources: dict[str, SourceQuota] = setting("sources by name")
    fill: bool = setting(
        "whether public records fill what the teachers left short; otherwise they are collected but only counted"
    )
