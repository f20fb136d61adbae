"""Ports for servers that a test starts a moment later. Not those that the kernel gives to whoever asks for any: another would get it meanwhile."""

import itertools
import os
import socket

FIRST, EACH = 21_000, 1_000  # below Linux's ephemeral ports; so many for each of ten processes that run tests
_base = FIRST + EACH * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 10)
_next = itertools.count(os.getpid() * 37)  # several sessions on one machine begin at different ones


def free_port() -> int:
    """A loopback port that is free, and that nobody else here will be given."""
    while True:
        port = _base + next(_next) % EACH
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
