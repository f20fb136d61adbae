"""One call to one teacher: claimed, tried until it is answered or final, and settled before anybody sees the answer.

A try that the provider may have charged without an answer reaching us stays counted at its worst case, and the next try
is claimed anew. Not here: the chain of teachers (session.py), batch APIs (batches.py).
"""

import asyncio
import logging

from blocks.journal import FAILED, LOST, REJECTED
from blocks.teachers.claims import Settle
from blocks.teachers.faults import Fault, backoff, redact
from blocks.teachers.items import Item, Made, Seat, Unmade
from blocks.teachers.provider import Reply
from blocks.teachers.till import Granted, Held, Stopped, Till, answered, row

log = logging.getLogger("cogumi.teachers")
LONG_WAIT_S = 60.0  # of a wait for a limit that is told


async def ask_one(item: Item, seat: Seat, till: Till) -> Made | Unmade | Held:
    """Ask one teacher until it answers, refuses, or has used up its retries.

    Raises:
        Fault: the retries are used up, or the teacher answers nobody.
        Stopped: the session is interrupted, and nothing of this call is on its way.
    """
    retries = 0
    while True:
        claimed = await till.claim(item, seat)
        if not isinstance(claimed, Granted):
            return claimed
        try:
            end, fault, retries = await _try(item, seat, till, claimed, retries)
            await till.settle(end)
        finally:
            await till.land()
        if fault is None or fault.kind == "reject":
            return Made(row(end, seat), free=False)
        if _given_up(fault, seat, retries):
            raise fault
        await till.rest(backoff(retries, fault.wait))
        retries += 1


async def _try(item: Item, seat: Seat, till: Till, claimed: Granted, retries: int) -> tuple[Settle, Fault | None, int]:
    """Tries under one claim: until there is an end to write. Returns it, the fault that brought it, and the retries so far."""
    wait, key, sent = claimed.wait, item.keys[seat.place], False
    try:
        while True:
            _tell_wait(seat, wait)
            await till.rest(wait)
            if seat.slots is not None:
                await till.unless_stopped(seat.slots.take(item.tokens))
            try:
                sent = True
                reply = await _complete(item, seat)
            except Fault as fault:
                sent = False
                fault.reason = redact(fault.reason, till.secrets)
                if fault.kind == "reject":
                    return Settle(key, claimed.number, REJECTED, 0, retries=retries, reject=fault.reason), fault, retries
                if fault.billed or _given_up(fault, seat, retries):
                    state = LOST if fault.billed else FAILED
                    return Settle(key, claimed.number, state, 0, retries=retries, reject=fault.reason), fault, retries
                turn = await till.turn(item, seat, fault.wait or 0.0 if fault.limited else 0.0)
                wait = max(backoff(retries, fault.wait), turn)
                retries += 1
            else:
                worst = seat.worst(item, batch=False)
                return answered(till, seat, key, claimed.number, worst, retries, reply), None, retries
    except (Stopped, asyncio.CancelledError):
        if not sent:  # nobody is billed for it: its reservation is given back
            await till.settle(Settle(key, claimed.number, FAILED, 0, retries=retries, reject="interrupted before it was sent"))
        raise


def _tell_wait(seat: Seat, seconds: float) -> None:
    """Say once that a teacher's limits make calls wait long."""
    if seconds >= LONG_WAIT_S and not seat.told_wait:
        seat.told_wait = True
        log.warning("teacher %s: calls wait for its limits, the next one %d s", seat.name, seconds)


async def _complete(item: Item, seat: Seat) -> Reply:
    """One try, within the teacher's time."""
    try:
        async with asyncio.timeout(seat.settings.timeout_s):
            return await seat.client.complete(seat.call(item))
    except TimeoutError:
        raise Fault("retry", f"no answer in {seat.settings.timeout_s:g} s", billed=True) from None


def _given_up(fault: Fault, seat: Seat, retries: int) -> bool:
    return fault.kind == "unavailable" or retries >= seat.settings.max_retries or (fault.wait or 0) > seat.settings.timeout_s
