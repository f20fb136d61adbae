"""How an answer is judged: one file per kind of check. ``check`` judges one answer, ``check_all`` many at once."""

from blocks.checkers.judge import check, check_all

__all__ = ["check", "check_all"]
