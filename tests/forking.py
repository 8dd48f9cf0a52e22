"""A process that has libraries loaded, and forks for each command that `tests.preloaded` asks for."""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import typing
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple
from importlib import metadata
from typing import Any

from tests import privileges

LIBRARIES = {
    "ours": (
        *("singer_sdk", "singer_sdk.tap_base", "singer_sdk.target_base", "singer_sdk.mapper_base", "sqlite3"),
        *("tap_ivesk.tap", "tap_vicai.tap", "tap_saft.tap", "tap_rejects.tap", "tap_webhooks.tap"),
        *("target_vicai.target", "target_ivesk.target", "target_warehouse.target"),
        "mapper_ivesk_vicai.mapper",
        "ap_connectors.tieout.cli",
        "ap_connectors.fleet.cli",
        *("target_warehouse.duckdb", "target_warehouse.postgres"),
    ),
    "webhooks": (
        *("ap_connectors.webhooks.cli", "ap_connectors.webhooks.serve", "ap_connectors.webhooks.subscriptions"),
        *("uvicorn.protocols.http.httptools_impl", "uvicorn.lifespan.on", "uvicorn.loops.asyncio"),
    ),
    "meltano": (
        *("meltano.cli", "meltano.core.meltano_file", "meltano.core.state_store.filesystem"),
        *("meltano.migrations.utils.dialect_typing", "alembic.command", "alembic.config", "alembic.context"),
        *("sqlalchemy.dialects.sqlite", "anyio._backends._asyncio"),
    ),
}
"""What commands of a kind have loaded."""
HASTE = 20


def received(source: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        more = source.recv(size - len(content))
        assert more, "the other side has ended"
        content += more
    return content


def number(source: socket.socket) -> int:
    return int.from_bytes(received(source, 8), "big", signed=True)


def tell(sink: socket.socket, number: int) -> None:
    sink.sendall(number.to_bytes(8, "big", signed=True))


class _Forks:
    """Forks for every command that is asked for, and tells how each ended."""

    def __init__(self, asks: socket.socket) -> None:
        self._asks = asks
        self._reports: dict[int, socket.socket] = {}
        self._ended, self._ends = socket.socketpair()
        for one in (self._ended, self._ends):
            one.setblocking(False)

    def order(self) -> dict[str, Any]:
        """Return what a command is to do, in the process that is to be the command."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._ends.fileno(), warn_on_full_buffer=False)
        while True:
            ready, _, _ = select.select([self._asks, self._ended], [], [])
            if self._ended in ready:
                self._ended.recv(4096)
                self._bury()
            if self._asks in ready:
                order = self._fork()
                if order is not None:
                    return order

    def _fork(self) -> dict[str, Any] | None:
        size, files, _, _ = socket.recv_fds(self._asks, 8, 4)
        if not size:
            os._exit(0)
        order: dict[str, Any] = json.loads(received(self._asks, int.from_bytes(size, "big")))
        *standard, report = files
        child = os.fork()
        if child == 0:
            self._forget()
            _use(standard)
            os.close(report)
            return order
        # Else it would go unnoticed that the command has stopped reading.
        for file in standard:
            os.close(file)
        self._reports[child] = socket.socket(fileno=report)
        tell(self._reports[child], child)
        return None

    def _forget(self) -> None:
        """Have nothing of this process left in the command's."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for one in (self._asks, self._ended, self._ends, *self._reports.values()):
            one.close()

    def _bury(self) -> None:
        with suppress(ChildProcessError):
            while True:
                child, status = os.waitpid(-1, os.WNOHANG)
                if not child:
                    return
                # The test may have ended meanwhile.
                with self._reports.pop(child) as report, suppress(BrokenPipeError):
                    tell(report, os.waitstatus_to_exitcode(status))


def _use(standard: Sequence[int]) -> None:
    """Take these files as standard input, output and error."""
    for number, file in enumerate(standard):
        os.dup2(file, number)
        os.close(file)
    # What is known of the old files, such as whether they can be sought in, is not true of these.
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115


def _prepare() -> None:
    """Find out beforehand what every command asks first."""
    metadata.version = functools.cache(metadata.version)
    for package in ("ap-connectors", "singer_sdk"):
        metadata.version(package)
    contract = sys.modules.get("ap_connectors.vicai.contract")
    if contract is not None:
        for age in (contract.FIRST, contract.LIVE):
            contract.operations(age)
    # A library's last deed is to empty the caches of `typing`: each page of memory would be copied for that.
    vars(typing)["_cleanups"].clear()


def _make_haste() -> None:
    """Shorten the pauses of the policy that clients have unless told otherwise, and show no progress.

    Its lines come every ten seconds: on a busy machine they stood among what a test compares.
    """
    from ap_connectors.core import progress  # noqa: PLC0415 - only the command's process has it
    from ap_connectors.http.session import RetryPolicy  # noqa: PLC0415 - as above

    vars(progress)["_LINE_SECONDS"] = 3600.0

    usual = RetryPolicy()
    short = RetryPolicy(usual.tries, usual.first_pause / HASTE, usual.longest_pause / HASTE, usual.longest_asked)
    RetryPolicy.__init__.__defaults__ = astuple(short)


def _end(status: int) -> None:
    """End as Python does, but leave it to the system to take the memory back.

    Python would go through every object of every library, each in a page of memory that is copied for it first: longer
    than most commands run.
    """
    threading._shutdown()  # type: ignore[attr-defined] # waits for the threads, as Python does first
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            try:
                stream.flush()
            except OSError:
                status = 120
    os._exit(status)


def _run(order: dict[str, Any]) -> None:
    """Be the command."""
    if order["session"]:
        os.setsid()
    if order["unprivileged"]:
        privileges.drop()
    os.chdir(order["cwd"])
    os.environ.update(order["env"])
    if order["haste"]:
        _make_haste()
    sys.argv = order["arguments"]
    if order["script"]:
        runpy.run_path(sys.argv[0], run_name="__main__")
    else:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    for library in LIBRARIES[sys.argv[2]]:
        importlib.import_module(library)
    assert threading.active_count() == 1, "a fork would take only one of them along"
    _prepare()
    # The objects that all commands share stay shared.
    gc.freeze()
    try:
        _run(_Forks(socket.socket(fileno=int(sys.argv[1]))).order())
    except SystemExit as ending:
        if not isinstance(ending.code, int | None):
            raise
        _end(ending.code or 0)
