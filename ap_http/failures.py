"""What goes wrong between us and a service: which of it passes, whether the request was still sent, what to call it."""

from __future__ import annotations

from urllib.parse import urlsplit

import requests
import urllib3

PASSING = (
    urllib3.exceptions.HTTPError,
    requests.Timeout,
    requests.ConnectionError,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)
"""Errors after which the same call may well succeed."""


def never_left(error: Exception) -> bool:
    """Return whether the request surely never reached the service: there was no connection that could carry it."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(reason, urllib3.exceptions.ProxyError):
        # urllib3 blames the proxy for an answer that got lost behind it, too; the request was sent then.
        reason = reason.original_error
    no_connection = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
    return isinstance(reason, no_connection) or "Tunnel connection failed" in str(reason)


def describe(error: Exception, url: str) -> str:
    """Say what happened to the connection, without the URL's path and query."""
    host = urlsplit(url).netloc.rpartition("@")[2]
    text = str(error)
    if isinstance(error, requests.exceptions.ProxyError):
        return f"the proxy for {host} does not answer"
    if isinstance(error, requests.exceptions.SSLError):
        return f"no secure connection to {host}: its certificate is not trusted here"
    if isinstance(error, requests.ConnectTimeout):
        return f"{host} could not be reached in time"
    if isinstance(error, requests.Timeout):
        return f"{host} did not answer in time"
    if "NameResolution" in text or "Name or service" in text or "getaddrinfo" in text:
        return f"the name {host} is unknown (no network, or a misspelt address)"
    if "refused" in text:
        return f"{host} refuses connections (nothing is listening there)"
    if "IncompleteRead" in text or "ended prematurely" in text:
        return f"the answer of {host} broke off in the middle"
    return f"the connection to {host} broke"
