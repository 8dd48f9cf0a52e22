"""Connections to PostgreSQL end by themselves when the server has gone without a word."""

from __future__ import annotations

import contextlib
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from ap_connectors.core import postgresql
from ap_connectors.webhooks.database import Database
from tests.postgresql import needs_postgresql, server


def option(connection: Any, number: int) -> int:
    with socket.socket(fileno=connection.fileno()) as known:
        try:
            return known.getsockopt(socket.IPPROTO_TCP, number)
        finally:
            known.detach()


@needs_postgresql
@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the system does not know it")
def test_the_limits_hold_unless_the_url_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    url = server()
    more = urlsplit(url)._replace(query="tcp_user_timeout=7000&connect_timeout=5&application_name=mine").geturl()
    for given, milliseconds, seconds, name in ((url, 120_000, "30", "ap"), (more, 7000, "5", "mine")):
        for is_quick in (False, True):
            with contextlib.closing(postgresql.connect(given, "ap", is_quick=is_quick)) as connection:
                assert option(connection, socket.TCP_USER_TIMEOUT) == milliseconds
                assert option(connection, socket.TCP_KEEPIDLE) == 60
                known = connection.info.get_parameters()
                assert (known["connect_timeout"], known["application_name"]) == (seconds, name)
    with contextlib.closing(Database(url)) as inbox, inbox.engine.connect() as pooled:
        assert option(pooled.connection.driver_connection, socket.TCP_USER_TIMEOUT) == 120_000
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "9")
    with contextlib.closing(postgresql.connect(url, "ap")) as connection:
        assert connection.info.get_parameters()["connect_timeout"] == "9"
