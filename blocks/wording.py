"""What counts as the same wording. Not here: texts that are nearly the same (tasks/data/dedup/)."""


def folded(text: str) -> str:
    """Lower case, runs of whitespace as one space."""
    return " ".join(text.lower().split())
