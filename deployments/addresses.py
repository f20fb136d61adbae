"""Whether the addresses that `cogumi up` was given can be used, looked at before anything is started.

Not here: the database's (database.py).
"""

import email.utils
import errno
import ipaddress
import os
import socket
import time
from urllib.parse import urlsplit

import httpx

from configs.errors import BadInput
from deployments.database import shown
from deployments.login import CLIENT

CLOCK_SECONDS = 5.0  # a worker looks 10 s ahead for what is due


def check_free(host: str, port: int) -> None:
    """Raise BadInput where nothing can listen there."""
    if not host:
        raise BadInput("--host is empty; write an address of this machine, or leave it out for loopback")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            advice = "choose another port with --port" if error.errno in (errno.EADDRINUSE, errno.EACCES) else "--host takes an address of this machine"
            raise BadInput(f"cannot listen on {host}:{port}: {error.strerror}; {advice}") from None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``."""
    try:
        return all(ipaddress.ip_address(entry[4][0]).is_loopback for entry in socket.getaddrinfo(host.strip("[]"), None))
    except (OSError, ValueError):
        return False


def check_server(api: str) -> None:
    """Raise BadInput where no Prefect server answers; warn where its clock and this machine's differ."""
    if urlsplit(api).scheme not in {"http", "https"} or not urlsplit(api).netloc:
        raise BadInput(f"--api {shown(api)!r}: write the address that `cogumi up` printed, such as http://host:4200/api")
    try:
        answered = httpx.get(f"{api}/health", timeout=10)
        asked = httpx.get(f"{api}/version", timeout=10, auth=_login()) if answered.is_success else answered
    except httpx.HTTPError as error:
        raise BadInput(f"no Prefect server answers at {shown(api)}: {error}; start one there with: cogumi up --host ADDRESS") from None
    if not answered.is_success:
        if answered.status_code == httpx.codes.FORBIDDEN:
            raise BadInput(f"the server at {shown(api)} does not answer to that name; start it with COGUMI_HOSTS={urlsplit(api).hostname}, or ask it by its address")
        raise BadInput(f"what answers at {shown(api)} is no Prefect server (HTTP {answered.status_code} for its /health); the address ends in /api")
    if asked.status_code == httpx.codes.UNAUTHORIZED:
        raise BadInput(f"the server at {shown(api)} wants {'another' if _login() else 'a'} login; set {CLIENT} to the one in the file `login` of its state folder")
    ahead = time.time() - email.utils.parsedate_to_datetime(answered.headers["Date"]).timestamp() if "Date" in answered.headers else 0.0
    if abs(ahead) > CLOCK_SECONDS:
        late = "" if ahead > 0 else ", so a worker here takes runs that much too late"
        print(f"warning: this machine's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the server's{late}; set it (NTP)", flush=True)


def _login() -> tuple[str, str] | None:
    user, colon, password = os.environ.get(CLIENT, "").partition(":")
    return (user, password) if colon else None
