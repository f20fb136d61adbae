"""``cogumi up`` and ``cogumi down`` with real processes: the server holds what the files say, ready means ready,
workers are started again, joined from elsewhere, and swept up after a kill."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.client.schemas.responses import DeploymentResponse
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from blocks.prefect.code_version import code_version
from tests import postgres
from tests.deployments.test_start import cogumi
from tests.deployments.up.test_prefect_yaml import ROOT, document, full_name
from tests.deployments.up_process import DEFAULT, Up, ask, get, healthy, post, processes_of, until, workers
from tests.flows.test_clock_skew import FAKETIME
from tests.living import environment, kill
from tests.ports import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
KEY = "sk-not-to-be-seen"
CRASHED = "Cogumi: mark runs without heartbeat as crashed"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    settings = {"PREFECT_WORKER_QUERY_SECONDS": "2", "PYTHONPATH": str(ROOT), "OPENAI_API_KEY": KEY, **DEFAULT}
    with Up(
        tmp_path_factory.mktemp("up"), "--port", str(free_port()), "--metrics", str(free_port()), **settings
    ) as here:
        here.says("ready")
        here.made_its_login()
        yield here


def joining(up: Up) -> dict[str, str]:
    """The environment that somebody else needs to use the server."""
    return {"PREFECT_API_AUTH_STRING": up.made_its_login()}


def only(up: Up, command: str) -> int:
    """The one process with this in its command line. One that is just starting another shows twice for an instant."""
    (pid,) = until(
        lambda: (
            len(found := [pid for pid, line in processes_of(up.note().mark).items() if command in line]) == 1 and found
        ),
        60,
        up.logs,
    )
    return int(pid)


def test_ready_means_that_a_run_can_be_submitted(up: Up) -> None:
    """A run from the API is taken by a worker at once and says clearly what was wrong with it."""
    assert [line.split()[0] for line in up.lines if not line.startswith("automation")] == [
        "api",
        "ui",
        "login",
        "metrics",
        "logs",
        "ready",
    ]
    for pool in ("cpu", "gpu"):
        assert len(workers(up.api, pool)) == 1
    deployment = get(up.api, "/deployments/name/pipeline/nano")
    run = post(up.api, f"/deployments/{deployment['id']}/create_flow_run", parameters={"profile": "llama-70b"})
    failed = ended(up, run["id"])
    assert failed["state_type"] == "FAILED"
    assert "unknown profile 'llama-70b'; there are: llama-1b, llama-8b, nano" in failed["state"]["message"]


def ended(up: Up, run: str) -> dict[str, Any]:
    """A run, when it has ended."""
    found: dict[str, Any] = until(
        lambda: (got := get(up.api, f"/flow_runs/{run}"))["state_type"] in {"FAILED", "CRASHED", "COMPLETED"} and got,
        300,
        up.logs,
    )
    return found


def test_only_who_has_the_login_is_answered_and_no_page_of_elsewhere(up: Up) -> None:
    user, _, password = up.made_its_login().partition(":")
    asked = partial(httpx.post, f"{up.api}/flow_runs/filter", json={}, timeout=60, trust_env=False)
    assert asked().status_code == 401
    assert asked(auth=(user, "guess")).status_code == 401
    given = asked(auth=(user, password), headers={"Origin": up.api.removesuffix("/api")})
    assert given.status_code == 200
    assert "access-control-allow-origin" not in given.headers
    for headers in (
        {"Host": "evil.example:4200"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        refused = asked(auth=(user, password), headers=headers)
        assert refused.status_code == 403
        assert "access-control-allow-origin" not in refused.headers
    preflight = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    assert (
        httpx.options(f"{up.api}/flow_runs/filter", headers=preflight, timeout=60, trust_env=False).status_code == 403
    )
    metrics = up.says("metrics ").split()[1]
    assert httpx.get(metrics, headers={"Host": "evil.example"}, timeout=60, trust_env=False).status_code == 403


def test_websockets_are_guarded_and_served(up: Up) -> None:
    """The events that the UI and `--watch` hear of."""
    address = f"{up.api.replace('http', 'ws', 1)}/events/out"
    made = up.made_its_login()

    def greeted(token: str, **named: Any) -> str:
        with connect(address, subprotocols=[Subprotocol("prefect")], open_timeout=60, **named) as socket:
            socket.send(json.dumps({"type": "auth", "token": token}))
            return str(json.loads(socket.recv(60))["type"])

    assert greeted(made) == "auth_success"
    assert greeted(made, origin=Origin(up.api.removesuffix("/api"))) == "auth_success"
    with pytest.raises(ConnectionClosed):
        greeted("cogumi:guess")
    for named in ({"origin": Origin("http://evil.example")}, {"additional_headers": {"Host": "evil.example"}}):
        with pytest.raises(InvalidStatus, match=r"40[03]"):
            greeted(made, **named)


def test_the_login_is_in_its_file_and_nowhere_else(up: Up) -> None:
    made = up.made_its_login()
    password = made.partition(":")[2]
    line = up.says("login ")
    assert str(up.home / "login") in line
    assert f"export PREFECT_API_URL={up.api} PREFECT_API_AUTH_STRING=$(cat {up.home / 'login'})" in line
    assert password not in "".join(up.lines)
    holding = [path.name for path in up.home.rglob("*") if path.is_file() and password.encode() in path.read_bytes()]
    assert holding == ["login"]
    assert all(password not in command for command in processes_of(up.note().mark).values())
    assert [
        path
        for path in up.home.rglob("*")
        if path.is_file()
        and stat.S_IMODE(path.stat().st_mode) & 0o077
        and path.relative_to(up.home).parts[0] in {"logs", "prefect", "workers", "login"}
    ] == []


def test_what_a_run_may_not_set_is_refused_and_keys_stay_with_flows_that_ask(up: Up, tmp_path: Path) -> None:
    """Over the API that checks and over the one that does not: then the worker does."""
    deployment = get(up.api, "/deployments/name/pipeline/nano")
    for variables in (
        {"command": f"touch {tmp_path}/taken"},
        {"env": {"PYTHONPATH": str(tmp_path)}},
        {"working_dir": str(tmp_path)},
        {"env.LD_PRELOAD": "x.so"},
    ):
        answered = ask("POST", f"{up.api}/deployments/{deployment['id']}/create_flow_run", {"job_variables": variables})
        assert answered.status_code == 422, answered.text
    flow = post(up.api, "/flows/", name="telling")
    own = post(
        up.api,
        "/deployments/",
        name="cpu",
        flow_id=flow["id"],
        work_pool_name="cpu",
        entrypoint="tests.deployments.idling.telling",
    )
    scheduled = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2026-01-01T00:00:00Z"}}
    hidden = {"command": f"touch {tmp_path}/taken", "env": {"COGUMI_STORE": str(tmp_path)}}
    unchecked = post(
        up.api,
        "/flow_runs/",
        flow_id=flow["id"],
        deployment_id=own["id"],
        work_pool_name="cpu",
        work_queue_name="default",
        state=scheduled,
        job_variables=hidden,
    )
    told = post(up.api, f"/deployments/{own['id']}/create_flow_run")
    assert ended(up, told["id"])["state_type"] == "COMPLETED"
    refused = ended(up, unchecked["id"])
    assert refused["state_type"] == "CRASHED"
    assert "is not for runs to set; this pool offers fresh" in refused["state"]["message"]
    assert not (tmp_path / "taken").exists()
    names = json.loads(
        next(path for path in (up.home / "results").iterdir() if "PREFECT__FLOW_RUN_ID" in path.read_text()).read_text()
    )
    assert {"PREFECT_API_AUTH_STRING", "COGUMI_HOME"} <= set(json.loads(names) if isinstance(names, str) else names)
    assert not {"OPENAI_API_KEY", "PREFECT_SERVER_API_AUTH_STRING"} & set(
        json.loads(names) if isinstance(names, str) else names
    )


def test_the_server_holds_queues_limits_blocks_and_automations(up: Up) -> None:
    queues = {
        queue["name"]: (queue["priority"], queue["concurrency_limit"])
        for queue in post(up.api, "/work_pools/cpu/queues/filter")
    }
    assert queues == {"default": (1, None), "pipelines": (2, 2), "nightly": (3, 1)}
    limits = {each["name"]: each for each in post(up.api, "/v2/concurrency_limits/filter", limit=100)}
    assert limits["cogumi-gpt-4o-mini-requests"]["slot_decay_per_second"] == pytest.approx(5000 / 60)
    assert get(up.api, "/block_types/slug/teacher-credentials")
    assert CRASHED in {each["name"] for each in post(up.api, "/automations/filter")}


def read_deployments(up: Up) -> dict[str, DeploymentResponse]:
    names = [full_name(deployment) for deployment in document()["deployments"]]
    return {name: DeploymentResponse.model_validate(get(up.api, f"/deployments/name/{name}")) for name in names}


@pytest.fixture(scope="module")
def deployed(up: Up) -> dict[str, DeploymentResponse]:
    return read_deployments(up)


@pytest.mark.parametrize("deployment", document()["deployments"], ids=full_name)
def test_the_server_holds_what_the_file_says(
    deployed: dict[str, DeploymentResponse], deployment: dict[str, Any]
) -> None:
    held = deployed[full_name(deployment)]
    assert held.entrypoint == deployment["entrypoint"]
    assert held.description == deployment["description"]
    assert sorted(held.tags) == sorted(deployment["tags"])
    assert held.parameters == deployment.get("parameters", {})
    assert (held.work_pool_name, held.work_queue_name) == (
        deployment["work_pool"]["name"],
        deployment["work_pool"]["work_queue_name"],
    )
    assert held.enforce_parameter_schema
    assert held.pull_steps == [{"blocks.prefect.code_version.check": {"deployed": code_version()}}], (
        "and not the folder of whoever deployed"
    )
    assert re.fullmatch(r"\d+\.\d+\.\d+\+[0-9a-f]{12}", held.version or "")
    limit = deployment.get("concurrency_limit")
    if limit is None:
        assert held.global_concurrency_limit is None
    else:
        assert held.global_concurrency_limit is not None
        assert held.global_concurrency_limit.limit == limit["limit"]
        assert held.concurrency_options is not None
        assert held.concurrency_options.collision_strategy.value == limit["collision_strategy"]
    schedules = [
        (each.slug, each.active, each.schedule.model_dump(include={"cron", "timezone"})) for each in held.schedules
    ]
    assert schedules == [
        (each["slug"], each["active"], {"cron": each["cron"], "timezone": each["timezone"]})
        for each in deployment.get("schedules", [])
    ]


def test_the_deployments_carry_this_code(deployed: dict[str, DeploymentResponse]) -> None:
    assert {held.version for held in deployed.values()} == {code_version()}


def test_the_server_refuses_parameters_that_the_form_would_refuse(
    up: Up, deployed: dict[str, DeploymentResponse]
) -> None:
    answered = ask(
        "POST",
        f"{up.api}/deployments/{deployed['pipeline/nano'].id}/create_flow_run",
        {"parameters": {"until": "cooking"}},
    )
    assert answered.status_code in (409, 422)
    assert "cooking" in answered.text


@pytest.mark.all
def test_deployed_again_nothing_is_doubled(up: Up, deployed: dict[str, DeploymentResponse]) -> None:
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **joining(up), "PREFECT_API_URL": up.api, "COGUMI_HOME": str(up.home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name, again in read_deployments(up).items():
        assert again.id == deployed[name].id
        assert [(each.slug, each.id) for each in again.schedules] == [
            (each.slug, each.id) for each in deployed[name].schedules
        ]


def test_a_second_up_says_that_it_is_up(up: Up) -> None:
    done = cogumi("up", "--port", str(free_port()), home=up.home)
    assert (done.returncode, done.stdout) == (0, f"already up  {up.api}\nready\n")


def test_its_server_is_brought_up_to_the_code_beside_it(up: Up) -> None:
    """As messages about other code advise; the one that is up goes on."""
    limits = partial(post, up.api, "/v2/concurrency_limits/filter", limit=100)
    gone = next(each for each in limits() if each["name"].startswith("cogumi-"))
    ask("DELETE", f"{up.api}/v2/concurrency_limits/{gone['id']}").raise_for_status()
    done = cogumi("up", "--server-only", "--api", up.api, home=up.home, **joining(up))
    assert (done.returncode, done.stdout.split("\n")[-2]) == (0, "prepared"), done.stdout + done.stderr
    assert gone["name"] in {each["name"] for each in limits()}
    assert up.note().api == up.api


def test_prometheus_is_answered_beside_it(up: Up) -> None:
    address = up.says("metrics ").split()[1]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/metrics", address)
    assert re.search(r"^cogumi_journal_up [01]\.0$", ask("GET", address).raise_for_status().text, re.MULTILINE)
    port = str(free_port())
    done = cogumi("up", "--metrics", port, home=up.home)
    assert (done.returncode, done.stderr) == (
        2,
        f"cogumi: already up at {up.api}, without metrics on port {port}; first: cogumi down\n",
    )


def test_a_worker_that_is_killed_is_started_again(up: Up) -> None:
    before = only(up, "worker start --pool gpu")
    kill(before)
    up.says("the worker of pool gpu ended with code -9 and is started again")
    until(
        lambda: [
            pid
            for pid, command in processes_of(up.note().mark).items()
            if "worker start --pool gpu" in command and pid != before
        ],
        60,
        up.logs,
    )


def test_a_pool_that_is_not_there_names_those_that_are(up: Up, tmp_path: Path) -> None:
    done = cogumi("up", "--pool", "gqu", "--api", up.api, home=tmp_path)
    assert done.returncode == 2
    assert (
        f"the server at {up.api} wants another login; set PREFECT_API_AUTH_STRING to the one in the file `login` of "
        "its state folder" in done.stderr
    )
    done = cogumi("up", "--pool", "gqu", "--api", up.api, home=tmp_path, **DEFAULT)
    assert "wants a login; set PREFECT_API_AUTH_STRING" in done.stderr
    done = cogumi("up", "--pool", "gqu", "--api", up.api, home=tmp_path, **joining(up))
    assert done.returncode == 2
    assert f"there is no work pool 'gqu' on {up.api}; there are: cpu, gpu" in done.stderr


def test_a_clock_that_is_wrong_is_told_before_a_worker_joins(up: Up, tmp_path: Path) -> None:
    done = cogumi(
        "up",
        "--pool",
        "gqu",
        "--api",
        up.api,
        home=tmp_path,
        **joining(up),
        LD_PRELOAD=str(FAKETIME),
        FAKETIME="-1h",
        DONT_FAKE_MONOTONIC="1",
    )
    assert re.search(
        r"warning: this machine's clock is 3[56]\d\d s behind the server's, so a worker here takes runs that much too "
        r"late",
        done.stdout,
    )


@pytest.mark.all
def test_a_worker_elsewhere_joins_and_leaves(up: Up, tmp_path: Path) -> None:
    """As on another machine: a state folder of its own, no server, no deployments."""
    with Up(tmp_path, "--pool", "gpu", "--api", up.api, "--metrics", str(free_port()), **joining(up)) as there:
        there.says("ready")
        measured = there.says("metrics ").split()[1]
        assert ask("GET", measured).is_success
        assert any(f"-{there.note().pid}-" in name for name in workers(up.api, "gpu"))
        assert not (tmp_path / "prefect" / "prefect.db").exists()
        assert all("server_command" not in command for command in processes_of(there.note().mark).values())
        mark = there.note().mark
        assert cogumi("down", home=tmp_path).stdout == "down\n"
        assert there.process.wait(60) == 0
        assert processes_of(mark) == {}
        with pytest.raises(httpx.ConnectError):
            ask("GET", measured)
    assert healthy(up.api), "what it joined goes on"


@pytest.mark.all
def test_on_postgresql_the_password_stays_with_the_server_which_is_started_again(tmp_path: Path) -> None:
    with postgres.running("asyncpg", contrib=True) as url:
        secret = url.replace("cogumi@", "cogumi:hunter2@")  # any password is right there
        with Up(tmp_path, "--port", str(free_port()), PREFECT_SERVER_DATABASE_CONNECTION_URL=secret) as here:
            here.says("ready")
            here.says(f"database {url}")
            assert not (tmp_path / "prefect" / "prefect.db").exists()
            mark = here.note().mark
            server = only(here, "server_command")
            others = [setting for pid in processes_of(mark) if pid != server for setting in environment(pid)]
            assert any(setting.startswith("PREFECT_API_URL=") for setting in others)
            assert all("hunter2" not in setting for setting in others), (
                "a worker hands its settings to containers and pods"
            )
            assert "hunter2" not in here.logs() + "".join(here.lines) + (tmp_path / "up.json").read_text()
            kill(server)
            here.says("the server ended with code -9 and is started again")
            until(lambda: healthy(here.api), 120, here.logs)
            assert get(here.api, "/deployments/name/pipeline/nano"), "it knows everything it knew"
            assert here.end() == 0


def test_after_a_kill_the_next_down_sweeps_up_and_touches_nothing_else(up: Up, tmp_path: Path) -> None:
    """Last in this file: it ends what the others used."""
    stranger = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)", "prefect", "worker", "start", "--pool", "gpu"]
    )
    try:
        mark, port = up.note().mark, int(re.findall(r":(\d+)/api", up.api)[0])
        worker = only(up, "worker start --pool cpu")
        os.kill(worker, signal.SIGSTOP)  # one that does not hear the kernel's request to end
        up.process.kill()
        up.process.wait()
        assert processes_of(mark)
        assert cogumi("down", home=up.home).stdout == "cleaned up after a `cogumi up` that was killed\n"
        assert processes_of(mark) == {}
        assert stranger.poll() is None
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
        assert cogumi("down", home=up.home).stdout == "nothing is up\n"
    finally:
        stranger.kill()
        stranger.wait()
