"""PostgreSQL: its URLs, whose passwords no message may show, and connections that notice when the server is gone."""

from __future__ import annotations

import functools
import os
import re
import time
from collections.abc import Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from ap_connectors.core.errors import Stop
from ap_connectors.core.redact import Redactor

if TYPE_CHECKING:
    import psycopg


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
LIMITS: Mapping[str, Any] = {
    "connect_timeout": 30,
    "keepalives_idle": 60,
    "keepalives_interval": 15,
    "keepalives_count": 4,
    "tcp_user_timeout": 120_000,
}
"""Options of libpq, in seconds and milliseconds: without them a lost server is waited for for hours."""


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


def connect(url: str, name: str, *, is_quick: bool = False, **more: Any) -> psycopg.Connection[Any]:
    """Connect to a database; what the URL says of `LIMITS` counts.

    Args:
        url: of the database.
        name: of the program, which the server shows.
        is_quick: whether a statement that is not answered within tcp_user_timeout has failed, whatever the reason; the
            connection is closed then.
        more: as of `psycopg.connect`.

    Raises:
        Stop: the driver is not installed. psycopg.Error: as of `psycopg.connect`.
    """
    try:
        import psycopg  # noqa: PLC0415 - an extra brings it
    except ImportError:
        raise Stop("psycopg is not installed here: pip install 'ap-connectors[postgres]'.") from None

    known = {"application_name": name, **LIMITS}
    if given := os.environ.get("PGCONNECT_TIMEOUT"):
        known["connect_timeout"] = given
    known |= {**psycopg.conninfo.conninfo_to_dict(url), **more}
    if not is_quick:
        return psycopg.connect(**known)
    given = str(known["tcp_user_timeout"])
    # 0 is what the system does, which is too long.
    seconds = int(given if given.isdecimal() and int(given) else LIMITS["tcp_user_timeout"]) / 1000

    class Quick(psycopg.Connection[Any]):
        def wait(self, gen: Any, *others: Any, **more: Any) -> Any:
            return super().wait(self._in_time(gen), *others, **more)

        def _in_time(self, gen: Any) -> Generator[Any, Any, Any]:
            """Hand on what the driver waits for; it gets word of nothing ten times a second."""
            until = time.monotonic() + seconds
            try:
                waits = next(gen)
                while True:
                    ready = yield waits
                    if not ready and time.monotonic() >= until:
                        self.pgconn.finish()
                        raise psycopg.OperationalError(f"no answer within {seconds:g} s (tcp_user_timeout)")
                    waits = gen.send(ready)
            except StopIteration as end:
                return end.value

    return Quick.connect(**known)
