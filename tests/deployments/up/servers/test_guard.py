"""Which requests reach Prefect's app: by Host, Origin and what a browser says of the page, for HTTP and websockets
alike."""

import asyncio
from typing import Any

import pytest

from configs.errors import BadInput
from deployments.up.servers import guard as guarding
from deployments.up.servers.guard import Guard, Scope


def answered(
    guard: Guard,
    headers: dict[str, str] | list[tuple[str, str]],
    *,
    kind: str = "http",
    path: str = "/api/flows/filter",
    server: str = "127.0.0.1",
) -> list[Scope]:
    """What is sent for one request."""
    pairs = list(headers.items()) if isinstance(headers, dict) else headers
    scope = {
        "type": kind,
        "path": path,
        "server": (server, 4200),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs],
    }
    sent: list[Scope] = []

    async def receive() -> Scope:
        return {"type": "http.request"}

    async def send(message: Scope) -> None:
        sent.append(message)

    asyncio.run(guard(scope, receive, send))
    return sent


async def app(scope: Scope, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def passes(guard: Guard, *arguments: Any, **named: Any) -> bool:
    first = answered(guard, *arguments, **named)[0]
    return first["type"] == "websocket.accept" or first.get("status") == 200


LOCAL = Guard(app, guarding.names("127.0.0.1"))
KINDS = pytest.mark.parametrize("kind", ["http", "websocket"])


@KINDS
@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:4200", "localhost:4200", "LOCALHOST", "localhost.:4200", "[::1]:4200", "127.0.0.1", "localhost:8080"],
)
def test_its_own_names_are_answered_also_through_a_tunnel(host: str, kind: str) -> None:
    assert passes(LOCAL, {"Host": host}, kind=kind)
    assert passes(LOCAL, {"Host": host, "Origin": f"http://{host.lower()}"}, kind=kind)
    assert passes(LOCAL, {"Host": host, "Sec-Fetch-Site": "same-origin"}, kind=kind)


@KINDS
@pytest.mark.parametrize(
    "host",
    ["evil.example:4200", "127.0.0.1.evil.example", "localhost.evil.example:4200", "10.0.0.5:4200", "0.0.0.0:4200", "",
    " ", "localhost@evil.example", "evil.example#localhost",
     "localhost/", "localhost:port", "[::1", "localhost, evil.example", "127.1", "2130706433", "\xe4.example"],
)  # fmt: skip
def test_another_name_is_refused(host: str, kind: str) -> None:
    assert not passes(LOCAL, {"Host": host}, kind=kind)
    assert not passes(LOCAL, {"Host": host}, kind=kind, path="/runs")


@KINDS
def test_no_name_or_two_are_refused(kind: str) -> None:
    assert not passes(LOCAL, {}, kind=kind)
    assert not passes(LOCAL, [("Host", "localhost:4200"), ("Host", "evil.example")], kind=kind)


@KINDS
@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "", "http://localhost:3000", "https://localhost",
    "http://localhost:4200.evil.example", "http://127.0.0.1:4200", "file://", "http://localhost:4200/x",
     "http://localhost:4200@evil.example", "chrome-extension://abcdef", "localhost:4200"],
)  # fmt: skip
def test_a_page_of_elsewhere_is_refused(origin: str, kind: str) -> None:
    assert not passes(LOCAL, {"Host": "localhost:4200", "Origin": origin}, kind=kind)
    assert not passes(
        LOCAL, [("Host", "localhost:4200"), ("Origin", "http://localhost:4200"), ("Origin", origin)], kind=kind
    )


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_a_page_of_elsewhere_asks_without_an_origin_is_refused_but_a_link_to_the_ui_is_followed(site: str) -> None:
    assert not passes(LOCAL, {"Host": "localhost:4200", "Sec-Fetch-Site": site})
    assert passes(LOCAL, {"Host": "localhost:4200", "Sec-Fetch-Site": site}, path="/runs/flow-run/1"), (
        "as from a notification"
    )


def test_a_server_for_other_machines_answers_to_the_address_it_was_asked_at() -> None:
    wide = Guard(app, guarding.names("0.0.0.0"))
    assert passes(wide, {"Host": "10.0.0.5:4200"}, server="10.0.0.5")
    assert passes(wide, {"Host": "10.0.0.5:4200", "Origin": "http://10.0.0.5:4200"}, server="10.0.0.5")
    assert passes(wide, {"Host": "10.0.0.5:4200"}, server="::ffff:10.0.0.5")
    assert passes(wide, {"Host": "[fd00::5]:4200"}, server="fd00::5")
    assert not passes(wide, {"Host": "evil.example:4200"}, server="10.0.0.5")
    assert passes(Guard(app, guarding.names("gpu-server")), {"Host": "gpu-server:4200"}, server="10.0.0.5")


def test_names_and_origins_that_a_person_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COGUMI_HOSTS", "cogumi.example, gpu-server")
    monkeypatch.setenv(guarding.ORIGINS, "https://dash.example/, http://other:1")
    allowed = Guard(app, guarding.names("127.0.0.1"), guarding.origins())
    assert passes(allowed, {"Host": "cogumi.example", "Origin": "https://cogumi.example"}), (
        "behind a proxy that speaks TLS"
    )
    assert passes(allowed, {"Host": "gpu-server:4200"})
    assert passes(allowed, {"Host": "cogumi.example", "Origin": "https://dash.example", "Sec-Fetch-Site": "cross-site"})
    assert not passes(allowed, {"Host": "cogumi.example", "Origin": "http://dash.example"})
    monkeypatch.setenv(guarding.ORIGINS, "*")
    with pytest.raises(BadInput, match="every page that somebody opens could use this server"):
        guarding.origins()


def test_a_refusal_repeats_nothing_and_no_page_frames_what_is_answered() -> None:
    start, body = answered(LOCAL, {"Host": "evil\x1b]0;x.example"})
    assert start["status"] == 403
    assert b"evil" not in body["body"]
    assert ("x-frame-options", "DENY") in [
        (name.decode(), value.decode()) for name, value in answered(LOCAL, {"Host": "localhost"})[0]["headers"]
    ]
