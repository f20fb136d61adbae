"""Run a coroutine to its end from any thread, also one with a running event loop. Not here: what runs."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
GRACE_S = 10.0
"""Seconds that what is on its way has to arrive after an interrupt: as long as Docker waits before it kills."""


def apart(run: Callable[[], Coroutine[Any, Any, T]], stop: Callable[[], None] | None = None) -> T:
    """Run a coroutine on a thread with an event loop of its own, in this caller's context.

    An interrupt here (any exception that a signal handler raises) calls ``stop`` on that loop, by which the coroutine
    is to end by itself; without ``stop``, after ``GRACE_S`` or at a second interrupt it is cancelled. Either way it has
    put its records in order when the interrupt goes on to the caller.
    """
    result: list[T] = []
    errors: list[BaseException] = []
    loop = asyncio.new_event_loop()
    ended = threading.Event()  # not Thread.join: interrupted once, it takes the thread for ended (Python before 3.13)

    def body() -> None:
        asyncio.set_event_loop(loop)
        try:
            result.append(loop.run_until_complete(task))
        except BaseException as error:
            errors.append(error)
        finally:
            try:
                loop.run_until_complete(_end_others())
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.close()
            finally:
                ended.set()

    def tell(what: Callable[[], object]) -> None:
        with contextlib.suppress(RuntimeError):  # it has just ended, and its loop is closed
            loop.call_soon_threadsafe(what)

    task = loop.create_task(run())
    thread = threading.Thread(target=body, name="cogumi-teachers", daemon=True)
    try:
        thread.start()
        ended.wait()
    except BaseException:
        if thread.ident is None:  # interrupted before it began
            task.cancel()
            body()
            raise
        if stop is not None:
            tell(stop)
            with contextlib.suppress(BaseException):
                ended.wait(GRACE_S)
        tell(task.cancel)
        ended.wait()
        raise
    if errors:
        raise errors[0]
    return result[0]


async def _end_others() -> None:
    """Cancel what still runs on this loop."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for other in others:
        other.cancel()
    await asyncio.gather(*others, return_exceptions=True)
