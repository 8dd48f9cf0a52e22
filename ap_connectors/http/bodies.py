"""Bodies of answers: never larger than can be right, and never slower than is worth waiting for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import requests

from ap_connectors.core.errors import Reject, Retry

MOST_ANSWER_MB = 100
"""The largest answer that is data, after it was decompressed; pages of both services have a few MB at most."""
MOST_FILE_MB = 500
"""The largest file that is downloaded."""

_MB = 1_000_000
_PIECE = 256 * 1024
_SLOWEST = 1000
_WINDOW = 60.0


def body(response: requests.Response) -> bytes:
    """Read the whole body of a streamed answer; requests itself reads it in pieces of 10 kB.

    Raises:
        Retry: it is too large, or comes too slowly.
    """
    pieces, size = [], 0
    # urllib3 takes its time over decoding even where nothing is encoded.
    encoded = "Content-Encoding" in response.headers
    for piece in paced(lambda: response.raw.read1(_PIECE, decode_content=encoded), _host(response)):
        size += len(piece)
        if size > MOST_ANSWER_MB * _MB:
            raise Retry(f"the answer is larger than {MOST_ANSWER_MB} MB", tries=2)
        pieces.append(piece)
    return b"".join(pieces)


PLAIN = {"Accept-Encoding": "identity"}
"""Headers for requests whose answer is a file."""


def file_pieces(response: requests.Response, name: str) -> Iterator[bytes]:
    """Yield the bytes of a streamed answer that is a file; messages call it `name`.

    Raises:
        Reject: it is too large, or compressed on its way. Retry: it comes too slowly.
    """
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in {"", "identity"}:
        problem = f"{_host(response)} sends it compressed ({encoding[:20]}), which was not asked for"
        raise Reject(f"{name}: {problem}", "document_unreadable", document=name, problem=problem)
    size = 0
    for piece in paced(lambda: response.raw.read1(_PIECE, decode_content=False), _host(response)):
        size += len(piece)
        if size > MOST_FILE_MB * _MB:
            most = f"{MOST_FILE_MB} MB"
            problem = f"the file is larger than {most}, which is the most that is downloaded"
            raise Reject(f"{name}: {problem}", "document_too_large", document=name, most=most, service=_host(response))
        yield piece


def paced(read: Callable[[], bytes], host: str, seconds: float = _WINDOW) -> Iterator[bytes]:
    """Yield what `read` returns until it is empty.

    Raises:
        Retry: less than 1 kB a second came, measured over `seconds`; a timeout sees only whether something comes.
    """
    waited, got = 0.0, 0
    while True:
        begun = time.monotonic()
        piece = read()
        waited += time.monotonic() - begun
        got += len(piece)
        if not piece:
            return
        if waited >= seconds:
            if got < _SLOWEST * seconds:
                raise Retry(f"{host} sends less than 1 kB a second")
            waited, got = 0.0, 0
        yield piece


def _host(response: requests.Response) -> str:
    return urlsplit(response.url).hostname or ""
