"""The setting `inbox`: a file or the URL of a database, whose password no message may show, however it is written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from ap_connectors.core.errors import Stop

_SECRET_OPTIONS = ("password", "sslpassword")
_OPTIONS = (
    r"application_name|channel_binding|client_encoding|connect_timeout|dbname|fallback_application_name|gss\w+|host|"
    r"hostaddr|keepalives\w*|options|passfile|password|port|require_auth|service|ssl\w+|target_session_attrs|tcp_user_timeout|user"
)
"""Options of libpq, by which the query of a URL is told from a password with a question mark."""
_POSTGRESQL = re.compile(rf"(postgres(?:ql)?(?:\+\w+)?://[^:@/?]*)(:.*?)?(@?[^@?]*)(\?(?:{_OPTIONS})=.*)?", re.DOTALL)
_NO_FILE = re.compile(r"(?i)(postgres|postgresql|sqlite)(\+\w+)?:|.*(?<!\w)(host|hostaddr|dbname|user|password)\s*=")


def address(given: str) -> URL:
    """Read the setting: a URL, or the plain path of an SQLite file.

    Raises:
        Stop: it is neither. The message shows nothing of it.
    """
    given = given.strip()
    if not given:
        raise Stop("inbox: is empty. Set a file such as webhooks.db, or a URL such as postgresql://user@host/name.")
    if "://" not in given:
        if _NO_FILE.match(given):
            raise Stop("inbox: is neither a file nor a URL. A database is written as postgresql://user@host:5432/name.")
        return URL.create("sqlite", database=given)
    if found := _POSTGRESQL.fullmatch(given):
        # A password may be written as it is: everything up to the last @ belongs to it.
        user, password, place, query = (part or "" for part in found.groups())
        given = user + re.sub(r"[@/?#]", lambda one: quote(one[0]), password) + place + query.replace("@", "%40")
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):  # a port that is not a number is a ValueError
        raise Stop("inbox: is not the URL of a database such as postgresql://user@host:5432/name.") from None
    if url.drivername in {"postgres", "postgresql"}:
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in {"sqlite", "postgresql"}:
        raise Stop(f"inbox: {url.get_backend_name()} is not supported; use SQLite or PostgreSQL.")
    if url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}:
        raise Stop("inbox: a database in memory would lose every event when the process ends. Set a file.")
    return url


def file_of(url: URL) -> Path | None:
    """Return the file of an SQLite database, or None for a server."""
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def shown(url: URL) -> str:
    """Return a URL as messages show it."""
    return url.difference_update_query(_SECRET_OPTIONS).render_as_string(hide_password=True)


def passwords(url: URL) -> Iterator[str]:
    """Yield the secrets of a URL, in every form in which somebody else's message may show them."""
    for given in (url.password, *(url.query.get(name) for name in _SECRET_OPTIONS)):
        for secret in [given] if isinstance(given, str) else given or ():
            yield from (secret, quote(secret), quote(secret, safe=""), quote_plus(secret))
