"""Adapters of worked mathematics: GSM8K, MATH, MetaMathQA. The steps become thinking, the final result the response."""

from tasks.data.collect.pair import Pair, Row, each, without_calculator


def _gsm8k(row: Row) -> Pair | None:
    """``question``; ``answer`` = steps, then ``#### result``."""
    steps, marker, result = row["answer"].rpartition("####")
    return Pair(row["question"], result.strip(), without_calculator(steps).strip()) if marker else None


def _math(row: Row) -> Pair | None:
    """``problem``; ``solution``, whose last ``\\boxed{…}`` is the result."""
    result = last_boxed(row["solution"])
    return Pair(row["problem"], result, row["solution"].strip()) if result else None


def _metamath(row: Row) -> Pair | None:
    """``query``; ``response`` = steps, then ``The answer is: result``."""
    steps, marker, result = row["response"].rpartition("The answer is:")
    return Pair(row["query"], result.strip(), without_calculator(steps).strip()) if marker else None


def last_boxed(solution: str) -> str | None:
    """The content of the last ``\\boxed{…}`` or ``\\fbox{…}``, braces inside it matched; None where there is none."""
    start = max(solution.rfind("\\boxed{"), solution.rfind("\\fbox{"))
    if start < 0:
        return None
    begin = solution.index("{", start)
    depth = 0
    for place in range(begin, len(solution)):
        depth += {"{": 1, "}": -1}.get(solution[place], 0)
        if depth == 0:
            return solution[begin + 1 : place].strip() or None
    return None


gsm8k, math, metamath = each(_gsm8k), each(_math), each(_metamath)
