"""The words that settings and records share: the domains and how hard a question is."""

from typing import Literal, get_args

Domain = Literal["coding", "math", "tool_use", "reasoning", "reading", "summarization", "common_sense", "instruction"]
Difficulty = Literal["easy", "hard"]
DOMAINS: tuple[Domain, ...] = get_args(Domain)
