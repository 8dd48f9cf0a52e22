"""Where the documents of records may come from: a record must not make a command read this machine or its network."""

from __future__ import annotations

import errno
import posixpath
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import unquote

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from ap_connectors.core.errors import Reject, Stop
from ap_connectors.core.redact import Redactor
from ap_connectors.http.guarded import (
    Address,
    AddressRefused,
    is_loopback,
    is_public,
    named_address,
    names_this_machine,
    pieces,
)

PUBLIC = "https://"
"""Entry of `documents_from`: every https address that is public."""

_WEB = {"http", "https"}
_LOCAL = {"file", "local"}
_ARCHIVES = {"zip", "tar"}
_LONGEST_CHAIN = 4
_CHUNK = 256 * 1024
_MOST_COPIED = 10**9
_LINK = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://(.*)", re.DOTALL)
_LOGIN = re.compile(r"(\w+://)[^/\s@]*@")
_redact = Redactor()
_CHAIN = re.compile(r"::(?![\w:.%]*\])")
"""What stands between the links of a chain; an IPv6 address has it, too."""
_NOT_IN_URLS = re.compile(r"[\x00-\x20\x7f\\]")

Grow = Callable[[int], None]
"""Told how many bytes there are by now; raises when these are too many."""


@dataclass(frozen=True)
class _Prefix:
    """The beginning of URLs: scheme, host (or bucket) and path."""

    scheme: str
    place: str
    path: str

    def covers(self, scheme: str, place: str, path: str) -> bool:
        inside = path == self.path or path.startswith(f"{self.path.rstrip('/')}/")
        return (scheme, place) == (self.scheme, self.place) and inside


class DocumentSources:
    """The setting `documents_from`.

    Args:
        entries: folders and beginnings of URLs, blank ones do not count; None for the working
            folder, and public https addresses.
        api_url: address of the service; while it is this machine, documents may come from this machine over HTTP too.
        also: a folder or URL beside these.

    Raises:
        Stop: an entry cannot be one.
    """

    def __init__(self, entries: Sequence[str] | None, *, api_url: str = "", also: str | None = None) -> None:
        by_default = entries is None
        named = [] if entries is None else [*entries]
        if by_default:
            here = Path.cwd()
            # Started by a scheduler or in a container, the working folder may be everything.
            named = [PUBLIC] if here == Path(here.anchor) else [str(here), PUBLIC]
        self._loopback = by_default and names_this_machine(api_url)
        self._public = False
        self._folders: list[Path] = []
        self._prefixes: list[_Prefix] = []
        for entry in filter(None, ((one or "").strip() for one in (*named, also))):
            self._add(entry)

    def _add(self, entry: str) -> None:
        link = _LINK.fullmatch(entry)
        if len(_links(entry)) > 1:
            raise Stop(f"documents_from: {show(entry)} is neither a folder nor the beginning of a URL. Correct it.")
        if entry.lower() == PUBLIC:
            self._public = True
        elif link and not link[2].strip("/"):
            raise Stop(f"documents_from: {link[1]}:// names no folder, host or bucket. Add it.")
        elif link and link[1].lower() not in _LOCAL:
            try:
                self._prefixes.append(_Prefix(*_parts(link[1], entry)))
            except ValueError:
                raise Stop(f"documents_from: {show(entry)} cannot be the beginning of a URL. Correct it.") from None
        else:
            try:
                self._folders.append(_resolved(link[2] if link else entry))
            except (OSError, ValueError, RuntimeError):
                raise Stop(f"documents_from: {entry!r} cannot be a folder. Correct it.") from None

    # Judging

    def check(self, text: str) -> None:
        """Check what can be checked of a document without reading it: where it says that it is.

        Raises:
            Reject: it may not come from there.
        """
        *archives, last = _links(text)
        if len(archives) >= _LONGEST_CHAIN or not all(_scheme(one) in _ARCHIVES for one in archives):
            raise _refused(text)
        scheme = _scheme(last)
        if scheme is None or scheme in _LOCAL:
            self.path(last, text)
        elif scheme in _WEB:
            self._judge(_parsed(last, text), text)
        elif not self._covers(scheme, last):
            raise _refused(text)

    def path(self, link: str, text: str) -> Path:
        """Return the path of a file on this machine, links in it resolved.

        Raises:
            Reject: it is outside.
        """
        found = _LINK.fullmatch(link)
        try:
            path = _resolved(found[2] if found else link)
        except (OSError, ValueError, RuntimeError) as error:
            # A character that paths cannot have, the home of an unknown user, links in a circle.
            raise unreadable(show(text), error) from None
        if not any(path.is_relative_to(folder) for folder in self._folders):
            raise _refused(text)
        return path

    def _covers(self, scheme: str, link: str) -> bool:
        try:
            parts = _parts(scheme, link)
        except ValueError:
            return False
        return any(prefix.covers(*parts) for prefix in self._prefixes)

    def _judge(self, url: Url, text: str) -> Callable[[Address], bool]:
        """Return which addresses the host of a URL may have.

        Raises:
            Reject: the URL may not be asked for.
        """
        if not url.host:
            raise _refused(text)
        if url.scheme in _WEB and self._covers(url.scheme or "", url.url):
            return lambda _: True
        public = self._public and url.scheme == "https"
        if not (public or (self._loopback and url.scheme in _WEB)):
            raise _refused(text)

        def takes(address: Address) -> bool:
            return (public and is_public(address)) or (self._loopback and is_loopback(address))

        named = named_address(url.host or "")
        if named is not None and not takes(named):
            raise _refused(text)
        return takes

    # Reading

    def found(self, text: str, grow: Grow, exits: ExitStack) -> Path:
        """Return a file on this machine with a document's bytes; what is remote or in an archive is copied.

        Raises:
            Reject: it may not come from there. Stop: there is no room for a copy. Exception: it cannot be read; each
                file system has errors of its own.
        """
        self.check(text)
        *archives, last = _links(text)
        path = self._last(last, text, grow, exits)
        for link in reversed(archives):
            path = _copied(_member(path, link), grow, exits)
        return path

    def _last(self, link: str, text: str, grow: Grow, exits: ExitStack) -> Path:
        scheme = _scheme(link)
        if scheme is None or scheme in _LOCAL:
            return self.path(link, text)
        if scheme not in _WEB:
            return _copied(_remote(scheme, link), grow, exits)

        def judge(url: Url) -> Callable[[Address], bool]:
            return self._judge(url, text)

        try:
            return _copied(pieces(link, judge), grow, exits)
        except AddressRefused:
            raise _refused(text) from None


def _links(text: str) -> list[str]:
    return _CHAIN.split(text) if "://" in text else [text]


_is_plain_web = re.compile(
    "https?://[a-z0-9][a-z0-9.-]*(?::(?:[0-9]{1,4}|[1-5][0-9]{4}))?/[A-Za-z0-9_.~/?=&%+-]*"
).fullmatch
"""True of most links of documents, which need no parsing; there is a link for each."""


def is_web(text: str) -> bool:
    """Return whether a text is an address of the web, and not a chain with one in it."""
    if _is_plain_web(text):
        return True
    try:
        return len(_links(text)) == 1 and _scheme(text) in _WEB and bool(parse_url(text).host)
    except LocationParseError:
        return False


def _scheme(link: str) -> str | None:
    found = _LINK.fullmatch(link)
    return found[1].lower() if found else None


def _parsed(link: str, text: str) -> Url:
    try:
        return parse_url(link)
    except LocationParseError:
        raise _refused(text) from None


def _parts(scheme: str, link: str) -> tuple[str, str, str]:
    """Return scheme, host and path of a URL in one spelling.

    Raises:
        ValueError: its path has `..` in it, or it has more than one reading.
    """
    scheme = scheme.lower()
    if scheme in _WEB:
        url = parse_url(link)
        port = url.port or {"http": 80, "https": 443}[scheme]
        place, path = f"{(url.host or '').lower().rstrip('.')}:{port}", url.path or "/"
        if _NOT_IN_URLS.search(link.partition("?")[0].partition("://")[2].partition("/")[0]):
            raise ValueError
    else:
        place, _, path = link.partition("://")[2].partition("?")[0].partition("/")
        path = f"/{path}"
    plain = path
    while (further := unquote(plain)) != plain:
        plain = further
    if ".." in re.split(r"[/\\]", plain):
        raise ValueError
    return scheme, place, posixpath.normpath(path) if path.strip("/") else "/"


def _resolved(text: str) -> Path:
    return Path(text).expanduser().resolve()


def _remote(scheme: str, link: str) -> Iterable[bytes]:
    # fsspec takes a tenth of a second to import; most loads have no use for it.
    import fsspec  # noqa: PLC0415

    files, path = fsspec.core.url_to_fs(f"{scheme}://{link.partition('://')[2]}")
    with files.open(path, "rb") as source:
        yield from _read(source)


def _member(archive: Path, link: str) -> Iterable[bytes]:
    import fsspec  # noqa: PLC0415

    with archive.open("rb") as file:
        files = fsspec.filesystem(_scheme(link), fo=file)
        with files.open(link.partition("://")[2], "rb") as source:
            yield from _read(source)


def _read(source: IO[bytes]) -> Iterable[bytes]:
    while chunk := source.read(_CHUNK):
        yield chunk


def _copied(chunks: Iterable[bytes], grow: Grow, exits: ExitStack) -> Path:
    size = 0
    try:
        copy = exits.enter_context(tempfile.NamedTemporaryFile())  # noqa: SIM115 - it ends with the document
        for chunk in chunks:
            size += len(chunk)
            grow(size)
            if size > _MOST_COPIED:
                raise ValueError(f"it is larger than {_MOST_COPIED // 10**9} GB, the most that is fetched")
            copy.write(chunk)
        copy.flush()
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise Stop(
                f"There is no room for temporary files in {tempfile.gettempdir()}: free some, or let TMPDIR name "
                "another folder."
            ) from None
        raise
    return Path(copy.name)


# What is said of documents that are of no use


def show(text: str) -> str:
    """Return a path or URL as messages may show it: without login and without query, which may be a signature."""
    return _redact(_LOGIN.sub(r"\1", text))


def unreadable(shown: str, error: Exception) -> Reject:
    """Return what to say of a document that cannot be read."""
    if isinstance(error, FileNotFoundError):
        return Reject(f"The document {shown} does not exist.", "document_not_found", document=shown)
    if isinstance(error, PermissionError):
        return unusable(shown, "may not be read by the user who runs this")
    reason = (error.strerror if isinstance(error, OSError) and error.strerror else str(error)) or type(error).__name__
    return unusable(shown, f"can't be read: {show(reason).rstrip('.')}")


def unusable(shown: str, problem: str) -> Reject:
    """Return what to say of a document with a problem."""
    return Reject(f"The document {shown} {problem}.", "document_unreadable", document=shown, problem=problem)


def _refused(text: str) -> Reject:
    shown = show(text)
    return Reject(
        f"The document {shown} is not from where documents may come. If it should be read, add its folder, or the "
        "beginning of its URL, to the setting documents_from.",
        "document_not_allowed",
        document=shown,
    )
