"""One HTTP request to a receiver, on the event loop that serves the sandbox's own answers.

Any https address may be subscribed, but only this machine is ever called.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

import httptools

ELSEWHERE = "not sent: the sandbox calls this machine only (localhost, 127.0.0.1)"


def acceptable(url: str) -> bool:
    """Tell whether a receiver may be at an address: https, as the services want it, or http on this machine."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and local(url)))
    except ValueError:
        return False


def local(url: str) -> bool:
    """Tell whether an http(s) address is on this machine."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        here = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
    return here and parts.scheme in ("http", "https") and port != 0


def shown(url: str) -> str:
    """Return an address as logs show it: the values of its query, and a user's name and password, are masked."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    except ValueError:
        return "***"
    query = "&".join(f"{name}=***" for name in names)
    return parts._replace(netloc=host, query=query, fragment="").geturl()


MOST_KEPT = 65_536


class WithheldError(Exception):
    """The delivery must not be made, or not any more; the text says why."""


class NoAnswerError(Exception):
    """The receiver did not answer in HTTP; the text says how."""


@dataclass(frozen=True)
class OutgoingRequest:
    """What is posted, and where."""

    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """A receiver's answer; of the body the first 64 kB."""

    status: int
    body: bytes


class _Reading:
    """What the parser calls while an answer comes in."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.body, self.begun, self.complete = bytearray(), False, False

    def on_headers_complete(self) -> None:
        self.begun = self.parser.get_status_code() >= 200

    def on_body(self, data: bytes) -> None:
        if len(self.body) < MOST_KEPT:
            self.body += data

    def on_message_complete(self) -> None:
        # An interim answer (100) is not the one that is waited for.
        self.complete = self.begun


async def post(request: OutgoingRequest) -> Answer:
    """Post a request; redirects are not followed. It waits as long as the receiver takes: give it a timeout.

    Raises:
        WithheldError: the address is not on this machine.
        NoAnswerError: nothing listens there, the connection broke, or the answer is not HTTP.
    """
    if not local(request.url):
        raise WithheldError(ELSEWHERE)
    parts = urlsplit(request.url)
    secure = parts.scheme == "https"
    try:
        reader, writer = await asyncio.open_connection(
            parts.hostname, parts.port or (443 if secure else 80), ssl=_trusting() if secure else None
        )
    except OSError as error:
        raise NoAnswerError(f"no connection: {error.strerror or error}") from None
    try:
        # A receiver may refuse a body before it has read it all; its answer counts all the same.
        with contextlib.suppress(ConnectionError):
            writer.write(_head(request) + request.body)
            await writer.drain()
        return await _answer(reader)
    except (OSError, httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
        raise NoAnswerError(f"the connection broke, or the answer is not HTTP: {str(error)[:200]}") from None
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> Answer:
    reading = _Reading()
    while not reading.complete:
        data = await reader.read(MOST_KEPT)
        if not data:
            break
        try:
            reading.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            # The status counts, even if what follows it is odd.
            if not reading.begun:
                raise
            break
    if not reading.begun:
        raise NoAnswerError("the connection was closed without an answer")
    return Answer(reading.parser.get_status_code(), bytes(reading.body[:MOST_KEPT]))


def _head(request: OutgoingRequest) -> bytes:
    parts = urlsplit(request.url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {
        "Host": parts.netloc.rpartition("@")[2],
        **request.headers,
        "Content-Length": str(len(request.body)),
        "Connection": "close",
    }
    lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")


def _trusting() -> ssl.SSLContext:
    # A receiver under test made its certificate itself, and the call never leaves this machine.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
