"""Whether the addresses that `cogumi up` and `cogumi metrics` were given can be used, looked at before anything is
started.

Not here: the database's (prefect_database.py).
"""

import email.utils
import errno
import ipaddress
import os
import re
import socket
import time
from urllib.parse import urlsplit

import httpx

from configs.errors import BadInput
from configs.reading import cut, quoted
from deployments.up.servers.login import CLIENT
from deployments.up.servers.prefect_database import shown

CLOCK_SECONDS = 5.0  # a worker looks 10 s ahead for what is due
LONGEST = 2000  # characters of an address
_HOST = re.compile(
    r"(?=.{1,253}$)([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?"
)
_NUMBERS = re.compile(r"((0[xX][0-9a-fA-F]*|[0-9]+)\.?)+")  # what inet_aton reads as an address


def given(option: str, value: str) -> str:
    """``value`` as it was given.

    Raises:
        BadInput: it is empty, or no address or name: with spaces, control characters or what is no text.
    """
    if not value.strip():
        raise BadInput(f"{option} is empty; write a value, or leave it out")
    if len(value) > LONGEST or not value.isprintable() or " " in value:
        raise BadInput(
            f"{option} {quoted(shown(value))} is no address or name: it is too long, or has spaces or control "
            "characters in it"
        )
    return value


def check_free(host: str, port: int, option: str = "--port") -> None:
    """Raise BadInput where nothing can listen there. ``option``: what chose the port."""
    check_host(host)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            advice = (
                f"choose another port with {option}"
                if error.errno in (errno.EADDRINUSE, errno.EACCES)
                else "--host takes an address of this machine"
            )
            raise BadInput(f"cannot listen on {host}:{port}: {error.strerror}; {advice}") from None


def check_host(host: str) -> None:
    """Raise BadInput where ``host`` is neither an address in full nor a name; what sockets also take (``0``, ``127.1``)
    no URL can name."""
    if not host:
        raise BadInput("--host is empty; write an address of this machine, or leave it out for loopback")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if _HOST.fullmatch(host) and not _NUMBERS.fullmatch(host):
            return
        raise BadInput(
            f"--host {quoted(host)} is no address; write one of this machine in full, such as 127.0.0.1, 0.0.0.0 or "
            "::1, or its name"
        ) from None
    if address.is_multicast or address == ipaddress.IPv4Address(0xFFFFFFFF):
        raise BadInput(f"--host {host} is an address of many machines; write one of this machine")


def reached(host: str) -> str:
    """What a URL on this machine names ``host``: an address that stands for all by loopback, one of IPv6 in
    brackets."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"
    return host if address.version == 4 else f"[{host}]"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``."""
    try:
        return all(
            ipaddress.ip_address(entry[4][0]).is_loopback for entry in socket.getaddrinfo(host.strip("[]"), None)
        )
    except (OSError, ValueError):
        return False


def check_server(api: str) -> None:
    """Raise BadInput where no Prefect server answers; warn where its clock and this machine's differ."""
    named = shown(api)
    try:
        parts = urlsplit(api)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise BadInput(
            f"--api {quoted(named)}: write the address that `cogumi up` printed, such as http://host:4200/api"
        )
    try:
        good, code, date = _get(f"{api}/health")
        allowed = _get(f"{api}/version", _login())[1] if good else code
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        advice = "start one there with: cogumi up --host ADDRESS"
        raise BadInput(
            f"no Prefect server answers at {named}: {cut(str(error), 300) or type(error).__name__}; {advice}"
        ) from None
    if not good:
        if code == httpx.codes.FORBIDDEN:
            advice = f"start it with COGUMI_HOSTS={parts.hostname}, or ask it by its address"
            raise BadInput(f"the server at {named} does not answer to that name; {advice}")
        raise BadInput(
            f"what answers at {named} is no Prefect server (HTTP {code} for its /health); the address ends in /api"
        )
    if allowed == httpx.codes.UNAUTHORIZED:
        wanted = "another" if _login() else "a"
        advice = f"set {CLIENT} to the one in the file `login` of its state folder"
        raise BadInput(f"the server at {named} wants {wanted} login; {advice}")
    ahead = _ahead(date)
    if abs(ahead) > CLOCK_SECONDS:
        late = "" if ahead > 0 else ", so a worker here takes runs that much too late"
        print(
            f"warning: this machine's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the "
            f"server's{late}; set it (NTP)",
            flush=True,
        )


def _get(url: str, auth: tuple[str, str] | None = None) -> tuple[bool, int, str | None]:
    """Whether all is well, the status and the date. What else is sent is of no interest, and may have no end."""
    with httpx.stream("GET", url, timeout=10, auth=auth) as answered:
        return answered.is_success, answered.status_code, answered.headers.get("Date")


def _login() -> tuple[str, str] | None:
    user, colon, password = os.environ.get(CLIENT, "").partition(":")
    return (user, password) if colon else None


def _ahead(date: str | None) -> float:
    """Seconds by which this machine's clock is ahead of a server's; 0 where the server does not say, or not clearly."""
    try:
        return time.time() - email.utils.parsedate_to_datetime(date).timestamp() if date else 0.0
    except (ValueError, OverflowError, TypeError):
        return 0.0
