"""Where webhooks may go: any https address may be subscribed, but only this machine is ever called."""

from __future__ import annotations

import ipaddress
from urllib.parse import parse_qsl, urlsplit

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
