"""A step of which every request was refused has met a fault of the teacher or of the settings, not so many bad
requests.

Not here: what is done with single refusals (the steps).
"""

from collections import Counter
from collections.abc import Sequence

from blocks.teachers.calling.ask import Answer
from blocks.teachers.calling.items import CUT_OFF
from configs.errors import BadInput


def unless_all_refused(answers: Sequence[Answer], what: str) -> None:
    """Go on if any of ``answers``, the last one to each request, is one, if only cut off, or if there are none.

    Raises:
        BadInput: none is; with the teacher's own words, and so that nothing empty is kept for good.
    """
    reasons = Counter(answer.reject for answer in answers)
    if not answers or None in reasons or CUT_OFF in reasons:
        return
    reason, count = reasons.most_common(1)[0]
    teachers = ", ".join(sorted({answer.call.teacher for answer in answers}))
    raise BadInput(
        f"{what}: all {len(answers)} requests were refused by {teachers}, {count} of them with: {reason}; mend the "
        "account or the settings "
        "(max_tokens, model, prompts) and run again: a refusal is asked again when what was sent has changed"
    )
