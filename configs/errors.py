"""The errors that cross the whole house, each with the exit code the command line ends with.

Not here: errors that one file raises and handles itself.
"""


class CogumiError(Exception):
    """A fault whose message is one clear line: what was wrong, where, what to do."""

    exit_code = 1


class BadInput(CogumiError):
    """The user's input or usage is wrong; nothing was changed."""

    exit_code = 2


class GateFailed(CogumiError):
    """A report missed a threshold of the profile; the phases behind the gate do not start."""

    exit_code = 3


class BudgetSpent(CogumiError):
    """The next teacher call could exceed the cap; everything made so far is kept."""

    exit_code = 4


class DamagedArtifact(BadInput):
    """An artifact's files are not what its manifest says."""


class Transient(CogumiError):
    """A fault that can pass by itself (network, 429, 5xx, lost worker); only this is retried."""
