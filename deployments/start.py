"""Where the command ``cogumi`` begins: before anything that takes time is imported, it is settled what Ctrl-C and
SIGTERM do.

Not here: the commands (cli.py).
"""

from deployments.terminal.signals import at_once


def main() -> None:
    """Entry point of the ``cogumi`` command."""
    at_once()
    from deployments.cli import outcome
    from deployments.terminal.shutdown import leave

    leave(outcome())


if __name__ == "__main__":
    main()
