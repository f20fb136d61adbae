"""One call to one teacher: claimed, tried until it is answered or final, and settled before anybody sees the answer.

A try that the provider may have charged without an answer reaching us stays counted at its worst case, and the next try
is claimed anew: under the same Idempotency-Key where the provider then bills both once (repeats.py).
Not here: the chain of teachers (session.py), batch APIs (batches.py).
"""

import asyncio
import logging
from dataclasses import replace

from blocks.journal.journal import FAILED, LOST, REJECTED
from blocks.teachers.calling import refusals
from blocks.teachers.calling.faults import NOT_UNICODE, Fault, backoff, clean, redact, unexpected
from blocks.teachers.calling.items import Item, Made, Seat, Unmade
from blocks.teachers.paying.claims import Settle
from blocks.teachers.paying.till import Granted, Held, Stopped, Till, answered, row
from blocks.teachers.provider import Reply
from configs.errors import CogumiError

log = logging.getLogger("cogumi.teachers")
LONG_WAIT_S = 60.0  # of a wait for a limit that is told


async def ask_one(item: Item, seat: Seat, till: Till) -> Made | Unmade | Held:
    """Ask one teacher until it answers, refuses, or has used up its retries.

    Raises:
        Fault: the retries are used up, or the teacher answers nobody.
        Stopped: the session is interrupted, and nothing of this call is on its way.
    """
    tries = _Tries(seat)
    while True:
        claimed = await till.claim(item, seat)
        if not isinstance(claimed, Granted):
            return claimed
        try:
            end, fault = await _try(item, seat, till, claimed, tries)
            repeatable = fault is not None and fault.repeatable
            await till.settle(replace(end, name=claimed.name, answers=fault is None, repeatable=repeatable))
        finally:
            await till.land()
        if fault is None or end.state == REJECTED:
            return Made(row(end, seat), free=False)
        if tries.given_up(fault):
            raise fault
        await till.rest(backoff(tries.retries, fault.wait))
        tries.retries += 1


class _Tries:
    """The tries of one request with one teacher."""

    def __init__(self, seat: Seat) -> None:
        self.retries = 0
        self._seat, self._first_fault = seat, -1

    def given_up(self, fault: Fault) -> bool:
        """Whether this teacher is not asked again for this request."""
        return (
            fault.kind == "unavailable"
            or self.retries >= self._seat.settings.max_retries
            or self._seat.too_long(fault.wait)
        )

    def own(self, fault: Fault) -> bool:
        """Whether a fault that does not say so is the request's own: the tries are used up, and the teacher answered a
        call that began after the first of them had failed, so that account, key, model and settings are well."""
        if self._first_fault < 0:
            self._first_fault = self._seat.started
        odd = fault.kind == "unclear" or (fault.kind == "retry" and fault.unreadable)
        return odd and self.retries >= self._seat.settings.max_retries and self._seat.answered > self._first_fault


async def _try(item: Item, seat: Seat, till: Till, claimed: Granted, tries: _Tries) -> tuple[Settle, Fault | None]:
    """Tries under one claim: until there is an end to write. Returns it, and the fault that brought it."""
    wait, key, worst, sent = claimed.wait, item.keys[seat.place], seat.worst(item, batch=False), False
    try:
        while True:
            _tell_wait(seat, wait)
            await till.rest(wait)
            if seat.slots is not None:
                await till.unless_stopped(seat.slots.take(item.tokens))
            seat.started += 1
            ticket = seat.started
            try:
                sent = True
                reply = await _complete(item, seat, claimed.name)
                seat.answered = max(seat.answered, ticket)
                return answered(
                    till=till,
                    seat=seat,
                    key=key,
                    number=claimed.number,
                    worst=worst,
                    retries=tries.retries,
                    reply=reply,
                ), None
            except Fault as found:
                fault, sent = found, False
            fault.reason = redact(fault.reason, till.secrets)
            if fault.kind == "reject":
                return Settle(
                    key,
                    claimed.number,
                    REJECTED,
                    worst if fault.billed else 0,
                    retries=tries.retries,
                    reject=fault.reason,
                ), fault
            if tries.own(fault):
                reason = (
                    f"unreadable: {fault.reason}"
                    if fault.unreadable
                    else refusals.declined(fault.reason, seat.settings)
                )
                return Settle(
                    key, claimed.number, REJECTED, worst if fault.billed else 0, retries=tries.retries, reject=reason
                ), fault
            if fault.billed or tries.given_up(fault) or (claimed.name is not None and not fault.repeatable):
                return Settle(
                    key, claimed.number, LOST if fault.billed else FAILED, 0, retries=tries.retries, reject=fault.reason
                ), fault
            turn = await till.turn(item, seat, fault.wait or 0.0 if fault.limited else 0.0)
            wait = max(backoff(tries.retries, fault.wait), turn)
            tries.retries += 1
    except (Stopped, asyncio.CancelledError):
        if not sent:  # nobody is billed for it: its reservation is given back
            reason = "interrupted before it was sent"
            await till.settle(Settle(key, claimed.number, FAILED, 0, retries=tries.retries, reject=reason))
        raise


def _tell_wait(seat: Seat, seconds: float) -> None:
    """Say once that a teacher's limits make calls wait long."""
    if seconds >= LONG_WAIT_S and not seat.told_wait:
        seat.told_wait = True
        log.warning("teacher %s: calls wait for its limits, the next one %d s", seat.name, seconds)


async def _complete(item: Item, seat: Seat, name: str | None) -> Reply:
    """One try, within the teacher's time. Whatever a reply does to whoever reads it, it is a fault of this call."""
    if any(clean(message.content) != message.content.replace("\x00", "\ufffd") for message in item.messages):
        raise Fault("reject", NOT_UNICODE)
    try:
        async with asyncio.timeout(seat.settings.timeout_s):
            reply = await seat.client.complete(seat.call(item, name))
        clean(reply.text + (reply.refused or ""))  # of a provider that is not ours: a text
        return reply
    except TimeoutError:
        raise Fault("retry", f"no answer in {seat.settings.timeout_s:g} s", billed=True, unanswered=True) from None
    except (Fault, CogumiError):
        raise
    except Exception as error:
        raise unexpected(error, "the answer") from None
