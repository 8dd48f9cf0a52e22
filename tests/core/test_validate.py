"""Settings of clients: taken as meant, or refused in words that name the setting and show no secret."""

from __future__ import annotations

import pytest

from ap_connectors.core import validate
from ap_connectors.core.errors import Stop

EXAMPLE = "https://api.example/v0"


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("https://api.example/v0", "https://api.example/v0"),
        (" https://api.example/v0/ \n", "https://api.example/v0"),
        ("https://api.example/v0//", "https://api.example/v0"),
        ("http://127.0.0.1:8722/vicai/v0", "http://127.0.0.1:8722/vicai/v0"),
        ("http://[::1]:80", "http://[::1]:80"),
        ("HTTPS://api.example", "HTTPS://api.example"),
    ],
)
def test_addresses(given: str, taken: str) -> None:
    assert validate.address("api_url", given, EXAMPLE) == taken


@pytest.mark.parametrize(
    "given",
    ["", " ", "api.example/v0", "ftp://api.example", "https://", "https:///v0", "file:///etc/passwd", "http://[::1",
     "https://api.example/v0?key=1", "https://api.example/v0#x"],
)  # fmt: skip
def test_what_is_no_address(given: str) -> None:
    with pytest.raises(Stop, match=rf"api_url: is not an address such as {EXAMPLE}\.") as caught:
        validate.address("api_url", given, EXAMPLE)
    assert "key=1" not in str(caught.value)


@pytest.mark.parametrize(
    "given", ["https://user:hunter22@api.example/v0", "https://hunter22@api.example", "https://:hunter22@x"]
)
def test_an_address_with_a_password_is_refused_without_showing_it(given: str) -> None:
    with pytest.raises(Stop, match="api_url: contains a user name") as caught:
        validate.address("api_url", given, EXAMPLE)
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize("given", ["s3cret", " s3cret\n", "\ts3cret "])
def test_credentials_lose_the_blanks_that_copying_adds(given: str) -> None:
    assert validate.credential("client_secret", given, "Ask them.") == "s3cret"


@pytest.mark.parametrize("given", ["", "  ", "hunter 22", "hunter\n22", "hunterą22", "hunter\x0022", "hunter\u200b22"])
def test_what_is_no_credential_is_not_shown(given: str) -> None:
    with pytest.raises(Stop, match=r"client_secret: is empty or contains .* Ask them\.") as caught:
        validate.credential("client_secret", given, "Ask them.")
    assert "hunter" not in str(caught.value)


def test_user_agents() -> None:
    assert validate.user_agent("us/1.0 (Å)".replace("Å", "A")) == "us/1.0 (A)"
    for given in ("mūsų", "a\nb", "a\r\nX-Evil: 1", "tab\t"):
        with pytest.raises(Stop, match="user_agent: may hold only ASCII"):
            validate.user_agent(given)


@pytest.mark.parametrize(
    ("given", "allow", "taken"),
    [
        ("https://api.example.com/v0", False, True),
        ("http://127.0.0.1:8722/v0", False, True),
        ("http://127.8.9.1/v0", False, True),
        ("http://localhost:1/v0", False, True),
        ("http://[::1]:8722/v0", False, True),
        ("http://[::ffff:127.0.0.1]/v0", False, True),
        ("http://api.example.com/v0", True, True),
        ("http://api.example.com/v0", False, False),
        ("HTTP://api.example.com/v0", False, False),
        ("http://192.168.1.7/v0", False, False),
        ("http://0.0.0.0/v0", False, False),
        ("http://localhost.example.com/v0", False, False),
        ("http://127.0.0.1.example.com/v0", False, False),
        ("http://127.1/v0", False, False),
    ],
)
def test_credentials_go_over_http_to_this_machine_only(given: str, allow: bool, taken: bool) -> None:
    if taken:
        assert validate.private_address("api_url", given, "https://x", allow_http=allow) == given
        return
    with pytest.raises(Stop, match=r"^api_url: begins with http, .* or allow_http if"):
        validate.private_address("api_url", given, "https://x", allow_http=allow)
