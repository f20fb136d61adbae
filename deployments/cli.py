"""Where the command ``cogumi`` begins: before anything that takes time is imported, it is settled what Ctrl-C and SIGTERM do.

Not here: the commands (command_line.py).
"""

from deployments.interrupting import at_once


def main() -> None:
    """Entry point of the ``cogumi`` command."""
    at_once()
    from deployments.command_line import outcome
    from deployments.leaving import leave

    leave(outcome())


if __name__ == "__main__":
    main()
