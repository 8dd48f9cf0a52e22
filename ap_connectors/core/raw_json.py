"""JSON bodies, decoded without changing a digit."""

from __future__ import annotations

import codecs
import re
from typing import Any, TypeVar

import msgspec

from ap_connectors.core.errors import Retry

T = TypeVar("T")

Record = dict[str, msgspec.Raw]
"""A JSON object whose values are the bytes that were received: no digit, escape or space is changed."""

JsonObject = dict[str, Any]
"""A JSON object as plain Python: numbers with a point are `Decimal`s with all their digits, others are `int`s."""

NULL = msgspec.Raw(b"null")
"""An absent value in a `Record`."""

# Half of a surrogate pair on its own is legal in JSON and impossible in UTF-8: no destination could store it.
_LONE_SURROGATE = re.compile(
    rb"(?<!\\)((?:\\\\)*)(?:(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def decode(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Decode `body`; values kept as `msgspec.Raw` are written later exactly as they were received.

    The result never contains a line break outside a string, so raw values can go into line-based formats.

    Raises:
        Retry: the body is not JSON, not UTF-8, or not of the expected shape (a broken answer, or the wrong address).
    """
    body = body.removeprefix(codecs.BOM_UTF8)
    try:
        body.decode()
        if b"\n" in body or b"\r" in body:
            body = msgspec.json.format(body, indent=-1)
        try:
            return decoder.decode(body)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            return decoder.decode(_LONE_SURROGATE.sub(_mend, body))
    except UnicodeDecodeError:
        raise Retry("the answer is not UTF-8 text") from None
    except msgspec.ValidationError as error:
        raise Retry(f"the answer has an unexpected shape: {error}", tries=2) from None
    except msgspec.DecodeError as error:
        raise Retry(_describe(body, error)) from None


def _mend(match: re.Match[bytes]) -> bytes:
    return match[1] + (match[2] or rb"\ufffd")


def _describe(body: bytes, error: Exception) -> str:
    start = body[:200].lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<")):
        return "the answer is an HTML page where JSON was expected"
    return f"the answer is not complete JSON ({error}, {len(body)} bytes)"


def text(record: Record, name: str) -> str | None:
    """Return a field as text: a string's content, the JSON text of anything else, None for null or absent."""
    raw = record.get(name, NULL)
    if raw == NULL:
        return None
    value = bytes(raw)
    return _STRING.decode(value) if value[:1] == b'"' else value.decode()


def truth(record: Record, name: str) -> bool:
    """Return whether a field is JSON true."""
    return bytes(record.get(name, NULL)) == b"true"


_STRING = msgspec.json.Decoder(str)
