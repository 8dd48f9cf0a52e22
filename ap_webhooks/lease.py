"""Who acts: of all receivers of one inbox, one at a time starts runs."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import sqlalchemy as sa

from ap_http.errors import Outage
from ap_webhooks.inbox import Inbox

_ACTING = 7_065_708
"""The advisory lock of PostgreSQL that the one who acts holds."""


class Lease:
    """The right to act; it ends with the process, however that ends."""

    def __init__(self, inbox: Inbox) -> None:
        self._engine = inbox.engine
        self._file: int | None = None
        self._connection: sa.Connection | None = None

    def hold(self) -> bool:
        """Take it, or see that we still have it; False if somebody else does.

        Raises:
            Outage: the database cannot be asked.
            OSError: the lock file cannot be made.
        """
        if self._engine.dialect.name == "postgresql":
            return self._hold_connection()
        return self._hold_file()

    def drop(self) -> None:
        """Leave it to others."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._connection is not None:
            # The lock belongs to the session, which a pool would keep.
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _hold_file(self) -> bool:
        if self._file is not None:
            return True
        database = Path(str(self._engine.url.database))
        descriptor = os.open(database.with_name(f".{database.name}.acting"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._file = descriptor
        return True

    def _hold_connection(self) -> bool:
        try:
            if self._connection is not None:
                self._connection.execute(sa.text("SELECT 1"))
                return True
            # No transaction stays open for as long as we act.
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT", reads=True)
            if connection.execute(sa.select(sa.func.pg_try_advisory_lock(_ACTING))).scalar_one():
                self._connection = connection
                return True
            connection.close()
        except sa.exc.SQLAlchemyError as error:
            self.drop()
            raise Outage(
                f"The database of the inbox cannot be asked: {getattr(error, 'orig', None) or error}"
            ) from error
        return False
