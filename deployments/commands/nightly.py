"""``cogumi nightly``: one night here and now, without the schedule. Not here: the flow (flows/nightly.py)."""

import logging
import time

log = logging.getLogger("cogumi.run")


def run_nightly(profile: str, overrides: list[str]) -> None:
    """Run a night against the server of ``cogumi up`` where one is running, otherwise one of its own; print how it
    ended.

    Raises:
        BadInput: unknown profile or setting, or no release of the profile.
        GateFailed: a person, or the profile's rule, refused.
    """
    from configs.schema import load
    from deployments.commands.run import describe, find_server
    from deployments.terminal.shutdown import work_begins
    from tasks.release.current import current

    load(profile, overrides)
    current()  # what is missing ends here, before any server starts
    started = time.monotonic()
    find_server()

    from blocks import store
    from deployments.terminal import console
    from deployments.up.servers.own_server import watched
    from flows.nightly import nightly

    console.attach()
    work_begins()
    with watched():
        state = nightly(profile, overrides, return_state=True)
        if state.state_details.flow_run_id is not None:
            log.info("%s; %.0f s in all", describe(state.state_details.flow_run_id), time.monotonic() - started)
        night = state.result()
    console.say(
        f"night    {night.verdict}: {night.why}\nrelease  {current().release.digest[:12]}\naccount  "
        f"{store.open(night.account)}/README.md"
    )
