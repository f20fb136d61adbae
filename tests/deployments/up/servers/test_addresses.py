"""Addresses as people write them: what is wrong is said, the password is not."""

import pytest

from configs.errors import BadInput
from deployments.up.servers.addresses import check_free, check_server
from deployments.up.servers.prefect_database import shown


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("postgresql://me:secret@h:1/d?password=secret", "postgresql://me@h:1/d"),
        ("http://me:se@cret@h/api", "http://me@h/api"),
        ("http://h:4200/api", "http://h:4200/api"),
        ("me:secret@h/d", "me@h/d"),
        ("nonsense", "nonsense"),
        ("postgresql:me:secret@h/d", "postgresql@h/d"),
        ("", ""),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, safe: str) -> None:
    assert shown(url) == safe


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("", "--host is empty"),
        ("no.such.host.invalid", "--host takes an address"),
        ("192.0.2.1", "--host takes an address"),
    ],
)
def test_a_host_that_is_not_this_machine_is_told(host: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        check_free(host, 4200)


@pytest.mark.parametrize(
    ("api", "said"),
    [
        ("nonsense", "--api 'nonsense': write the address"),
        ("ftp://me:secret@h/api", "--api 'ftp://me@h/api'"),
        ("http://me:secret@127.0.0.1:9/api", "no Prefect server"),
    ],
)
def test_a_server_that_is_none_is_told_without_its_password(api: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as told:
        check_server(api)
    assert "secret" not in str(told.value)
