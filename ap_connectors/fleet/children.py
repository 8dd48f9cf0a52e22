"""Plugins as processes that are forked from this one, which has them loaded: a fortieth of what a start costs."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any, NoReturn

from ap_connectors.core import cli
from ap_connectors.core.errors import ApError, Outage, Stop
from ap_connectors.fleet import plugins

OUTAGE = 75
"""Exit status of a plugin that ended because of an outage (EX_TEMPFAIL); as a command of its own it ends with 1."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


def preload(names: Sequence[str]) -> None:
    """Load plugins, so that forks have them; call it last before the first fork."""
    for name in names:
        if not plugins.is_program(name):
            plugins.schema(name)
    # Every command asks for its version; what answers that is loaded with the first answer.
    metadata.version("ap-connectors")
    gc.collect()
    # What all share stays shared: the collector would write into each object's page.
    gc.freeze()


def fork(work: Callable[[], int]) -> int:
    """Fork a process that does the work, and ends with its status; return its id.

    A signal ends it like any other command; it ends when this process does (on Linux).
    """
    parent = os.getpid()
    # A signal that came before the handlers are its own would be handled as ours, and not end it.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    child = -1
    try:
        child = os.fork()
    finally:
        if child:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if child:
        return child
    status = 1
    try:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        _end_with(parent)
        status = work()
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else 1 if ending.code else 0
    except Exception as error:
        with contextlib.suppress(Exception):
            sys.stderr.write(f"{words(error)}\n")
    except BaseException:
        with contextlib.suppress(Exception):
            sys.stderr.write("Interrupted.\n")
    finally:
        end(status)


def words(error: Exception) -> str:
    """Say what an error means; where it comes from is in the log at the level debug."""
    if isinstance(error, ApError):
        return str(error)
    logging.getLogger(__name__).debug("where it happened", exc_info=error)
    # Its own words may say more than its class, but not where to look.
    own = "" if isinstance(error, OSError) else f" It says: {error}" * bool(str(error))
    return f"{cli.unexpected(error)}{own}"


def end(status: int) -> NoReturn:
    """End as Python does, but leave it to the system to take the memory back, each page of which is shared."""
    with contextlib.suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined] # waits for the threads, as Python does first
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(status)


def _end_with(parent: int) -> None:
    """Have the system end this process when its parent has ended, however that came about."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)


def run(plugin: str, arguments: Sequence[str], files: tuple[int, int, int], close: Sequence[int]) -> int:
    """Fork a plugin's command; return the process's id.

    Args:
        plugin: its command, or the path of its program.
        arguments: of the command.
        files: what become its standard input, output and error.
        close: further files of ours that it must not have.
    """
    return fork(lambda: with_files(files, lambda: command(plugin, arguments), close))


def command(plugin: str, arguments: Sequence[str]) -> int:
    """Be a plugin's command; return its status, `OUTAGE` after one."""
    if plugins.is_program(plugin):
        try:
            os.execv(plugin, [plugin, *arguments])  # noqa: S606 - companies.yml names it
        except OSError as error:
            raise Stop(f"the program cannot be run: {error.strerror}.") from None
    sys.argv = [plugin, *arguments]
    called = plugins.command(plugin)
    try:
        return int(called() or 0)
    except SystemExit:
        if isinstance(getattr(called, "failure", None), Outage):
            return OUTAGE
        raise


def with_files(files: tuple[int, int, int], do: Callable[[], int], close: Sequence[int] = ()) -> int:
    """Do something with files as standard input, output and error, and without those of `close`; return its status."""
    _use(files, close)
    _forget_logging()
    return do()


def _use(files: tuple[int, int, int], close: Sequence[int]) -> None:
    """Take files as standard input, output and error."""
    # Numbers above those that are replaced, lest one be written over before it is used.
    high = [os.dup(file) if file < 3 else file for file in files]
    for number, file in enumerate(high):
        os.dup2(file, number)
    for file in {*files, *high, *close} - {0, 1, 2}:
        with contextlib.suppress(OSError):
            os.close(file)
    # What is known of the old files, such as whether they can be sought in, is not true of these.
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    cli.prepare_output()


def _forget_logging() -> None:
    """Have the plugin set up its own log: what this process has set up would say everything twice."""
    for logger in (logging.root, *logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            logger.handlers.clear()
            logger.setLevel(logging.NOTSET)


def sealed(content: bytes) -> int:
    """Return a file in memory with a content that may be secret; plugins open it as /dev/fd/NUMBER."""
    if hasattr(os, "memfd_create"):
        file: Any = os.memfd_create("ap-fleet", 0)
        os.fchmod(file, 0o600)
    else:
        import tempfile  # noqa: PLC0415 - only where the system has no files in memory

        with tempfile.TemporaryFile() as opened:
            file = os.dup(opened.fileno())
    os.write(file, content) if len(content) < 65536 else _write(file, content)
    os.lseek(file, 0, os.SEEK_SET)
    os.set_inheritable(file, True)
    return int(file)


def _write(file: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]
