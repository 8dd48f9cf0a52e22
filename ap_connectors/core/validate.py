"""Settings that every client takes, checked before the first request."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from urllib.parse import urlsplit

from ap_connectors.core.errors import Stop

_VISIBLE = re.compile(r"[\x21-\x7e]+")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def address(name: str, value: str, example: str) -> str:
    """Return the base address of an API, without a slash at its end.

    Raises:
        Stop: it is not one; the message names the setting and shows `example`.
    """
    value = value.strip()
    try:
        parts = urlsplit(value)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
        raise Stop(f"{name}: is not an address such as {example}.")
    if parts.username is not None:
        raise Stop(f"{name}: contains a user name, which services do not take. Set an address such as {example}.")
    return value.rstrip("/")


def private_address(name: str, value: str, example: str, *, allow_http: bool) -> str:
    """Return the address of a service that gets credentials, as `address` does.

    Raises:
        Stop: it is not one; or the credentials would go over http to another machine, and `allow_http` is not set.
    """
    checked = address(name, value, example)
    parts = urlsplit(checked)
    if parts.scheme == "http" and not allow_http and not is_this_machine(parts.hostname or ""):
        raise Stop(
            f"{name}: begins with http, so that everyone between here and {parts.hostname} could read the credentials. "
            "Set an address with https, or allow_http if the network in between is your own."
        )
    return checked


def is_this_machine(host: str) -> bool:
    """Return whether a host of a URL is this machine by its form alone; no name but localhost is looked up."""
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return host.lower() == "localhost"
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback


def credential(name: str, value: str, where: str) -> str:
    """Return a key or a secret without the blanks that copying adds.

    Raises:
        Stop: it is empty or contains invalid characters; the message says `where` to get it, and does not show it.
    """
    if not _VISIBLE.fullmatch(value.strip()):
        raise Stop(f"{name}: is empty or contains invalid characters. {where}")
    return value.strip()


def user_agent(value: str) -> str:
    """Return what may stand in the header of that name.

    Raises:
        Stop: it may not.
    """
    if not value.isascii() or not value.isprintable():
        raise Stop("user_agent: may hold only ASCII characters.")
    return value


def uuid(name: str, value: str) -> str:
    """Return a UUID as it came, without the blanks around it.

    Raises:
        Stop: it is not one.
    """
    if not _UUID.fullmatch(value.strip()):
        raise Stop(f"{name}: is not a UUID such as 5b1f1c0e-6f0e-4a55-9d2c-1d0a4c8e7f21.")
    return value.strip()


_ASCII_BLANKS = "".join(map(chr, range(33))) + "\x7f"
_BLANK_CATEGORIES = {"Zs", "Zl", "Zp", "Cc", "Cf"}
_BLANK_LETTERS = "\u115f\u1160\u2800\u3164\uffa0"
"""They look like nothing, too: fillers of Hangul, and Braille without dots."""


def id_text(text: str) -> str:
    """Return an id or a key without what is invisible around it: white space of any kind, controls, marks of format.

    Systems pad ids to a width, and copying adds marks; neither makes another id. One that is blank becomes empty.
    """
    if text.isascii():
        return text.strip(_ASCII_BLANKS)
    first, last = 0, len(text)
    while first < last and _is_blank(text[first]):
        first += 1
    while last > first and _is_blank(text[last - 1]):
        last -= 1
    return text[first:last]


def spelled(text: str) -> str:
    """Return what all spellings of a number or a name have in common: its letters and digits, in small letters.

    An accented letter may come as one character or as two (from macOS, say); both are the same letter.
    """
    composed = text if text.isascii() else unicodedata.normalize("NFC", text)
    return "".join(letter for letter in composed.casefold() if letter.isalnum())


def _is_blank(letter: str) -> bool:
    return unicodedata.category(letter) in _BLANK_CATEGORIES or letter in _BLANK_LETTERS
