"""An S3-compatible server of our own (moto's, in this process), and a proxy that cuts connections in the middle."""

import random
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest


class Cuts:
    """A TCP proxy on a free loopback port. Each connection is cut with ``probability`` after a random number of bytes,
    up or down, at most ``most`` of them; ``refuse`` cuts all, at once."""

    def __init__(self, host: str, port: int, probability: float, most: int, seed: int) -> None:
        self.target, self.probability, self.most, self.refuse = (host, port), probability, most, False
        self.dice, self.cut, self.lock = random.Random(seed), 0, threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                limit = self.dice.randrange(1, self.most) if self.dice.random() < self.probability else None
            if self.refuse:
                client.close()
                continue
            try:
                server = socket.create_connection(self.target)
            except OSError:
                client.close()
                continue
            left = [limit]
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._copy, args=(source, target, left), daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket, left: list[int | None]) -> None:
        with suppress(OSError):
            while data := source.recv(4096):
                if left[0] is not None:
                    if len(data) >= left[0]:
                        target.sendall(data[: left[0]])
                        with self.lock:
                            self.cut += 1
                        break
                    left[0] -= len(data)
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        self.listener.close()


@contextmanager
def server() -> Iterator[tuple[str, int]]:
    """A fresh S3 server's host and port."""
    pytest.importorskip("s3fs", reason="the S3 driver is not installed: pip install -e '.[s3]'")
    moto = pytest.importorskip("moto.server", reason="moto is not installed: pip install -e '.[dev]'")
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    try:
        yield running.get_host_and_port()
    finally:
        running.stop()


def environment(host: str, port: int) -> dict[str, str]:
    """How a process finds the server."""
    return {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def bucket(host: str, port: int) -> str:
    """Make a bucket; a URL in it."""
    import httpx

    name = f"test-{uuid.uuid4().hex[:12]}"
    httpx.put(f"http://{host}:{port}/{name}", timeout=60).raise_for_status()
    return f"s3://{name}/store"


def use(monkeypatch: pytest.MonkeyPatch, host: str, port: int, store: str) -> None:
    """Let this process's artifact store be ``store`` at that server."""
    for name, value in environment(host, port).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COGUMI_STORE", store)
    forget()


def forget() -> None:
    """Let this process connect anew: the driver would go on with the server of another test."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
