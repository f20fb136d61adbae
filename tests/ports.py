"""Ports for servers that a test starts."""

import socket

from deployments.up.servers.own_server import keep_port

_kept: list[socket.socket] = []


def free_port() -> int:
    """A loopback port, kept from everybody else until these tests end: a server that is started needs seconds to take
    it."""
    _kept.append(keep_port())
    port: int = _kept[-1].getsockname()[1]
    return port
