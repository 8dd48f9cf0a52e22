"""A PostgreSQL server for the tests: a given one, or one of their own in a temporary folder, where it is installed."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

GIVEN = os.environ.get("AP_TEST_POSTGRESQL", "")
"""URL of a database whose user may create others, such as postgresql://postgres@127.0.0.1/test."""
ROOT = Path(__file__).parent.parent
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
    not GIVEN and (_binary("initdb") is None or _user() == ""),
    reason="PostgreSQL is not installed here (Debian: apt-get install postgresql)",
)


class _Server:
    """A server of ours, in a temporary folder."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._folder = Path(tempfile.mkdtemp(prefix="ap-postgresql-"))
        self._user = _user()
        if self._user:
            shutil.chown(self._folder, self._user)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"postgresql://tester@127.0.0.1:{self._port}/postgres"
        self._run("initdb", "--auth=trust", "--username=tester", "--encoding=UTF8", "--locale=C", "--no-sync")
        self.start()
        atexit.register(self._end)

    def _run(self, name: str, *arguments: str) -> None:
        command = [str(self._binaries / name), f"--pgdata={self._folder}/data", *arguments]
        who: dict[str, Any] = {"user": self._user, "group": self._user, "extra_groups": []} if self._user else {}
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/", **who
        )
        assert done.returncode == 0, done.stderr.decode()

    def start(self) -> None:
        options = "-c listen_addresses=127.0.0.1 -c fsync=off "
        options += f"-c port={self._port} -c unix_socket_directories={self._folder}"
        self._run("pg_ctl", "--wait", f"--log={self._folder}/log", f"--options={options}", "start")

    def stop(self, mode: str) -> None:
        self._run("pg_ctl", "--wait", f"--mode={mode}", "stop")

    def _end(self) -> None:
        self.stop("immediate")
        shutil.rmtree(self._folder, ignore_errors=True)


@functools.cache
def _ours() -> _Server:
    binary = _binary("initdb")
    assert binary
    return _Server(Path(binary).resolve().parent)


def server() -> str:
    """URL of a database on the server; it is started when first asked for, and stopped when the tests end."""
    return GIVEN or _ours().url


@contextlib.contextmanager
def stopped(mode: str = "fast") -> Iterator[None]:
    """Have our server stopped for a while; its databases stay. Immediate: without an orderly end, as by kill -9."""
    _ours().stop(mode)
    try:
        yield
    finally:
        _ours().start()


def empty_database(name: str = "test") -> str:
    """Create a database for this test worker, so that workers do not disturb each other; return its URL."""
    url = server()
    database = f"{name}_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)'.encode())
        connection.execute(f'CREATE DATABASE "{database}"'.encode())
    return urlsplit(url)._replace(path=f"/{database}").geturl()
