"""Who may ask a Prefect server of ours: requests that name it by a name it has, and that no page of elsewhere sends.

A page in somebody's browser reaches loopback too. By a name that it lets point here (DNS rebinding) it would read
everything, so the Host is looked at; in its own name it would send what needs no answer, so the Origin is. Prefect
looks at neither. Not here: the login (login.py).
"""

import json
import os
from collections.abc import Awaitable, Callable, Collection, Iterable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from configs.errors import BadInput

NAMES = "COGUMI_HOSTS"  # further names of the server, with commas between them: a proxy's, a machine's in a cluster
ORIGINS = "PREFECT_SERVER_CORS_ALLOWED_ORIGINS"
OTHER_ORIGINS = "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS"  # the same setting's other name
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
NO_FRAMES = [(b"x-frame-options", b"DENY"), (b"content-security-policy", b"frame-ancestors 'none'")]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def names(host: str) -> set[str]:
    """What a server that listens on ``host`` is called: that, loopback's names, and those of ``COGUMI_HOSTS``."""
    allowed = {name.strip() for name in os.environ.get(NAMES, "").split(",")}
    return {_plain(name) for name in {host, *LOOPBACK, *allowed} if name}


def origins() -> set[str]:
    """The origins of other pages that a person allows, by Prefect's own setting.

    Raises:
        BadInput: it allows all of them.
    """
    found = {
        origin.strip().rstrip("/")
        for origin in (os.environ.get(ORIGINS) or os.environ.get(OTHER_ORIGINS) or "").split(",")
    } - {""}
    if "*" in found:
        raise BadInput(
            f"{ORIGINS} is *, so every page that somebody opens could use this server; name the origins, or unset it"
        )
    return found


class Guard:
    """An ASGI app in front of Prefect's. ``names``: hosts it answers to, beside the address that the request came in
    at; ``origins``: of other pages that may ask."""

    def __init__(self, app: App, names: Collection[str], origins: Collection[str] = ()) -> None:
        self.app, self.names, self.origins = app, frozenset(names), frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""

        async def unframed(message: Scope) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *NO_FRAMES]
            await send(message)

        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
        elif (fault := self.fault(scope)) is None:
            await self.app(scope, receive, unframed if scope["type"] == "http" else send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": fault[:100]})
        else:
            body = json.dumps({"exception_message": fault}).encode()
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    def fault(self, scope: Scope) -> str | None:
        """Why a request is refused, None if it is not. What it sent is not repeated."""
        hosts, origins, sites = (_headers(scope, name) for name in (b"host", b"origin", b"sec-fetch-site"))
        own = _split(hosts[0]) if len(hosts) == 1 else None
        if own is None or not (own[0] in self.names or own[0] == _plain(str((scope.get("server") or [""])[0]))):
            return (
                "this server has no such name; it is asked by its address, by one of "
                f"{', '.join(sorted(self.names))}, or by a name in {NAMES} where it is started"
            )
        if origins and all(origin.rstrip("/") in self.origins for origin in origins):
            return None
        if any(not _same(origin, own) for origin in origins) or (
            not origins and scope["path"].startswith("/api") and set(sites) & {"cross-site", "same-site"}
        ):
            return (
                f"pages of another origin may not ask this server; a person allows one by {ORIGINS} where it is started"
            )
        return None


def named_only(app: Wsgi, names: Collection[str]) -> Wsgi:
    """The same of a WSGI app that only tells: its Host alone is looked at."""

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        own = _split(environ.get("HTTP_HOST", ""))
        if own is not None and own[0] in names:
            return app(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "text/plain")])
        return [f"asked by a name that is not its own; a person allows one by {NAMES}\n".encode()]

    return guarded


def _headers(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for found, value in scope["headers"] if found.lower() == name]


def _split(netloc: str) -> tuple[str, int | None] | None:
    """Name and port of a Host; None if it is none."""
    try:
        parts = urlsplit(f"//{netloc}")
        if not parts.hostname or parts.netloc != netloc or "@" in netloc or any(letter.isspace() for letter in netloc):
            return None
        return _plain(parts.hostname), parts.port
    except ValueError:
        return None


def _same(origin: str, own: tuple[str, int | None]) -> bool:
    """Whether a page of ``origin`` is this server's own."""
    scheme, _, netloc = origin.partition("://")
    theirs, default = _split(netloc), DEFAULT_PORTS.get(scheme)
    return (
        theirs is not None and default is not None and (theirs[0], theirs[1] or default) == (own[0], own[1] or default)
    )


def _plain(name: str) -> str:
    return (
        name.strip().strip("[]").rstrip(".").lower().removeprefix("::ffff:")
    )  # as an IPv6 socket calls an IPv4 address
