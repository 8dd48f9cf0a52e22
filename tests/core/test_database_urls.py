"""Passwords in URLs of PostgreSQL, in what a driver says of them."""

from __future__ import annotations

import pytest

from ap_connectors.core.errors import Stop
from ap_connectors.core.postgresql import host, is_postgresql, masked


@pytest.mark.parametrize(
    ("url", "said", "shown"),
    [
        ("postgresql://ap:geheim@db/w", "no route to geheim", "no route to ***"),
        ("postgres://ap:ge%23heim@db/w", 'password "ge#heim" or ge%23heim', 'password "***" or ***'),
        # What should have been escaped is taken for a part of the host or the port.
        ("postgresql://ap:ge@heim77@db/w", 'no host "heim77@db"', 'no host "***@db"'),
        ("postgresql://ap:geheim/77@db/w", 'no port "geheim"', 'no port "***"'),
        ("postgresql://ap@db/w?sslmode=require&password=ge%2Bheim", "ge+heim, ge%2Bheim", "***, ***"),
        # A short one is no reason to take letters out of words, or out of records.
        ("postgresql://ap:p@db/w", "port of ap: open, password=p", "port of ap: open, password=***"),
        ("postgresql://ap@db:5432/w", "port 5432 of ap@db is closed", "port 5432 of ap@db is closed"),
        ("warehouse.duckdb", "warehouse.duckdb: no such file", "warehouse.duckdb: no such file"),
    ],
)  # fmt: skip
def test_no_password_is_shown(url: str, said: str, shown: str) -> None:
    assert masked(said, url) == shown


def test_the_host_is_shown() -> None:
    assert host("postgresql://ap:geheim@db.example.com:5432/w") == "db.example.com"
    assert host("postgresql:///w") == "the local server"


@pytest.mark.parametrize(
    "given",
    [
        "host=db user=ap password=geheim dbname=w",
        "dbname = w password = 'geheim'",
        "POSTGRESQL://ap:geheim@db/w",
        "postgresql+psycopg://ap:geheim@db/w",
        "postgresql:/ap:geheim@db/w",
        "postgres//ap:geheim@db/w",
    ],
)
def test_other_ways_to_name_postgresql_are_no_files(given: str) -> None:
    """A DuckDB file of that name got the data, and showed the password."""
    with pytest.raises(Stop, match=r"written like this: postgresql://user@host:5432/name\.$"):
        is_postgresql(given)
    assert "geheim" not in masked(f"{given}: no such file geheim", given)


@pytest.mark.parametrize("given", ["warehouse.duckdb", "/srv/host/w.duckdb", ":memory:", "postgresql.duckdb", "C:/w"])
def test_files_are_files(given: str) -> None:
    assert not is_postgresql(given)
