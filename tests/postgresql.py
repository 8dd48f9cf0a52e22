"""A PostgreSQL server for the tests: a given one, or one of their own in a temporary folder, where it is installed."""

from __future__ import annotations

import atexit
import functools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

_GIVEN = os.environ.get("AP_TEST_POSTGRESQL") or os.environ.get("AP_WEBHOOKS_TEST_POSTGRESQL", "")
"""URL of a database whose user may create others, such as postgresql://postgres@127.0.0.1/test."""
_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin")) if Path("/usr/lib/postgresql").exists() else []


def _binary(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join(map(str, reversed(_FOLDERS)))) or shutil.which(name)


def _user() -> str | None:
    """Who the server runs as: it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        return ""


needs_postgresql = pytest.mark.skipif(
    not _GIVEN and (_binary("initdb") is None or _user() == ""),
    reason="PostgreSQL is not installed here (Debian: apt-get install postgresql)",
)


@functools.cache
def server() -> str:
    """URL of a database on the server; it is started when first asked for, and stopped when the tests end."""
    if _GIVEN:
        return _GIVEN
    folder = Path(tempfile.mkdtemp(prefix="ap-postgresql-"))
    user, binary = _user(), _binary("initdb")
    assert binary
    if user:
        shutil.chown(folder, user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(name: str, *arguments: str) -> None:
        command = [str(Path(binary).resolve().parent / name), f"--pgdata={folder}/data", *arguments]
        who: dict[str, Any] = {"user": user, "group": user, "extra_groups": []} if user else {}
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/", **who
        )
        assert done.returncode == 0, done.stderr.decode()

    run("initdb", "--auth=trust", "--username=tester", "--encoding=UTF8", "--locale=C", "--no-sync")
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
    run("pg_ctl", "--wait", f"--log={folder}/log", f"--options={options}", "start")

    def stop() -> None:
        run("pg_ctl", "--mode=immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(stop)
    return f"postgresql://tester@127.0.0.1:{port}/postgres"


def empty_database(name: str = "test") -> str:
    """Create a database for this test worker, so that workers do not disturb each other; return its URL."""
    url = server()
    database = f"{name}_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)'.encode())
        connection.execute(f'CREATE DATABASE "{database}"'.encode())
    return urlsplit(url)._replace(path=f"/{database}").geturl()
