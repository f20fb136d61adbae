"""Run a coroutine to its end from any thread, also one with a running event loop. Not here: what runs."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def apart(run: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine on a thread with an event loop of its own, in this caller's context; an interrupt here cancels it
    there and waits until it has put its records in order."""
    result: list[T] = []
    errors: list[BaseException] = []
    loop = asyncio.new_event_loop()

    def body() -> None:
        asyncio.set_event_loop(loop)
        try:
            result.append(loop.run_until_complete(task))
        except BaseException as error:
            errors.append(error)
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    task = loop.create_task(run())
    thread = threading.Thread(target=body, name="cogumi-teachers", daemon=True)
    thread.start()
    try:
        thread.join()
    except BaseException:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        raise
    if errors:
        raise errors[0]
    return result[0]
