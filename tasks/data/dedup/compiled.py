"""``compiled``: numba's ``njit`` as the kernels here use it: no Python objects, no GIL, compiled once per machine.

The machine code is cached beside the source, else in the user's cache folder, or in ``NUMBA_CACHE_DIR`` where that is
set. Where nothing can be written (a read-only image, a full disk) the kernels still run and are compiled again in every
process. Not here: parallelism. Kernels run in the caller's own threads, which the missing GIL allows.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from numba import njit, types
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.extending import intrinsic

log = logging.getLogger("cogumi.dedup")


class _Cache(FunctionCache):
    """Never stops the work: what cannot be read is compiled, what cannot be written is left out. Code is stale when any
    file of this folder changed, so that kernels may call kernels of other files here."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        stamp = tuple(
            (file.name, file.stat().st_mtime, file.stat().st_size)
            for file in sorted(Path(__file__).parent.glob("*.py"))
        )
        self._cache_file = IndexDataCacheFile(
            cache_path=self._cache_path, filename_base=self._impl.filename_base, source_stamp=stamp
        )

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The machine code for ``sig``, None where there is none to be had."""
        try:
            found = super().load_overload(sig, target_context)
        except Exception:  # whatever is wrong with it, it can be made again
            with suppress(OSError):
                self.flush()
            found = None
        if found is None:
            _tell_once()
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the machine code if the disk lets us."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            log.warning(
                "compiled code cannot be kept in %s (%s); set NUMBA_CACHE_DIR to a writable folder for faster starts",
                self.cache_path,
                error.strerror,
            )


@lru_cache(maxsize=1)
def _tell_once() -> None:
    log.warning("dedup: compiling for this processor, once, about 15 s; later runs start at once")


def compiled(function: Callable[..., Any]) -> Any:
    """Compile ``function`` at its first call for the types it is called with."""
    dispatcher: Any = njit(nogil=True, error_model="numpy")(function)
    try:
        dispatcher._cache = _Cache(function)
    except (RuntimeError, OSError):
        log.info("compiled code can be kept nowhere; set NUMBA_CACHE_DIR to a writable folder for faster starts")
    return dispatcher


@intrinsic
def ones(typing_context: Any, word: Any) -> Any:
    """The number of one bits of a uint64, as the machine's own instruction."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate
