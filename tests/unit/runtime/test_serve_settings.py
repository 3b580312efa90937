"""Where the service may listen, and with which token."""

from __future__ import annotations

import pytest

from aiface_runtime.errors import UsageError
from aiface_runtime.serve.settings import Settings, check_reach, token_of

HERE = ("127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1")
BEYOND = ("0.0.0.0", "::", "192.168.0.7", "10.0.0.1", "fe80::1%eth0", "::ffff:10.0.0.1", "2001:db8::1")


@pytest.mark.parametrize("address", HERE)
def test_this_machine_needs_no_token(address: str) -> None:
    check_reach((address, 8000), None)


@pytest.mark.parametrize("address", BEYOND)
def test_other_machines_need_a_token(address: str) -> None:
    with pytest.raises(UsageError, match="AIFACE_TOKEN"):
        check_reach((address, 8000), None)
    check_reach((address, 8000), "token")


@pytest.mark.parametrize(
    ("given", "token"), [({}, None), ({"AIFACE_TOKEN": ""}, None), ({"AIFACE_TOKEN": "a=!"}, "a=!")]
)
def test_a_token_is_what_a_header_can_carry(given: dict[str, str], token: str | None) -> None:
    assert token_of(given) == token


@pytest.mark.parametrize("token", ["secret word", "secret\n", "secretü"])
def test_another_token_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(UsageError) as refused:
        token_of({"AIFACE_TOKEN": token})
    assert "secret" not in str(refused.value)


def test_settings_do_not_show_the_token() -> None:
    assert "secret" not in repr(Settings(token="secret"))
