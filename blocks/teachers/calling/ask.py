"""Ask teachers: the public calls. ``ask`` answers every request once, from the journal where it can, under one cap.

Not here: the path of a call (one_call.py), reading structured answers (parsing.py), what to ask (tasks/), what was
spent so far (summary.py).
"""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Generic, TypeVar

from pydantic import BaseModel

from blocks.journal.budget import to_dollars
from blocks.journal.journal import ANSWERED, REJECTED, Journal, Row
from blocks.models.template import Message
from blocks.own_loop import apart
from blocks.progress import progress
from blocks.records import CallRef, Record
from blocks.teachers.calling import live_sessions
from blocks.teachers.calling.items import CUT_OFF, Item, Made, Unmade
from blocks.teachers.calling.items import key as key_of_request
from blocks.teachers.calling.refusals import reopen
from blocks.teachers.calling.session import Session
from blocks.teachers.replies.parsing import parse
from blocks.teachers.reporting import this_run
from blocks.teachers.reporting.page import leave_page
from blocks.teachers.reporting.summary import spent
from configs.errors import BadInput, Transient
from configs.phases.teachers import Teachers

M = TypeVar("M", bound=BaseModel)


class Request(Record):
    """What to ask. ``purpose`` is for people and lineage only; a higher ``attempt`` asks the same again, for another
    answer."""

    purpose: str
    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float
    attempt: int = 0


class Answer(Record):
    """What a teacher said. ``call.dollars`` is the price of the call whenever it was paid. ``reject``: why there is no
    usable answer (every teacher refused, or the text is cut off); ``text`` then is empty or partial. ``from_journal``
    depends on earlier runs: do not write it into an artifact."""

    call: CallRef
    text: str
    model: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    from_journal: bool
    reject: str | None

    @property
    def cut_off(self) -> bool:
        """Whether the text ends at its longest length."""
        return self.reject == CUT_OFF


class Parsed(Record, Generic[M]):
    """A structured answer: ``value``, or why there is none. ``answer`` is the last one; ``answers`` are all
    attempts."""

    value: M | None
    answer: Answer
    answers: tuple[Answer, ...]
    reject: str | None


def ask(requests: Sequence[Request], role: str, teachers: Teachers) -> list[Answer]:
    """The answers to ``requests``, in their order, by the teachers of ``role``. Equal requests are asked once.

    Works anywhere, also inside a running event loop. Everything that was answered before an error is in the journal, so
    that asking again pays only for the rest.

    Raises:
        BadInput: unknown role, a teacher without a key (before any call), or every teacher of the chain is unusable.
        BudgetSpent: the cap leaves no room for the rest; all that fits was answered first.
        Transient: some requests found every teacher failing in a way that can pass.
    """
    if role not in teachers.roles:
        raise BadInput(f"no teacher has the role {role!r} in teachers.roles; there are: {', '.join(teachers.roles)}")
    teachers = teachers.only(role)
    if any(model.block is not None for model in teachers.models.values()):
        from blocks.teachers.block import with_blocks

        teachers = with_blocks(teachers)
    chain = [teachers.models[name] for name in teachers.roles[role]]
    items = [
        Item(
            purpose=r.purpose,
            messages=r.messages,
            max_tokens=r.max_tokens,
            temperature=r.temperature,
            attempt=r.attempt,
            keys=tuple(key_of_request(model, r.messages, r.max_tokens, r.temperature, r.attempt) for model in chain),
        )
        for r in requests
    ]
    journal = Journal(teachers.journal)
    try:
        known = reopen(journal, journal.find([key for item in items for key in item.keys]), items, chain)
        made: dict[str, Made | Unmade] = {}
        for item in items:
            if (row := _recorded(item, known)) is not None:
                made[item.keys[0]] = Made(row, free=True)
        todo = list({item.keys[0]: item for item in items if item.keys[0] not in made}.values())
        if todo:
            with progress(f"asking {role}", len(todo)) as advance:
                session = Session(
                    journal, teachers, role, {row.teacher for row in known.values() if row.state == ANSWERED}
                )
                answers = apart(lambda: session.run(todo, advance), session.stop)
                made.update(zip((item.keys[0] for item in todo), answers, strict=True))
        hits = Counter(found.row.teacher for found in made.values() if isinstance(found, Made) and found.free)
        live_sessions.count_hits(journal, teachers.account, hits)
        this_run.note(role, hits, _new(todo, made, known, journal))
        _raise_unmade([made[item.keys[0]] for item in todo], role, teachers, journal)
        return _answers(items, made)
    finally:
        journal.close()


def ask_parsed(
    requests: Sequence[Request], role: str, teachers: Teachers, model: type[M], attempts: int
) -> list[Parsed[M]]:
    """Structured answers: the JSON object in each answer (by the rule of parsing.py), as ``model``. What does not parse
    is asked again, up to ``attempts`` times in all, and then kept as a reject with its reason. Raises as
    :func:`ask`."""
    history: list[list[Answer]] = [[] for _ in requests]
    values: list[M | None] = [None] * len(requests)
    reasons: list[str | None] = [None] * len(requests)
    open_at = list(range(len(requests)))
    for attempt in range(attempts):
        asked = [requests[at].model_copy(update={"attempt": requests[at].attempt + attempt}) for at in open_at]
        again = []
        for at, answer in zip(open_at, ask(asked, role, teachers) if asked else [], strict=True):
            history[at].append(answer)
            values[at], reasons[at] = parse(answer.text, model)
            if answer.reject is not None and values[at] is None:
                reasons[at] = answer.reject
            if values[at] is None and (answer.reject is None or answer.cut_off):
                again.append(at)
        open_at = again
    return [
        Parsed(value=value, answer=answers[-1], answers=tuple(answers), reject=reason)
        for value, answers, reason in zip(values, history, reasons, strict=True)
    ]


def dollars(answers: Sequence[Answer]) -> Decimal:
    """What the calls behind ``answers`` cost, each call once, whether this run paid or an earlier one: the dollars of
    an artifact made from them. It is the same whenever the artifact is made; the account (summary.py) is what was
    spent."""
    return sum({answer.call.call: answer.call.dollars for answer in answers}.values(), Decimal(0))


def paid(answers: Sequence[Answer]) -> Decimal:
    """What was paid newly for ``answers``: each call once, without those that stood in the journal."""
    return dollars([answer for answer in answers if not answer.from_journal])


def _recorded(item: Item, known: dict[str, Row]) -> Row | None:
    """The first answer in the order of the chain; a refusal only when every teacher's is recorded."""
    rows = [known.get(key) for key in item.keys]
    answered = next((row for row in rows if row is not None and row.state != REJECTED), None)
    return answered or (rows[-1] if all(row is not None for row in rows) else None)


def _new(todo: Sequence[Item], made: dict[str, Made | Unmade], known: dict[str, Row], journal: Journal) -> list[Row]:
    """The calls that were made for ``todo``, the refusals of teachers before the one that answered included."""
    found = [(item, made[item.keys[0]]) for item in todo]
    passed_over = [
        key
        for item, one in found
        for key in (item.keys[: item.keys.index(one.row.key)] if isinstance(one, Made) else item.keys)
    ]
    return [one.row for _, one in found if isinstance(one, Made) and not one.free] + [
        row for key, row in journal.find(passed_over).items() if key not in known
    ]


def _answers(items: Sequence[Item], made: dict[str, Made | Unmade]) -> list[Answer]:
    answers, seen = [], set()
    for item in items:
        found = made[item.keys[0]]
        assert isinstance(found, Made)
        row = found.row
        answers.append(
            Answer(
                call=CallRef(call=row.key, teacher=row.teacher, purpose=item.purpose, dollars=to_dollars(row.price)),
                text=row.text,
                model=row.model,
                prompt_tokens=row.prompt_tokens,
                cached_tokens=row.cached_tokens,
                completion_tokens=row.completion_tokens,
                from_journal=found.free or row.key in seen,
                reject=row.reject,
            )
        )
        seen.add(row.key)
    return answers


def _raise_unmade(made: Sequence[Made | Unmade], role: str, teachers: Teachers, journal: Journal) -> None:
    """One clear error for what could not be answered, if anything."""
    unmade = [found for found in made if isinstance(found, Unmade)]
    over = [found.over for found in unmade if found.over is not None]
    if over:
        stopped = spent(journal, teachers, role, over)
        leave_page(f"**Stopped:** {stopped}\n\n", teachers)
        raise stopped
    if unmade:
        line = (
            f"{len(unmade)} of {len(made)} requests for {role} found no teacher: {unmade[0].reason}; what was "
            "answered is kept, run again for the rest"
        )
        raise Transient(line) if any(found.passing for found in unmade) else BadInput(line)
