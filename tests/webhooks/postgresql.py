"""An empty PostgreSQL database for a test; tests that need one are skipped unless a server is named."""

from __future__ import annotations

import os

import pytest
import sqlalchemy as sa

from ap_connectors.webhooks.inbox_url import address

SERVER = os.environ.get("AP_WEBHOOKS_TEST_POSTGRESQL", "")
"""URL of a database whose user may create others, such as postgresql://postgres@127.0.0.1/test."""

needs_server = pytest.mark.skipif(not SERVER, reason="AP_WEBHOOKS_TEST_POSTGRESQL is not set")


def empty_database() -> str:
    """Create a database for this test worker, so that workers do not disturb each other; return its URL."""
    url = address(SERVER)
    name = f"{url.database}_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
        connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
    return url.set(database=name).render_as_string(hide_password=False)
