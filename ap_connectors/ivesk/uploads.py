"""Uploads: where a file is to be put, which parts of that are secret, and when the file has arrived."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import msgspec
import requests
import urllib3

from ap_connectors.core.errors import Retry
from ap_connectors.core.raw_json import Record, decode, text
from ap_connectors.core.redact import Redactor

_decoder = msgspec.json.Decoder(Record)

_HEADERS = {"contenttype": "Content-Type", "contentdisposition": "Content-Disposition"}
_ENOUGH = 64 * 1024
_SHORT = 20
"""A part of the link with fewer characters is not secret: a date, a number, the name of a method."""


@dataclass(frozen=True)
class Location:
    """Where one file may be put, for some minutes: a link that lets everyone write who knows it.

    Args:
        url: the link.
        headers: to be sent with the file, exactly; values as bytes, for a file name may hold any letter.
    """

    url: str = field(repr=False)
    headers: Mapping[str, bytes]

    @classmethod
    def read(cls, body: bytes) -> Location:
        """Read an answer; it may name the headers with a hyphen (newer) or without (older).

        Raises:
            Retry: it is not a location.
        """
        answer = decode(body, _decoder)
        url = text(answer, "url")
        if not url:
            raise Retry("the answer has an unexpected shape: it names no url", tries=2)
        headers = {}
        for name in answer:
            header = _HEADERS.get(name.replace("-", "").lower())
            value = text(answer, name)
            if header and value is not None:
                headers[header] = value.encode()
        return cls(url, headers)

    @contextmanager
    def hidden(self, *redactors: Redactor) -> Iterator[None]:
        """Mask what permits to write there in all messages, as long as it is in use."""
        secrets = list(filter(None, self._secrets()))
        for redactor in redactors:
            for secret in secrets:
                redactor.add(secret)
        try:
            yield
        finally:
            for redactor in redactors:
                for secret in secrets:
                    redactor.forget(secret)

    def _secrets(self) -> Iterator[str]:
        parts = urlsplit(self.url)
        yield from (self.url, parts.query)
        for part in (parts.path, *(pair.partition("=")[2] for pair in parts.query.split("&"))):
            if len(part) >= _SHORT:
                yield part


def drain(response: requests.Response) -> None:
    """Take a status that says "done" at its word, whatever comes after it; but a proxy's page says nothing.

    Some servers call an empty body, or a mere "OK", HTML: what counts is how it begins.

    Raises:
        Retry: it is such a page.
    """
    is_page = "html" in response.headers.get("Content-Type", "").lower()
    with suppress(urllib3.exceptions.HTTPError):
        start = response.raw.read(_ENOUGH, decode_content=True)
        is_page = is_page and start.lstrip().startswith((b"<", b"\xef\xbb\xbf"))
    if is_page:
        raise Retry("the answer is an HTML page, which the service never sends")
