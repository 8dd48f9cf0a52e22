"""Where documents may come from: what records of an attacker try, and what goes on working."""

from __future__ import annotations

import ipaddress
import socket
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import fsspec
import pytest

from ap_connectors.core.errors import Reject, Retry, Stop
from ap_connectors.http import guarded
from ap_connectors.singer.document_sources import DocumentSources
from tests.campaign import one_in

PDF = b"%PDF-1.7 and more"
FULL = Path("/dev/full")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder; beside it lies what must not be read."""
    (tmp_path / "secret.pdf").write_bytes(PDF)
    folder = tmp_path / "base"
    (folder / "in").mkdir(parents=True)
    (folder / "in/a.pdf").write_bytes(PDF)
    (tmp_path / "base2").mkdir()
    (tmp_path / "base2/b.pdf").write_bytes(PDF)
    with zipfile.ZipFile(tmp_path / "secret.zip", "w") as archive:
        archive.writestr("a.pdf", PDF)
    with zipfile.ZipFile(folder / "inner.zip", "w") as archive:
        archive.writestr("2026/a.pdf", PDF)
    with zipfile.ZipFile(folder / "outer.zip", "w") as archive:
        archive.write(folder / "inner.zip", "in ner.zip")
    with tarfile.open(folder / "a.tar", "w") as tar:
        tar.add(folder / "in/a.pdf", "a.pdf")
        link = tarfile.TarInfo("link.pdf")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret.pdf")
        tar.addfile(link)
    (folder / "link.pdf").symlink_to(tmp_path / "secret.pdf")
    (folder / "inside.pdf").symlink_to(folder / "in/a.pdf")
    (folder / "up").symlink_to(tmp_path)
    (folder / "circle").symlink_to(folder / "circle")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    return folder


class Served(BaseHTTPRequestHandler):
    """A web server on this machine: files, redirects, and what is not to be believed."""

    def do_GET(self) -> None:
        kind, _, rest = self.path.removeprefix("/").partition("/")
        seen: list[Any] = self.server.seen  # type: ignore[attr-defined]
        seen.append((self.path, self.headers.get("Authorization"), self.headers.get("Accept-Encoding")))
        if kind == "to":
            self.send_response(302)
            self.send_header("Location", unquote(rest))
            self.end_headers()
        elif kind == "endless":
            self.send_response(302)
            self.send_header("Location", f"{self.path}x")
            self.end_headers()
        else:
            self.send_response(int(rest) if kind == "status" else 200)
            if kind == "packed":
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(PDF) + (9 if kind == "short" else 0)))
            self.end_headers()
            self.wfile.write(PDF)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def web() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Served)
    server.seen = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def at(web: ThreadingHTTPServer, path: str = "/a.pdf", host: str = "127.0.0.1") -> str:
    return f"http://{host}:{web.server_address[1]}{path}"


def read(text: str, entries: list[str] | None = None, **more: Any) -> bytes:
    with ExitStack() as exits:
        return DocumentSources(entries, **more).found(text, lambda _: None, exits).read_bytes()


def refused(text: str, entries: list[str] | None = None, **more: Any) -> str:
    with pytest.raises(Reject) as caught:
        read(text, entries, **more)
    assert caught.value.code == "document_not_allowed", caught.value
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["in/a.pdf", "./in/../in/a.pdf", "{folder}/in/a.pdf", "~/base/in/a.pdf", "file://{folder}/in/a.pdf", "inside.pdf",
     "local://{folder}/in/a.pdf", "FILE://{folder}/in/a.pdf", "zip://2026/a.pdf::{folder}/inner.zip",
     "zip://2026/a.pdf::file://{folder}/inner.zip", "tar://a.pdf::a.tar", "up/base/in/a.pdf",
     "zip://2026/a.pdf::zip://in ner.zip::outer.zip"],
)  # fmt: skip
def test_the_working_folder_is_read_by_default(folder: Path, text: str) -> None:
    assert read(text.format(folder=folder)) == PDF


@pytest.mark.parametrize(
    "text",
    ["/etc/passwd", "../secret.pdf", "in/../../secret.pdf", "{folder}/../secret.pdf", "~/secret.pdf", "link.pdf",
     "up/secret.pdf", "{folder}2/b.pdf", "../base2/b.pdf", "file:///etc/passwd", "FiLe:///etc/passwd", "up/nowhere.pdf",
     "local:///etc/passwd", "file://../secret.pdf", "file://~/secret.pdf", "zip://a.pdf::{folder}/../secret.zip",
     "zip://a.pdf::file://{folder}/../secret.zip", "simplecache::file:///etc/passwd", "filecache::link.pdf://x",
     "zip://a.pdf::zip://a.pdf::zip://a.pdf::zip://a.pdf::outer.zip", "memory://in/a.pdf", "ftp://127.0.0.1/a.pdf",
     "github://o:r@main/a.pdf", "reference://::in/a.pdf", "data://text/plain,x", "dir://in::file:///etc/passwd",
     "http://example.com/a.pdf", "s3://bucket/a.pdf", "sftp://localhost/etc/passwd", "dask::file://x/y",
     "/proc/self/environ"],
)  # fmt: skip
def test_nothing_else_of_this_machine_is_read(folder: Path, text: str) -> None:
    told = refused(text.format(folder=folder))
    assert "the setting documents_from" in told


@pytest.mark.parametrize("text", ["a\0b.pdf", "~nosuchuser/a.pdf", "circle", "file:/etc/passwd", "file:etc"])
def test_what_is_not_a_path_is_not_read_either(folder: Path, text: str) -> None:
    with pytest.raises((Reject, FileNotFoundError, OSError)):
        read(text)


def test_a_link_in_a_tar_leads_nowhere(folder: Path) -> None:
    with pytest.raises((KeyError, OSError)):
        read("tar://link.pdf::a.tar")


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "0", "localhost", "localhost.", "LOCALHOST",
     "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
     "[fe80::1]", "[fe80::1%25lo]", "[fc00::1]", "[fec0::1]", "[ff02::1]", "10.0.0.1", "172.16.0.1", "192.168.1.1",
     "169.254.169.254", "100.100.100.200", "168.63.129.16", "[fd00:ec2::254]", "0.0.0.0", "255.255.255.255",
     "224.0.0.1", "198.18.0.1", "192.0.2.1", "anna:pw@127.0.0.1", "good.example@127.0.0.1", "①②⑦.0.0.1"],
)  # fmt: skip
def test_addresses_inside_are_not_asked_by_default(address: str) -> None:
    refused_or_unknown(f"https://{address}:1/a.pdf")
    refused_or_unknown(f"HTTPS://{address}/a.pdf")
    refused(f"http://{address}:1/a.pdf")


def refused_or_unknown(text: str) -> None:
    """Nothing was connected to: the address was refused, or is not an address on this machine."""
    with pytest.raises((Reject, Retry, OSError)) as caught:
        read(text)
    if not isinstance(caught.value, Reject):
        assert "is unknown" in str(caught.value) or "not a URL" in str(caught.value), caught.value


def test_a_name_is_judged_by_what_it_means_and_that_is_connected_to(
    web: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name may look public, change its mind between two questions, or have one address of each kind."""
    asked: list[str] = []
    answers: dict[str, list[str]] = {
        "inside.example": ["127.0.0.1"],
        "mixed.example": ["93.184.216.34", "10.0.0.1"],
        "wrapped.example": ["::ffff:10.0.0.1"],
    }

    def resolve(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        if host not in answers:
            return real(host, port, type=socket.SOCK_STREAM)
        kind = {4: socket.AF_INET, 6: socket.AF_INET6}
        return [
            (kind[ipaddress.ip_address(one).version], socket.SOCK_STREAM, 6, "", (one, port)) for one in answers[host]
        ]

    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    for name in answers:
        refused(f"https://{name}/a.pdf")
    assert asked == list(answers), "looked up once, and connected to what was looked up"
    assert read(at(web, host="inside.example"), api_url=at(web)) == PDF
    refused(at(web, host="mixed.example"), api_url=at(web))


@pytest.mark.parametrize("api_url", ["http://127.0.0.1:8722/vicai/v0", "http://localhost:1", "http://[::1]:1/x"])
def test_this_machine_is_asked_while_the_service_is_on_it(web: ThreadingHTTPServer, api_url: str) -> None:
    for host in ("127.0.0.1", "localhost", "127.1"):
        assert read(at(web, host=host), api_url=api_url) == PDF
    refused("http://10.0.0.1/a.pdf", api_url=api_url)
    refused("http://example.com/a.pdf".replace("example.com", "10.0.0.1"), api_url=api_url)
    for elsewhere in ("https://api.vic.ai/v0", "https://localhost.vic.ai", "https://127.0.0.1.nip.io", ""):
        refused(at(web), api_url=elsewhere)
    refused(at(web), [], api_url=api_url)


@one_in(3)
@pytest.mark.parametrize(
    "target",
    ["file:///etc/passwd", "FILE:/etc/passwd", "//10.0.0.1/a.pdf", "http://169.254.169.254/latest/meta-data/",
     "http://[::ffff:10.0.0.1]/", "ftp://127.0.0.1/x", "https://10.0.0.1/a.pdf", "gopher://127.0.0.1/x", "memory://a"],
)  # fmt: skip
def test_every_redirect_is_judged(web: ThreadingHTTPServer, target: str) -> None:
    refused(at(web, f"/to/{target}"), api_url=at(web))
    refused(at(web, f"/to/{at(web, f'/to/{target}')}"), api_url=at(web))


def test_redirects_that_are_allowed(web: ThreadingHTTPServer) -> None:
    login = at(web, f"/to/{at(web)}").replace("127.0.0.1", "anna:p%40ss@127.0.0.1", 1)
    assert read(login, api_url=at(web)) == PDF
    seen = web.seen  # type: ignore[attr-defined]
    assert [bool(header) for _, header, _ in seen] == [True, False], "the login is for the first host"
    assert {encoding for _, _, encoding in seen} == {"identity"}
    assert read(at(web, "/to/../a.pdf"), api_url=at(web)) == PDF
    with pytest.raises(OSError, match="redirects more than"):
        read(at(web, "/endless/"), api_url=at(web))


@pytest.mark.parametrize(
    ("path", "error"),
    [("/status/404", "^$"), ("/status/500", "answers with status 500"), ("/status/206", "status 206"),
     ("/packed/a.pdf", "sends it compressed"), ("/short/a.pdf", "broke")],
)  # fmt: skip
def test_answers_that_are_not_the_file(web: ThreadingHTTPServer, path: str, error: str) -> None:
    with pytest.raises(OSError, match=error):
        read(at(web, path), api_url=at(web))


def test_beginnings_of_urls(web: ThreadingHTTPServer, folder: Path) -> None:
    fsspec.filesystem("memory").pipe("/in/a.pdf", PDF)
    fsspec.filesystem("memory").pipe("/in2/a.pdf", PDF)
    entries = [at(web, "/in/"), "memory://in", str(folder / "in")]
    for text in (at(web, "/in/a.pdf?x=1"), "memory://in/a.pdf", f"{folder}/in/a.pdf", "MEMORY://in/a.pdf"):
        assert read(text, entries) == PDF
    port = web.server_address[1]
    for text in (
        at(web, "/a.pdf"), at(web, "/in2/a.pdf"), at(web, "/in/../a.pdf"), at(web, "/in/%2e%2e/a.pdf"),
        at(web, "/in/%252e%252e/a.pdf"), at(web, "/in/..%2fa.pdf"), at(web, "/in/..%5ca.pdf"), at(web, "/IN/a.pdf"),
        f"http://127.0.0.1:{port}@10.0.0.1/in/a.pdf", f"https://127.0.0.1:{port}/in/a.pdf", "http://127.0.0.1/in/a.pdf",
        at(web, f"/in/a.pdf::file://{folder}/inner.zip"), "memory://in2/a.pdf", "memory://in/../in2/a.pdf", "memory://a.pdf",
        f"{folder}/inner.zip", "https://example.com/a.pdf", at(web, "/in/a.pdf", "localhost"),
    ):  # fmt: skip
        refused(text, entries)
    refused(at(web, f"/in/../to/{at(web, '/a.pdf')}"), entries)


@pytest.mark.parametrize(
    "entry", ["https", "http://", "file://", "s3://", "zip://a::b.zip", "https://h/in/%2e%2e/b", "a\0b"]
)
def test_entries_that_cannot_be_one(entry: str, folder: Path) -> None:
    if entry == "https":
        refused("https://example.com/a.pdf", [entry])  # a folder of that name
        return
    with pytest.raises(Stop, match="documents_from: "):
        DocumentSources([entry])


def test_https_alone_is_the_public_web(web: ThreadingHTTPServer) -> None:
    for text in ("http://example.com/a.pdf", at(web), "https://10.0.0.1/", "in/a.pdf", "https:///a.pdf", "https://"):
        refused(text, ["https://"], api_url=at(web))


def test_blank_entries_allow_nothing(folder: Path) -> None:
    """An empty variable in the list is left out; it does not bring the default back."""
    for entries in ([], [""], ["  ", ""]):
        refused("in/a.pdf", entries)
    assert read("in/a.pdf", ["", "in"]) == PDF


def test_this_machine_by_its_newer_address(folder: Path) -> None:
    with pytest.raises(OSError, match="refuses connections"):
        read("http://[::1]:1/a.pdf", api_url="http://[::1]:1/v0")


def test_the_root_of_a_machine_is_not_a_working_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    refused("/etc/passwd")
    assert read("/etc/passwd", ["/etc"])


def test_size_is_told_while_it_grows(web: ThreadingHTTPServer) -> None:
    def grow(size: int) -> None:
        raise Reject(f"{size} are too many", "document_too_large")

    with ExitStack() as exits, pytest.raises(Reject, match="17 are too many"):
        DocumentSources(None, api_url=at(web)).found(at(web), grow, exits)


PUBLIC = ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
INSIDE = [
    "64:ff9b::a00:1",
    "64:ff9b:1::808:808",
    "2002:a00:1::",
    "::a00:1",
    "::ffff:0:10.0.0.1",
    "2001:db8::1",
    "240.0.0.1",
]


@pytest.mark.parametrize("text", PUBLIC + INSIDE)
def test_public_addresses(text: str) -> None:
    assert guarded.is_public(ipaddress.ip_address(text)) == (text in PUBLIC)


def test_a_disk_without_room_ends_the_run(web: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not the document's fault: no record is set aside for it."""
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", lambda: FULL.open("wb", buffering=0))
    with pytest.raises(Stop, match=r"no room for temporary files in .*TMPDIR"):
        read(at(web), api_url=at(web))
