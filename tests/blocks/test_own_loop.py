"""A coroutine on a thread of its own: its end is waited for, whatever interrupts the wait."""

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from blocks.own_loop import apart


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Tests that run in the background have inherited that SIGINT is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_lets_it_end_by_itself() -> None:
    done: list[str] = []
    stopped: list[asyncio.Event] = []

    async def work() -> None:
        stopped.append(asyncio.Event())
        interrupt()
        await stopped[0].wait()
        await asyncio.sleep(0.05)  # what is on its way arrives
        done.append("ended")

    with pytest.raises(KeyboardInterrupt):
        apart(work, lambda: stopped[0].set())
    assert done == ["ended"]


def test_without_a_stop_it_is_cancelled_and_waited_for() -> None:
    done: list[str] = []

    async def work() -> None:
        interrupt()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            done.append("in order")

    with pytest.raises(KeyboardInterrupt):
        apart(work)
    assert done == ["in order"]


def test_a_second_interrupt_cancels_what_does_not_end() -> None:
    done: list[str] = []

    async def work() -> None:
        interrupt()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            done.append("cancelled")
            raise

    with pytest.raises(KeyboardInterrupt):
        apart(work, interrupt)  # told to stop, it is interrupted once more
    assert done == ["cancelled"]


def test_what_it_leaves_behind_is_ended_too() -> None:
    ended: list[str] = []

    async def left() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("left")

    async def work() -> int:
        task = asyncio.create_task(left())
        await asyncio.sleep(0)
        return id(task)

    assert apart(work)
    assert ended == ["left"]


def test_an_error_reaches_the_caller() -> None:
    async def work() -> None:
        raise ValueError("told")

    with pytest.raises(ValueError, match="told"):
        apart(work)
