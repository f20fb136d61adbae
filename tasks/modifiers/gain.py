"""What a modifier gains in its own domains and loses elsewhere, through llama.cpp on held-out questions, and whether it
is released.

Paired over the questions against the base without it. The questions are held out, and are not the test questions, on
which the release is judged: a choice among modifiers made there would flatter it. Not here: the evaluations themselves.
"""

from collections.abc import Sequence

from blocks.records import Answered, Artifact, Interval
from blocks.verdicts import Gain
from configs.errors import BadInput
from configs.phases.modifiers import Acceptance
from tasks.evaluation.evaluate import read_answers
from tasks.evaluation.statistics import paired_difference
from tasks.step import step


@step(version=1)
def gain(
    name: str, domains: list[str], base: Artifact, adapted: Artifact, settings: Acceptance, resamples: int, seed: int
) -> Gain:
    """Compare two evaluations of the same questions and apply the acceptance rule. ``resamples``, ``seed``: of the
    bootstrap.

    Raises:
        BadInput: the evaluations are of different questions, or none is of the modifier's domains.
    """
    before, after = read_answers(base), read_answers(adapted)
    if [answer.question for answer in before] != [answer.question for answer in after]:
        raise BadInput(
            f"modifier {name}: {base.short} and {adapted.short} answer different questions; evaluate both on the same"
        )
    pairs = list(zip(before, after, strict=True))
    inside = [pair for pair in pairs if pair[0].domain in domains]
    elsewhere = [pair for pair in pairs if pair[0].domain not in domains]
    if not inside:
        raise BadInput(
            f"modifier {name}: no question of {', '.join(domains)} in {base.short}; evaluate it on its own domains"
        )

    def difference(chosen: Sequence[tuple[Answered, Answered]]) -> Interval:
        return paired_difference(
            [first.correct for first, _ in chosen],
            [second.correct for _, second in chosen],
            seed=seed,
            resamples=resamples,
        )

    won = difference(inside)
    lost = difference(elsewhere) if elsewhere else None
    accepted, reason = verdict(won, lost, settings)
    return Gain(
        modifier=name,
        domains=tuple(domains),
        inside_base=_share(inside, 0),
        inside_modifier=_share(inside, 1),
        inside=won,
        elsewhere_base=_share(elsewhere, 0),
        elsewhere_modifier=_share(elsewhere, 1),
        elsewhere=lost,
        by_domain={
            domain: difference([pair for pair in pairs if pair[0].domain == domain])
            for domain in sorted({pair[0].domain for pair in pairs})
        },
        accepted=accepted,
        reason=reason,
    )


def verdict(inside: Interval, elsewhere: Interval | None, settings: Acceptance) -> tuple[bool, str]:
    """Whether the modifier is released, and why, with the numbers."""
    if not inside.low > settings.minimum_gain:
        return False, f"rejected: its gain {_text(inside)} is not surely above {settings.minimum_gain:+.1%}"
    if elsewhere is not None and elsewhere.mean < -settings.allowed_loss:
        return (
            False,
            f"rejected: elsewhere it changes {_text(elsewhere)}, more than {settings.allowed_loss:.1%} may be lost",
        )
    return True, f"accepted: it gains {_text(inside)}" + (
        f" and changes {_text(elsewhere)} elsewhere" if elsewhere else ""
    )


def _share(pairs: Sequence[tuple[Answered, Answered]], which: int) -> float:
    return sum(pair[which].correct for pair in pairs) / len(pairs) if pairs else 0.0


def _text(interval: Interval) -> str:
    return f"{interval.mean:+.1%} [{interval.low:+.1%}, {interval.high:+.1%}]"
