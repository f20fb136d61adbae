"""What a failed `prefect deploy` is told as."""

from deployments.up.deploy import _error_line

TRACEBACK = """Traceback (most recent call last):
  File "/x/httpx/_transports/default.py", line 118, in map_httpcore_exceptions
    raise mapped_exc(message) from exc
httpx.ConnectError: All connection attempts failed
"""


def test_of_a_traceback_the_error_alone_is_told() -> None:
    assert _error_line(TRACEBACK) == "httpx.ConnectError: All connection attempts failed"
    assert _error_line("Work pool 'x' was not found.\n") == "Work pool 'x' was not found."
