"""Bodies of answers: too large, too slow, compressed on their way."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterator

import pytest
import requests
import urllib3

from ap_connectors.core.errors import Reject, Retry
from ap_connectors.http import bodies
from ap_connectors.http.bodies import PLAIN, body, file_pieces, paced
from ap_connectors.sandbox.process import SandboxProcess


def answer(content: bytes, encoding: str | None = None) -> requests.Response:
    response = requests.Response()
    response.status_code, response.url = 200, "https://files.example/a.pdf?signature=abc"
    headers = {"Content-Encoding": encoding} if encoding else {}
    response.headers.update(headers)
    response.raw = urllib3.HTTPResponse(io.BytesIO(content), headers, preload_content=False)
    return response


def test_a_body_is_whole_and_decompressed() -> None:
    content = bytes(range(256)) * 5000
    assert body(answer(content)) == content
    assert body(answer(gzip.compress(content), "gzip")) == content
    assert body(answer(b"")) == b""
    assert b"".join(file_pieces(answer(content), "a.pdf")) == content


def test_a_small_answer_does_not_become_a_large_one(sandbox: SandboxProcess) -> None:
    """100 kB on the line are 101 MB in memory: read until it is too much, and not to its end."""
    sandbox.control.fault("large", megabytes=101)
    with requests.get(f"{sandbox.ivesk_url}/pub/exported", stream=True, timeout=30) as response:
        assert int(response.headers["Content-Length"]) < 200_000
        with pytest.raises(Retry, match="the answer is larger than 100 MB"):
            body(response)


def test_files_are_as_large_as_they_were_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Reject, match="compressed \\(gzip\\)") as caught:
        list(file_pieces(answer(gzip.compress(b"%PDF-"), "GZip"), "a.pdf"))
    assert caught.value.code == "document_unreadable"
    assert list(file_pieces(answer(b"%PDF-", "identity"), "a.pdf")) == [b"%PDF-"]
    assert PLAIN == {"Accept-Encoding": "identity"}
    monkeypatch.setattr(bodies, "MOST_FILE_MB", 1)
    assert len(b"".join(file_pieces(answer(b"x" * 1_000_000), "a.pdf"))) == 1_000_000
    with pytest.raises(Reject, match=r"a\.pdf: the file is larger than 1 MB") as caught:
        list(file_pieces(answer(b"x" * 1_000_001), "a.pdf"))
    assert caught.value.code == "document_too_large"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock is a second after the one before."""
    seconds = iter(range(1_000_000))
    monkeypatch.setattr("time.monotonic", lambda: next(seconds))


def reading(*pieces: bytes) -> Callable[[], bytes]:
    left: Iterator[bytes] = iter([*pieces, b""])
    return lambda: next(left)


def test_what_trickles_in_is_given_up(clock: None) -> None:
    with pytest.raises(Retry, match=r"files\.example sends less than 1 kB a second"):
        list(paced(reading(*[b"12345"] * 1000), "files.example"))


def test_what_is_slow_but_comes_is_waited_for(clock: None) -> None:
    assert len(b"".join(paced(reading(*[b"x" * 1000] * 200), "files.example"))) == 200_000
    # What has been written in between is not the sender's time.
    short = list(paced(reading(*[b"12345"] * 59), "files.example"))
    assert len(short) == 59
