"""Connections to PostgreSQL that notice it when the server has gone without a word, as behind a firewall."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

from ap_connectors.core.errors import Stop

if TYPE_CHECKING:
    import psycopg

LIMITS: Mapping[str, Any] = {
    "connect_timeout": 30,
    "keepalives_idle": 60,
    "keepalives_interval": 15,
    "keepalives_count": 4,
    "tcp_user_timeout": 120_000,
}
"""Options of libpq, in seconds and milliseconds: without them a lost server is waited for for hours."""


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
