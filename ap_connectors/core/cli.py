"""The frame of every command that is not a Singer plugin: --version, --log-level, errors in a line or two."""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from typing import Any, NoReturn

from ap_connectors.core.errors import ApError
from ap_connectors.core.redact import printable

LEVELS = ("debug", "info", "warning", "error")

Run = Callable[[argparse.Namespace], int]
"""What a command does with its arguments; returns the exit status."""


def parser(name: str, description: str, **more: Any) -> argparse.ArgumentParser:
    """Return a parser that knows --version; `more` goes to argparse."""
    made = _Parser(prog=name, description=description, **more)
    made.add_argument("--version", action="version", version=f"{name} {metadata.version('ap-connectors')}")
    return made


class _Parser(argparse.ArgumentParser):
    """Says what a misspelt option or command probably means."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong, and end."""
        from ap_connectors.core.settings import closest  # noqa: PLC0415 - only who misspells waits for it

        named = re.search(r"unrecognized arguments: .*?(--?\w[\w-]*)", message)
        chosen = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if required := re.fullmatch(r"the following arguments are required: (\w+)", message):
            needed = next(
                (one for one in self._actions if required[1] in {one.dest, one.metavar} and one.choices), None
            )
            message += f", one of {', '.join(map(str, needed.choices or ()))}" if needed else ""
        meant = None
        if named:
            meant = closest(named[1], list(_options(self)))
        elif chosen:
            meant = closest(chosen[1], re.findall(r"[\w.-]+", chosen[2]))
        super().error(f"{message}; did you mean {meant}?" if meant else message)


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the options of a parser and of its commands."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for command in set(action.choices.values()):
                yield from _options(command)


def runs(
    command: argparse.ArgumentParser, run: Run, *, failed: int = 1, interrupted: int = 130, log_level: str = "warning"
) -> None:
    """Let a parser, or a subcommand's, run something.

    Args:
        command: gets --log-level.
        run: what it does.
        failed: exit status after an error.
        interrupted: exit status after Ctrl-C.
        log_level: how much to log unless --log-level or LOGLEVEL says otherwise.
    """
    command.add_argument(
        "--log-level",
        type=str.lower,
        choices=LEVELS,
        help=f"debug also shows where an error comes from (default: LOGLEVEL from the environment, or {log_level})",
    )
    command.set_defaults(run=run, failed=failed, interrupted=interrupted, usual_level=log_level)


def main(parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status. What it raises is told in a line or two, without a traceback."""
    prepare_output()
    try:
        try:
            given = parser.parse_args(arguments)
        finally:
            flush_output()
    except OSError as error:
        return _page_ended(parser.prog, error)
    logging.setLogRecordFactory(PrintableRecord)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=_level(given).upper())
    try:
        status: int = given.run(given)
        flush_output()
    except ApError as error:
        _tell(parser.prog, str(error), error)
    except KeyboardInterrupt:
        _tell(parser.prog, "Interrupted.")
        return int(given.interrupted)
    except BrokenPipeError:
        # What reads our output has enough of it, as `head` has. Whether all is well was not said.
        abandon_output()
        return 128 + signal.SIGPIPE
    except Exception as error:
        if _is_foreign(error):
            raise
        abandon_output()
        _tell(parser.prog, unexpected(error), error)
    else:
        return status
    return int(given.failed)


class PrintableRecord(logging.LogRecord):
    """A line of the log, with escapes for what does not print: it could rewrite a terminal, or begin another line."""

    def getMessage(self) -> str:  # noqa: N802 - the name is logging's
        """Return the message."""
        return printable(super().getMessage())


def prepare_output() -> None:
    """Let standard output and standard error take any letter: those that the terminal lacks are escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def flush_output() -> None:
    """Write out what was printed.

    Raises:
        OSError: it cannot be written. BrokenPipeError: its reader has ended.
    """
    if sys.stdout is not None:
        sys.stdout.flush()


def abandon_output() -> None:
    """Print nothing more, if standard output cannot be written: Python would complain of it when it ends."""
    try:
        flush_output()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


_OURS = ("ap_connectors.", "tap_", "target_", "mapper_")


def unexpected(error: Exception) -> str:
    """Say what is known of an error that nothing else explains."""
    said = f"Unexpected {type(error).__name__}{_place(error)}"
    if isinstance(error, OSError) and error.strerror:
        said = f"{error.filename or 'Writing or reading failed'}: {error.strerror}"
    return f"{said}; run with --log-level=debug to see where."


def _place(error: Exception) -> str:
    """Return where in our code an error came up, so that one that does not come again can be found, too."""
    place, found = error.__traceback__, ""
    while place is not None:
        module = str(place.tb_frame.f_globals.get("__name__"))
        if module.startswith(_OURS) and module != __name__:
            found = f" ({module}, line {place.tb_lineno})"
        place = place.tb_next
    return found


def _page_ended(name: str, error: OSError) -> int:
    abandon_output()
    if isinstance(error, BrokenPipeError):
        return 0
    _tell(name, unexpected(error))
    return 1


def start(name: str, extra: str, module: str) -> int:
    """Run `main` of a command's module; if what its extra brings is not installed, say so in a line and return 1."""
    try:
        status: int = importlib.import_module(module).main()
    except KeyboardInterrupt:
        # Parts were loaded, which takes a moment; `main` has words of its own.
        _tell(name, "Interrupted.")
        return 128 + signal.SIGINT
    except ModuleNotFoundError as error:
        if not _is_foreign(error):
            raise
        print(  # noqa: T201
            f"{name}: {error.name} is not installed. Install ap-connectors with the extra {extra}: "
            f"pip install '/path/to/ap-connectors[{extra}]'.",
            file=sys.stderr,
        )
        return 1
    return status


def _is_foreign(error: Exception) -> bool:
    """Whether a package that others make is not installed."""
    return isinstance(error, ModuleNotFoundError) and (error.name or "ap_connectors").split(".")[0] != "ap_connectors"


def _level(given: argparse.Namespace) -> str:
    level: str = given.log_level or os.environ.get("LOGLEVEL", "").lower()
    return level if level in LEVELS else str(given.usual_level)


def _tell(name: str, message: str, error: Exception | None = None) -> None:
    if error is not None:
        logging.getLogger(name).debug("where it happened", exc_info=error)
    print("\n".join(map(printable, f"{name}: {message}".split("\n"))), file=sys.stderr)  # noqa: T201
