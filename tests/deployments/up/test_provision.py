"""What ``cogumi up`` puts on a server: once, however often a request arrives, and never over what a person set there.

One real server for all of it, and a proxy before it that delivers every request that changes something twice, as
Prefect's client does on a busy machine when no answer came in time.
"""

import asyncio
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import yaml
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.up import automations, deploy, provision
from deployments.up.servers.own_server import LOG, Temporary, wait_for
from tests.deployments.up_process import ask, get, post
from tests.migrated import migrated

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
KEPT = {
    "nightly/llama-8b",
    "nightly/nano",
    "pipeline/nano",
    "release/cpu",
}  # the deployments of this file's prefect.yaml


class Place(NamedTuple):
    """A server, prepared once through the proxy, and what the first time said."""

    api: str
    said: list[str]
    file: Path


def twice(api: str) -> type[BaseHTTPRequestHandler]:
    """A proxy to ``api`` that sends on twice what changes something, and gives back the second answer."""

    class Proxy(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            passed = {
                name: self.headers[name]
                for name in ("Authorization", "Content-Type", "x-prefect-api-version")
                if self.headers[name]
            }
            reading = self.command == "GET" or self.path.endswith(("/filter", "/count"))
            for _ in range(1 if reading else 2):
                answer = httpx.request(
                    self.command,
                    api.removesuffix("/api") + self.path,
                    content=body,
                    headers=passed,
                    timeout=60,
                    trust_env=False,
                )
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_one

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on the terminal."""

    return Proxy


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    home = migrated(tmp_path_factory.mktemp("preparing"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COGUMI_HOME", str(home))
        patch.setenv("PREFECT_HOME", str(home / "prefect"))
        content = yaml.safe_load(deploy.FILE.read_text())
        content["deployments"] = [each for each in content["deployments"] if deploy.full_name(each) in KEPT]
        file = home / "prefect.yaml"
        file.write_text(yaml.safe_dump(content))
        patch.setattr(deploy, "FILE", file)
        shutil.copytree(provision.POOLS, home / "pools")
        patch.setattr(provision, "POOLS", home / "pools")
        shutil.copytree(automations.FOLDER, home / "automations")
        patch.setattr(automations, "FOLDER", home / "automations")
        server = Temporary()
        try:
            wait_for(server.api, server, LOG)
            with ThreadingHTTPServer(("127.0.0.1", 0), twice(server.api)) as proxy:
                threading.Thread(target=proxy.serve_forever, daemon=True).start()
                said = prepare(f"http://127.0.0.1:{proxy.server_port}/api")
                proxy.shutdown()
            yield Place(server.api, said, file)
        finally:
            server.stop()


def prepare(api: str) -> list[str]:
    """As one ``cogumi up`` does."""
    with pytest.MonkeyPatch.context() as patch, temporary_settings({PREFECT_API_URL: api}):
        patch.setenv("PREFECT_API_URL", api)
        said = asyncio.run(provision.prepare())
        deploy.deploy()
    return said


def patch(api: str, path: str, **body: Any) -> None:
    ask("PATCH", f"{api}{path}", body).raise_for_status()


def queues(api: str) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in post(api, "/work_pools/cpu/queues/filter")}


def schedules(api: str, name: str) -> list[tuple[str, bool, str]]:
    return [
        (each["slug"], each["active"], each["schedule"]["cron"])
        for each in get(api, f"/deployments/name/{name}")["schedules"]
    ]


def test_a_request_that_arrives_twice_makes_one_of_each(place: Place) -> None:
    """The first in this file: nobody has changed anything yet."""
    api = place.api
    assert not [line for line in place.said if not line.startswith("automation ")]
    assert {each["name"]: each["type"] for each in post(api, "/work_pools/filter")} == {
        "cpu": "process",
        "gpu": "process",
    }
    assert {name: (each["priority"], each["concurrency_limit"]) for name, each in queues(api).items()} == {
        "default": (1, None),
        "pipelines": (2, 2),
        "nightly": (3, 1),
    }
    names = [each["name"] for each in post(api, "/automations/filter")]
    assert sorted(names) == sorted({*names})
    assert len(names) == sum(not automations.needs(path) for path in automations.files())
    limits = [
        each["name"]
        for each in post(api, "/v2/concurrency_limits/filter", limit=100)
        if each["name"].startswith("cogumi-")
    ]
    assert limits
    assert sorted(limits) == sorted({*limits})
    assert get(api, "/block_types/slug/teacher-credentials")
    assert {
        deploy.full_name({"name": each["name"], "entrypoint": each["entrypoint"]})
        for each in post(api, "/deployments/filter")
    } == KEPT
    assert schedules(api, "nightly/llama-8b") == [("every-night", False, "0 3 * * *")]
    assert schedules(api, "nightly/nano") == [("every-night", True, "0 3 * * *")]
    assert get(api, "/deployments/name/nightly/nano")["global_concurrency_limit"]["limit"] == 1
    assert get(api, "/work_pools/cpu")["base_job_template"] == json.loads(
        (provision.POOLS / "process.json").read_text()
    )
    for variable in post(api, "/variables/filter"):
        assert len(json.dumps(variable["value"])) < 2500, "half of what a variable holds, for half of the deployments"


def test_what_a_person_set_survives_and_a_file_that_changed_is_applied(place: Place) -> None:
    """Everything once, then `cogumi up` again, then again with changed files."""
    api = place.api
    night, other, pipeline = (
        get(api, f"/deployments/name/{name}") for name in ("nightly/llama-8b", "nightly/nano", "pipeline/nano")
    )
    (switch,), (times,) = night["schedules"], other["schedules"]
    patch(api, f"/deployments/{night['id']}/schedules/{switch['id']}", active=True)
    patch(
        api,
        f"/deployments/{other['id']}/schedules/{times['id']}",
        schedule={"cron": "30 1 * * 1", "timezone": "Europe/Berlin"},
    )
    own = [{"schedule": {"cron": "0 12 * * *", "timezone": "Etc/UTC"}, "active": False}]
    ask("POST", f"{api}/deployments/{night['id']}/schedules", own).raise_for_status()
    patch(api, f"/deployments/{night['id']}", paused=True, concurrency_limit=3)
    patch(
        api,
        f"/deployments/{pipeline['id']}",
        parameters={"profile": "nano", "overrides": ["seed=9"]},
        concurrency_limit=2,
        tags=["mine"],
    )
    patch(api, "/work_pools/cpu", concurrency_limit=9, is_paused=True)
    held = queues(api)
    patch(api, f"/work_queues/{held['pipelines']['id']}", concurrency_limit=5, is_paused=True)
    patch(api, f"/work_queues/{held['nightly']['id']}", priority=1)
    template = json.loads((provision.POOLS / "process.json").read_text())
    template["job_configuration"]["env"]["COGUMI_SANDBOX"] = "weak"
    patch(api, "/work_pools/gpu", base_job_template=template)
    automation = next(each for each in post(api, "/automations/filter") if "heartbeat" in each["name"])
    patch(api, f"/automations/{automation['id']}", enabled=False)
    changed = {
        field: automation[field]
        for field in (
            "name",
            "description",
            "enabled",
            "trigger",
            "actions",
            "actions_on_trigger",
            "actions_on_resolve",
        )
    }
    changed |= {"enabled": False, "trigger": {**changed["trigger"], "within": 1234.0}}
    ask("PUT", f"{api}/automations/{automation['id']}", changed).raise_for_status()
    (limit, *_) = [
        each for each in post(api, "/v2/concurrency_limits/filter", limit=100) if each["name"].startswith("cogumi-")
    ]
    patch(api, f"/v2/concurrency_limits/{limit['id']}", slot_decay_per_second=0.5, active=False)
    block_type, schema = notices(api)
    document = {
        "name": automating_block(),
        "block_type_id": block_type,
        "block_schema_id": schema,
        "data": {"url": "http://127.0.0.1:9/mine", "method": "POST"},
    }
    made = ask("POST", f"{api}/block_documents/", document).raise_for_status().json()

    def everything(cron: str, pool_limit: int, nano_description: str) -> None:
        assert sorted(schedules(api, "nightly/llama-8b"), key=str) == sorted(
            [("every-night", True, "0 3 * * *"), (None, False, "0 12 * * *")], key=str
        )
        assert schedules(api, "nightly/nano") == [("every-night", True, cron)]
        (schedule,) = get(api, "/deployments/name/nightly/nano")["schedules"]
        assert schedule["schedule"]["timezone"] == "Europe/Berlin"
        deployment = get(api, "/deployments/name/nightly/llama-8b")
        assert (deployment["paused"], deployment["global_concurrency_limit"]["limit"]) == (True, 3)
        assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
        deployment = get(api, "/deployments/name/pipeline/nano")
        assert (
            deployment["parameters"]["overrides"],
            deployment["global_concurrency_limit"]["limit"],
            deployment["tags"],
        ) == (["seed=9"], 2, ["mine"])
        assert deployment["description"] == nano_description
        pool = get(api, "/work_pools/cpu")
        assert (pool["concurrency_limit"], pool["is_paused"]) == (pool_limit, True)
        now = queues(api)
        assert (now["pipelines"]["concurrency_limit"], now["pipelines"]["is_paused"], now["nightly"]["priority"]) == (
            5,
            True,
            1,
        )
        assert get(api, "/work_pools/gpu")["base_job_template"] == template
        kept = next(each for each in post(api, "/automations/filter") if each["id"] == automation["id"])
        assert (kept["enabled"], kept["trigger"]["within"]) == (False, 1234.0)
        found = get(api, f"/v2/concurrency_limits/{limit['id']}")
        assert (found["slot_decay_per_second"], found["active"]) == (0.5, False)
        assert get(api, f"/block_documents/{made['id']}")["data"]["url"] == "http://127.0.0.1:9/mine"

    said = prepare(api)
    assert [line for line in said if line.startswith("limit ")] == [
        f"limit {limit['name']} is 0.5 per second on the server, {limit['slot_decay_per_second']:g} in the profiles; "
        "left as it is"
    ]
    everything("30 1 * * 1", 9, pipeline["description"])

    content = yaml.safe_load(place.file.read_text())
    for config in content["deployments"]:
        if deploy.full_name(config) == "nightly/nano":
            config["schedules"][0]["cron"] = "0 4 * * *"
        if deploy.full_name(config) == "pipeline/nano":
            config["description"] = "Said anew."
    place.file.write_text(yaml.safe_dump(content))
    pools = provision.pools()
    pools["cpu"]["limit"] = 6
    (provision.POOLS / "pools.yaml").write_text(yaml.safe_dump(pools))
    renewed = json.loads((provision.POOLS / "process.json").read_text())
    renewed["variables"]["properties"]["fresh"]["title"] = "Anew"
    (provision.POOLS / "process.json").write_text(json.dumps(renewed))
    said = prepare(api)
    assert "pool gpu keeps the job template that somebody gave it; ours is deployments/pools/process.json" in said
    everything("0 4 * * *", 6, "Said anew.")
    assert get(api, "/work_pools/cpu")["base_job_template"] == renewed, "nobody had edited that one"

    deleted = get(api, "/deployments/name/nightly/nano")
    ask("DELETE", f"{api}/deployments/{deleted['id']}/schedules/{deleted['schedules'][0]['id']}").raise_for_status()
    prepare(api)
    assert schedules(api, "nightly/nano") == [], "a night that somebody did away with does not come back"


def test_a_template_of_an_older_version_is_made_new(place: Place) -> None:
    old = {
        "job_configuration": {"command": "{{ command }}"},
        "variables": {"type": "object", "properties": {"command": {"type": "string"}}},
    }
    patch(place.api, "/work_pools/cpu", base_job_template=old)
    with pytest.MonkeyPatch.context() as change:
        change.setattr(provision, "RENEWED", {provision.digest(old)})
        prepare(place.api)
    assert get(place.api, "/work_pools/cpu")["base_job_template"] == json.loads(
        (provision.POOLS / "process.json").read_text()
    )


def test_a_pool_of_another_type_takes_the_place_of_one_of_ours(place: Place) -> None:
    """Last in this file: its deployments lost their pool, and are given it again."""
    ask("DELETE", f"{place.api}/work_pools/cpu").raise_for_status()
    assert get(place.api, "/deployments/name/release/cpu")["work_pool_name"] is None
    template = json.loads((provision.POOLS / "docker.json").read_text())
    post(place.api, "/work_pools/", name="cpu", type="docker", base_job_template=template)
    prepare(place.api)
    found = get(place.api, "/work_pools/cpu")
    assert (found["type"], found["base_job_template"]) == ("docker", template)
    assert {get(place.api, f"/deployments/name/{name}")["work_pool_name"] for name in KEPT} == {"cpu"}
    assert get(place.api, "/deployments/name/nightly/nano")["work_queue_name"] == "nightly"


def automating_block() -> str:
    (name,) = {name for path in automations.files() for name in automations.needs(path)}
    return name


def notices(api: str) -> tuple[str, str]:
    """Type and schema of a block that sends a message."""
    from prefect.blocks.notifications import CustomWebhookNotificationBlock

    with temporary_settings({PREFECT_API_URL: api}):
        asyncio.run(CustomWebhookNotificationBlock.aregister_type_and_schema())
    kind = get(api, "/block_types/slug/custom-webhook")["id"]
    (schema, *_) = post(api, "/block_schemas/filter", block_schemas={"block_type_id": {"any_": [kind]}})
    return kind, schema["id"]
