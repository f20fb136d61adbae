"""Group commit: operations that arrive while a transaction is being synced to disk share the next one.

Not here: what the operations do (claims.py).
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from blocks.journal.journal import Journal
from blocks.teachers.paying.claims import Operation, Result, apply


class Writer:
    """Carries operations of one event loop to the journal, on a thread of its own."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._waiting: list[tuple[Operation, asyncio.Future[Result]]] = []
        self._carrier: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "cogumi-journal")

    async def do(self, operation: Operation) -> Result:
        """The operation's result, once it is durable."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((operation, future))
        if self._carrier is None:
            self._carrier = asyncio.create_task(self._carry())
        return await future

    async def _carry(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                try:
                    results = await asyncio.get_running_loop().run_in_executor(
                        self._thread, apply, self._journal, [operation for operation, _ in batch]
                    )
                except BaseException as error:
                    for _, future in batch:
                        if not future.done():
                            future.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
                    if not isinstance(error, Exception):
                        raise
                    continue
                for (_, future), result in zip(batch, results, strict=True):
                    if not future.done():
                        future.set_result(result)
        finally:
            self._carrier = None

    async def close(self) -> None:
        """Carry what is waiting, so that an answer that was paid for is kept even when its asker was cancelled."""
        while self._carrier is not None:
            await asyncio.wait([self._carrier])
        self._thread.shutdown(wait=True)
