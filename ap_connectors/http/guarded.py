"""HTTP to addresses that somebody else names: every address is judged before anything connects to it, redirects too."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import LocationParseError, NameResolutionError
from urllib3.util import Timeout, Url, make_headers, parse_url

from ap_connectors.core.errors import Reject, Retry
from ap_connectors.http.bodies import PLAIN, paced

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

Judge = Callable[[Url], Callable[[Address], bool]]
"""Given a URL, as it will be requested: says which addresses its host may have; raises what forbids the URL."""

_MOST_REDIRECTS = 5
_PIECE = 256 * 1024

_METADATA = {ipaddress.ip_address("168.63.129.16")}
"""Addresses of clouds' own services that are not marked as private."""
_NAT64 = (
    ipaddress.IPv6Network("64:ff9b::/96"),
    ipaddress.IPv6Network("::/96"),
    ipaddress.IPv6Network("::ffff:0:0:0/96"),
)
_INNER = (ipaddress.IPv6Network("64:ff9b:1::/48"), ipaddress.IPv6Network("fec0::/10"))


class AddressRefused(Exception):
    """A host whose addresses may not be connected to."""


class PlainHttpRefused(Exception):
    """A host that may be asked, but not over http."""


def not_followed(service: str, what: str, error: Exception) -> Reject:
    """Return why the file behind a link is left out; nothing of the link itself, which may be signed."""
    begin = f"{service}: {what}: the link"
    if isinstance(error, AddressRefused):
        told = f"{begin} leads to {error}, which is not a public address; it is not followed."
        return Reject(told, "document_not_allowed", document=what)
    if isinstance(error, PlainHttpRefused):
        told = (
            f"{begin} leads to {error} over http, where everyone in between could read it and the file; it is not "
            "followed. Set allow_http if the network in between is your own."
        )
        return Reject(told, "document_not_allowed", document=what)
    endless = isinstance(error, requests.TooManyRedirects)
    problem = "it redirects without end" if endless else "it is not an address that can be asked"
    return Reject(f"{begin} cannot be followed: {problem}.", "document_unreadable", document=what, problem=problem)


def is_public(address: Address) -> bool:
    """Return whether an address belongs to the public internet, whatever form it is wrapped in."""
    if isinstance(address, ipaddress.IPv6Address):
        teredo = address.teredo or ()
        wrapped: list[Address] = [one for one in (address.ipv4_mapped, address.sixtofour, *teredo) if one is not None]
        if any(address in network for network in _NAT64):
            wrapped.append(ipaddress.IPv4Address(address.packed[-4:]))
        if wrapped:
            return all(map(is_public, wrapped))
        if any(address in network for network in _INNER):
            return False
    inner = address.is_private or address.is_loopback or address.is_link_local or address.is_unspecified
    return address.is_global and not (inner or address.is_multicast or address.is_reserved or address in _METADATA)


def is_loopback(address: Address) -> bool:
    """Return whether an address is this machine's own."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def pieces(url: str, judge: Judge, *, timeout: float = 60) -> Iterator[bytes]:
    """Yield the bytes of a file, without cookies, proxies or credentials other than those of the URL.

    Args:
        url: http or https.
        judge: asked for the URL and for every redirect.
        timeout: seconds to connect, and between two pieces.

    Raises:
        AddressRefused: the host has no address that the judge takes. FileNotFoundError: the file does not exist.
        OSError, Retry: it cannot be fetched; what the judge raises.
    """
    auth, host = parse_url(url).auth, ""
    try:
        for _ in range(_MOST_REDIRECTS + 1):
            target = parse_url(url)
            host = target.host or ""
            with closing(_pool(target, judge(target), timeout)) as pool:
                headers = {
                    "User-Agent": "ap-connectors",
                    **PLAIN,
                    **make_headers(basic_auth=unquote(auth) if auth else None),
                }
                answer = pool.urlopen(
                    "GET", target.request_uri, headers=headers, redirect=False, retries=False, preload_content=False
                )
                with closing(answer):
                    location = answer.get_redirect_location()
                    if not location:
                        yield from _body(answer, host, timeout)
                        return
                    # A login is for the host that it was given for.
                    url, auth = urljoin(target.url, location), None
    except NameResolutionError:
        # Not an OSError: what has no name today may have one in an hour.
        raise Retry(f"the name {host} is unknown (no network, or a misspelt address)") from None
    except urllib3.exceptions.HTTPError as error:
        raise OSError(_words(error, host)) from None
    raise OSError(f"it redirects more than {_MOST_REDIRECTS} times")


def _body(answer: urllib3.BaseHTTPResponse, host: str, timeout: float) -> Iterator[bytes]:
    if answer.status in {404, 410}:
        raise FileNotFoundError
    if answer.status != 200:
        raise OSError(f"{host} answers with status {answer.status}")
    encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise OSError(f"{host} sends it compressed ({encoding[:20]}), which was not asked for")
    yield from paced(lambda: answer.read1(_PIECE, decode_content=False), host, timeout)


def _words(error: Exception, host: str) -> str:
    if isinstance(error, LocationParseError):
        return "its address is not a URL"
    if "refused" in str(error):
        return f"{host} refuses connections"
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return f"{host} did not answer in time"
    if isinstance(error, urllib3.exceptions.SSLError):
        return f"no secure connection to {host}: its certificate is not trusted here"
    return f"the connection to {host} broke"


def _pool(target: Url, takes: Callable[[Address], bool], timeout: float) -> urllib3.HTTPConnectionPool:
    secure = target.scheme == "https"
    options: dict[str, Any] = {"timeout": Timeout(connect=timeout, read=timeout), "maxsize": 1}
    if secure:
        trusted = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or DEFAULT_CA_BUNDLE_PATH
        options |= {"ca_cert_dir" if Path(trusted).is_dir() else "ca_certs": trusted, "cert_reqs": "CERT_REQUIRED"}
    kind = urllib3.HTTPSConnectionPool if secure else urllib3.HTTPConnectionPool
    pool = kind((target.host or "").strip("[]"), target.port, **options)
    pool.ConnectionCls = _guarded(pool.ConnectionCls, lambda _, address: takes(address))
    return pool


def _guarded(base: Any, takes: Callable[[str, Address], bool]) -> Any:
    """Return a class of connections to hosts all of whose addresses are taken, given name and address."""

    class Guarded(base):  # type: ignore[misc]
        """Connects to addresses that were judged, not to a name that may mean something else the next time."""

        def _new_conn(self) -> socket.socket:
            name: str = self._dns_host  # type: ignore[has-type]
            error: Exception | None = None
            for address in self._addresses(name):
                try:
                    self._dns_host = address
                    connection: socket.socket = super()._new_conn()
                except urllib3.exceptions.HTTPError as problem:
                    error = problem
                else:
                    return connection
                finally:
                    self._dns_host = name
            raise error or AddressRefused(name)

        def _addresses(self, host: str) -> list[str]:
            # A name that has both kinds is refused as a whole.
            try:
                found = socket.getaddrinfo(host.strip("[]"), self.port or 0, type=socket.SOCK_STREAM)
            except (socket.gaierror, UnicodeError) as error:
                raise NameResolutionError(host, self, error) from None  # type: ignore[arg-type]
            addresses = dict.fromkeys(str(one[4][0]).partition("%")[0] for one in found)
            for text in addresses:
                if not takes(host, ipaddress.ip_address(text)):
                    raise AddressRefused(host)
            return list(addresses)

    return Guarded


class GuardedAdapter(HTTPAdapter):
    """Lets a session ask the public internet only, and hosts that are known; redirects are judged, too.

    Behind a proxy, which looks names up by itself, only addresses that are spelt out can be judged.

    Args:
        known: URL of the service: its host is known; if that is this machine, so is this machine.
        allow_http: ask other machines over http, too: a signed link is a credential.
        **options: of the adapter.
    """

    def __init__(self, known: str, *, allow_http: bool = False, **options: Any) -> None:
        self._allow_http = allow_http
        self._known = (urlsplit(known).hostname or "").lower()
        self._local = names_this_machine(known)
        super().__init__(**options)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Make the pools of connections."""
        super().init_poolmanager(*arguments, **options)

        class Http(urllib3.HTTPConnectionPool):
            ConnectionCls = _guarded(HTTPConnection, self._takes)

        class Https(urllib3.HTTPSConnectionPool):
            ConnectionCls = _guarded(HTTPSConnection, self._takes)

        self.poolmanager.pool_classes_by_scheme = {"http": Http, "https": Https}

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        """Send a request.

        Raises:
            AddressRefused: it leads to an address inside the network. PlainHttpRefused: it would go over http.
        """
        url = str(request.url or "")
        host = urlsplit(url).hostname or ""
        address = named_address(host)
        if address is not None and not self._takes(host, address):
            raise AddressRefused(host)
        if url.startswith("http:") and not self._allow_http and not names_this_machine(url):
            raise PlainHttpRefused(host)
        return super().send(request, *arguments, **options)

    def _takes(self, host: str, address: Address) -> bool:
        return host.lower() == self._known or is_public(address) or (self._local and is_loopback(address))


def named_address(host: str) -> Address | None:
    """Return the address that a host's name spells out; None for a name that has to be looked up."""
    with suppress(ValueError):
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    return None


def names_this_machine(url: str) -> bool:
    """Return whether a URL's host is this machine, by its name or address."""
    try:
        host = parse_url(url).host or ""
    except LocationParseError:
        return False
    address = named_address(host)
    return is_loopback(address) if address else host.lower().rstrip(".") == "localhost"
