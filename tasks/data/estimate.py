"""What the dataset phase will ask and take, from its settings alone. The same plan, prompts and rounds as the steps
themselves.

Not here: adding phases up, and refusing what cannot be (deployments/commands/plan.py).
"""

import math

from blocks.estimates.calls import Asked, Estimate, Work, ask, lengths
from blocks.estimates.hardware import PROCESS_BYTES
from blocks.models.template import Message
from blocks.records import Difficulty
from configs.phases.data import Answers, Data
from configs.phases.teachers import Teachers
from tasks.data.write import prompts
from tasks.data.write.plan import Cell, share_out

REPEATED = 0.04  # share of written questions that came before and are asked for again, measured in a nano run
UNREADABLE = 0.006  # share of replies without the shape asked for, measured in a nano run
VALID = 0.93  # share of questions that reach every minimum, measured in a nano run; real teachers may differ
ROW_BYTES = 700.0  # of an example with metadata and lineage beside its texts
COPIES = 9  # steps that each write the rows down once
LEAST_KEPT = 0.5  # of the rows wanted pass at the least; the gate or public sources make up for the rest
ROWS_PER_SECOND = 500.0  # filters, near-duplicates, balance and split on one core, measured in a nano run
ROW_MEMORY = 30_000.0  # bytes a row takes in memory while near-duplicates are sought, measured in a nano run


def estimate(settings: Data, teachers: Teachers) -> Estimate:
    """Calls, dollars, time and space of the dataset phase.

    Raises:
        BadInput: a domain that Cogumi does not know.
    """
    calls = asked(settings, teachers)
    examples = sum(cell.ask for cell in share_out(settings.planning)) * VALID + sum(
        source.keep for source in settings.collecting.sources.values()
    )
    known = lengths(teachers.models[teachers.roles["judge"][0]])
    mean = known.easy_characters + (known.hard_characters - known.easy_characters) * settings.planning.hard_share
    work = Work(
        step="filters to split",
        on="cpu",
        seconds=examples / ROWS_PER_SECOND,
        memory_bytes=PROCESS_BYTES + examples * ROW_MEMORY,
        disk_bytes=COPIES * examples * (ROW_BYTES + mean),
    )
    waiting = Work(
        step="teacher calls",
        on="cpu",
        seconds=sum(one.seconds for one in calls),
        memory_bytes=PROCESS_BYTES,
        disk_bytes=sum(one.calls for one in calls) * 1500,
    )
    return Estimate(
        phase="dataset",
        asked=tuple(calls),
        work=(waiting, work),
        assumptions=(
            f"lengths of texts: {known.source}",
            f"{VALID:.0%} of the questions are valid, {REPEATED:.0%} are repeated, {UNREADABLE:.1%} of the replies "
            "unreadable (measured in a nano run, assumed of other teachers)",
            "at most: every round and attempt is used, every question is valid, each call is answered at full length "
            "by the dearest teacher of its chain with prompts twice as "
            "long; calls lost in flight come on top, up to teachers.cap_dollars",
        ),
    )


def asked(settings: Data, teachers: Teachers) -> list[Asked]:
    """What the dataset phase asks the teachers.

    Raises:
        BadInput: a domain that Cogumi does not know.
    """
    cells = share_out(settings.planning)
    return [
        *_questions(cells, settings, teachers),
        *_ratings(cells, settings, teachers),
        *_answers(cells, "easy", settings.answering.easy, teachers),
        *_answers(cells, "hard", settings.answering.hard, teachers),
        *_scores(cells, settings, teachers),
    ]


def _questions(cells: list[Cell], settings: Data, teachers: Teachers) -> list[Asked]:
    writing = settings.writing
    once = sum(math.ceil(cell.ask / writing.batch) for cell in cells)
    cell = cells[0]
    template = _text(prompts.write_questions(cell.domain, cell.difficulty, cell.topics[0], writing.batch, 10_000))
    most = once * (writing.rounds + 1) * writing.attempts
    written = {"question": writing.batch * 1.28}  # each in quotes, with a comma
    return ask(
        "questions",
        teachers,
        calls=once * (1 + REPEATED),
        most_calls=most,
        least_calls=once,
        template=template,
        read={},
        written=written,
        max_tokens=writing.max_tokens,
    )


def _ratings(cells: list[Cell], settings: Data, teachers: Teachers) -> list[Asked]:
    count, how = sum(cell.ask for cell in cells), settings.validating
    template = _text(prompts.validate(cells[0].domain, cells[0].difficulty, ""))
    return ask(
        "validate",
        teachers,
        calls=count * (1 + UNREADABLE),
        most_calls=count * how.attempts,
        least_calls=_wanted(cells),
        template=template,
        read={"question": 1},
        written={"rating": 1},
        max_tokens=how.max_tokens,
    )


def _answers(cells: list[Cell], difficulty: Difficulty, how: Answers, teachers: Teachers) -> list[Asked]:
    mine = [cell for cell in cells if cell.difficulty == difficulty]
    if not mine:
        return []
    count = sum(cell.ask for cell in mine)
    template = _text(
        (prompts.answer if difficulty == "easy" else prompts.answer_with_draft)(mine[0].domain, difficulty, "")
    )
    return ask(
        f"answer_{difficulty}",
        teachers,
        calls=count * VALID * (1 + UNREADABLE),
        most_calls=count * how.attempts,
        least_calls=_wanted(mine),
        template=template,
        read={"question": 1},
        written={difficulty: 1},
        max_tokens=how.max_tokens,
        shares=how.mix,
    )


def _scores(cells: list[Cell], settings: Data, teachers: Teachers) -> list[Asked]:
    count, how = sum(cell.ask for cell in cells), settings.judging
    template = _text(prompts.judge(cells[0].domain, cells[0].difficulty, "", ""))
    return ask(
        "judge",
        teachers,
        calls=count * VALID * (1 + UNREADABLE),
        most_calls=count * how.attempts,
        least_calls=_wanted(cells),
        template=template,
        read={"question": 1, "easy": 1},
        written={"rating": 1},
        max_tokens=how.max_tokens,
    )


def _wanted(cells: list[Cell]) -> float:
    """Rows that have to pass at the least."""
    return LEAST_KEPT * sum(cell.keep for cell in cells)


def _text(messages: tuple[Message, ...]) -> str:
    return " ".join(message.content for message in messages)
