"""Links that a service names: they lead to the public internet or to the service itself, through redirects too."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from ap_connectors.core.errors import Outage, Reject
from ap_connectors.http.session import HttpClient, RetryPolicy
from ap_connectors.ivesk.client import IveskClient
from ap_connectors.vicai.client import VicaiClient
from tests.vicai.scripted import Asked, Said, Scripted, granting, serving

QUICK = RetryPolicy(tries=2, first_pause=0.01, longest_pause=0.01, longest_asked=1)
PUBLIC = "https://api.example.com/v0"
INNER = [
    "http://169.254.169.254/latest/meta-data/",
    "http://10.1.2.3/",
    "https://192.168.0.1:8443/a.pdf",
    "http://[fd00::1]/a.pdf",
    "http://[::ffff:10.0.0.1]/a.pdf",
    "http://0x0a.1/a.pdf",
    "http://100.64.0.1/",
]


@pytest.fixture
def web() -> Iterator[Scripted]:
    """A web server on this machine: `/to?url=...` redirects, all else is a file."""

    def answer(asked: Asked) -> Said:
        if asked.path == "/to":
            return Said(status=302, headers=(("Location", asked.query["url"]),))
        return Said(b"%PDF-")

    with serving(answer) as service:
        yield service


def read(link: str, links_of: str, *, allow_http: bool = False) -> bytes:
    more: dict[str, Any] = {"retry_policy": QUICK, "links_of": links_of, "allow_http": allow_http}
    client = HttpClient("storage", explain=lambda _, what: Reject(what, "x"), **more)
    return client.fetch("GET", link, lambda response: bytes(response.content), what="file 7", redirects=True)


def refused(link: str, links_of: str) -> str:
    with pytest.raises(Reject) as caught:
        read(link, links_of)
    assert caught.value.code == "document_not_allowed"
    assert str(caught.value).startswith("storage: file 7: the link leads to ")
    return str(caught.value)


@pytest.mark.parametrize("link", INNER)
def test_the_network_inside_is_not_asked(web: Scripted, link: str) -> None:
    refused(link, PUBLIC)
    refused(link, web.url)
    refused(f"{web.url}/to?url={link}", web.url)


def test_this_machine_is_asked_while_the_service_is_here(web: Scripted) -> None:
    port = urlsplit(web.url).port
    for link in (web.url, f"http://localhost:{port}", f"{web.url}/to?url=http://localhost:{port}/a.pdf"):
        assert read(link, web.url) == b"%PDF-"
        assert read(link, "http://localhost:1/api") == b"%PDF-"
    web.asked.clear()
    for link in (web.url, f"http://localhost:{port}", f"http://[::ffff:127.0.0.1]:{port}", f"http://127.1:{port}"):
        refused(link, PUBLIC)
    assert web.asked == []


def test_a_name_is_judged_by_its_addresses(web: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    real, port = socket.getaddrinfo, urlsplit(web.url).port

    def resolve(host: str, *more: Any, **options: Any) -> Any:
        if host == "nowhere.example.com":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real("127.0.0.1" if host.endswith(".example.com") else host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    inner = f"http://files.example.com:{port}/a.pdf"
    for known in ("https://vic.example.org/v0", PUBLIC):
        with pytest.raises(Reject, match=r"files\.example\.com, which is not a public address"):
            read(inner, known, allow_http=True)
    refused(inner, PUBLIC)
    assert web.asked == []
    # The host that the user has named is the user's own affair.
    assert read(f"http://api.example.com:{port}/a.pdf", PUBLIC, allow_http=True) == b"%PDF-"
    with pytest.raises(Outage, match=r"the name nowhere\.example\.com is unknown"):
        read("https://nowhere.example.com/a.pdf", PUBLIC)


@pytest.mark.parametrize("link", INNER[:2])
def test_both_services_follow_no_link_inside(web: Scripted, link: str) -> None:
    """Of the file's record, and of the redirects behind it."""
    ivesk = IveskClient("key", "https://app.example.com/api", retry_policy=QUICK)
    here = IveskClient("key", web.url, retry_policy=QUICK)
    for client, url in ((ivesk, link), (ivesk, web.url), (here, f"{web.url}/to?url={link}")):
        with pytest.raises(Reject, match="not a public address"):
            client.download({}, url, lambda _: None)
    with serving(granting(lambda _: Said(status=302, headers=(("Location", link),)))) as service:
        vicai = VicaiClient("id", "secret", service.url, retry_policy=QUICK)
        with pytest.raises(Reject, match="not a public address"):
            vicai.document("getInvoiceDocument", lambda _: None, id="7")


PLAIN = "http://203.0.114.7/signed/a.pdf?X-Amz-Signature=secret"


def test_signed_links_are_credentials_and_go_over_https(web: Scripted) -> None:
    """Of the file's record, and of the redirects behind it; this machine, where nothing is in between, is no other."""
    for link in (PLAIN, f"{web.url}/to?url={PLAIN}"):
        said = refused(link, web.url)
        assert "over http, where everyone in between could read it" in said
        assert "allow_http" in said
        assert "secret" not in said
    refused("http://api.example.com/a.pdf", PUBLIC)


@pytest.mark.parametrize("allow_http", [False, True])
def test_both_services_follow_plain_links_where_they_may(allow_http: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def connect(address: tuple[str, int], *_: Any, **__: Any) -> Any:
        asked.append(address[0])
        raise OSError("refused")

    monkeypatch.setattr("urllib3.util.connection.create_connection", connect)
    ivesk = IveskClient("key", "https://app.example.com/api", retry_policy=QUICK, allow_http=allow_http)
    with pytest.raises(Outage if allow_http else Reject):
        ivesk.download({}, PLAIN, lambda _: None)
    vicai = VicaiClient("id", "secret", "https://api.example.com/v0", retry_policy=QUICK, allow_http=allow_http)
    with pytest.raises(Outage if allow_http else Reject):
        vicai.linked(PLAIN, lambda _: None, "attachment 7")
    assert set(asked) == ({"203.0.114.7"} if allow_http else set())
