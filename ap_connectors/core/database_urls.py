"""URLs of PostgreSQL, whose passwords no message may show, wherever they stand and however they are written."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, unquote, urlsplit

from ap_connectors.core.errors import Stop
from ap_connectors.core.redact import Redactor

POSTGRESQL = ("postgresql://", "postgres://")
"""How its URLs begin."""
_PASSWORD = re.compile(r"postgres(?:ql)?(?:\+\w+)?(?::/*|//)[^:@/?]*:(.*)@", re.DOTALL | re.IGNORECASE)
"""A password may be written as it is: everything up to the last @ belongs to it."""
_OPTIONS = {"password", "sslpassword"}
_other_form = re.compile(
    r"postgres(?:ql)?(?:\+\w+)?(?::|//)|(?:.*\s)?(?:host|hostaddr|port|user|password|dbname|service)\s*=",
    re.IGNORECASE | re.DOTALL,
).match
"""What other programs take for PostgreSQL: a DuckDB file of this name would get the data, and show the password."""
_PASSWORD_SAID = re.compile(r"password\s*=\s*('(?:[^'\\]|\\.)*'|\S+)", re.IGNORECASE)


def is_postgresql(database: str) -> bool:
    """Return whether a database is named by a URL of PostgreSQL; else it is a file.

    Raises:
        Stop: it is PostgreSQL's, but no such URL.
    """
    if database.startswith(POSTGRESQL):
        return True
    if _other_form(database):
        raise Stop(
            "The database is neither the path of a DuckDB file nor a URL of PostgreSQL, which is written like this: "
            "postgresql://user@host:5432/name."
        )
    return False


def passwords(database: str) -> Iterator[str]:
    """Yield the secrets of a URL, in every form in which a message may show them."""
    if not (database.startswith(POSTGRESQL) or _other_form(database)):
        return
    found = _PASSWORD.match(database)
    given = [found[1]] if found else []
    given += [text for said in _PASSWORD_SAID.findall(database) for text in (said, said.strip("'"))]
    query = database.partition("?")[2]
    given += [text for name, text in parse_qsl(query) if name in _OPTIONS]
    given += [part.partition("=")[2] for part in query.split("&") if part.partition("=")[0] in _OPTIONS]
    for one in given:
        # PostgreSQL takes a part of a password for the host or the port where a letter should have been escaped.
        for part in {one, *re.split("[@/?#:]", one)} - {""}:
            yield from {part, unquote(part)}


def masked(text: str, database: str) -> str:
    """Return a text without the secrets of a database's URL."""
    return _redactor(database).mask(text)


@functools.cache
def _redactor(database: str) -> Redactor:
    return Redactor(passwords(database))


def host(database: str) -> str:
    """Return the host of a URL, as messages show it."""
    return masked(urlsplit(database).hostname or "", database) or "the local server"
