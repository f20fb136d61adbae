"""``cogumi releases`` and ``cogumi rollback``: what is kept, and going back to it. Light on imports: a rollback takes
under two seconds.

Not here: the pointer itself (tasks/release/current.py), and making releases (flows).
"""

from deployments.terminal.console import say
from tasks.release.current import releases
from tasks.release.current import rollback as move_back


def show() -> None:
    """Print the kept releases, newest last, the current one marked."""
    entries = releases().entries
    if not entries:
        say("there is no release here yet; make one with: cogumi run")
    for entry in entries:
        mark = "*" if entry is entries[-1] else " "
        say(
            f"{mark} {entry.release.digest[:12]}  {entry.promoted}  "
            f"{entry.how}{f', in place of {entry.replaced[:12]}' if entry.replaced else ''}"
        )


def rollback(release: str | None) -> None:
    """Make the release before (or the kept one whose digest begins with ``release``) the current one again.

    Raises:
        BadInput: there is none, or its files are gone.
    """
    entry = move_back(release)
    say(
        f"current  {entry.release.digest[:12]}  in place of {(entry.replaced or '')[:12]}; a second rollback takes "
        "this back"
    )
    say("what is being served changes when it is started again")
