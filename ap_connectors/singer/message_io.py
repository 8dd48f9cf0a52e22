"""Singer messages in and out.

In: lines whose numbers stay exact, and a signal that ends the run between two of them. Out: records as the bytes that
came. The SDK's writer turns every record into Python objects and flushes after each; here a record stays the JSON that
the service sent, only framed. Records gather in a buffer that any other message, a full buffer or the end writes out,
so a STATE never overtakes the records that it covers.
"""

from __future__ import annotations

import logging
import signal
import sys
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import GeneratorType
from typing import IO, Any, NoReturn, cast

import msgspec
from singer_sdk.contrib.msgspec import enc_hook
from singer_sdk.plugin_base import BaseSingerReader
from singer_sdk.singerlib.encoding.base import GenericSingerReader, GenericSingerWriter

from ap_connectors.core import messages
from ap_connectors.core.cli import abandon_output
from ap_connectors.core.errors import Stop
from ap_connectors.singer._sdk import ConfigInput, SdkReader

_BUFFER = 512 * 1024
_log = logging.getLogger(__name__)


class Interrupted(BaseException):
    """A signal asks the process to end."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


class LineReader(GenericSingerReader[str]):
    """Hands `Line`s to the SDK's callbacks."""

    raw_records = False
    """Whether records stay JSON (`messages.RawMessage`)."""

    @property
    def default_input(self) -> IO[str]:
        """Standard input."""
        return sys.stdin

    def deserialize_json(self, line: str) -> dict[str, Any]:
        """Not used: lines are read as bytes."""
        raise NotImplementedError

    def process_lines(self, file_input: IO[str] | None, callbacks: Mapping[str, Callable[[Any], None]]) -> Counter[str]:
        """Read all lines; return how many there were of each type."""
        counts: Counter[str] = Counter()
        for line in messages.read(byte_lines(file_input or sys.stdin), raw_records=self.raw_records):
            kind = line.message.type
            callbacks[kind](line)
            counts[kind] += 1
        if not counts:
            _log.warning("The input is empty: not one message came. If a tap failed, see its messages.")
        return counts


class InterruptibleReader(SdkReader):
    """A plugin that reads lines until they end, or until a signal ends the run.

    Name it before the SDK's base among the bases of a plugin.
    """

    message_reader_class: type[GenericSingerReader[Any]] = LineReader
    _signal: int | None = None
    _waiting = False

    @abstractmethod
    def run(self, file_input: IO[str] | None) -> None:
        """Read everything from a file, or from standard input."""

    @classmethod
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: ConfigInput | None = None,
        file_input: IO[str] | None = None,
    ) -> None:
        """Run the plugin, as its command asks for it."""
        # The SDK's targets and mappers would make a plugin of their own and read.
        super(BaseSingerReader, cls).invoke(about=about, about_format=about_format)
        given = config or ConfigInput()
        cls(config=given.config, parse_env_config=given.parse_env).run(file_input)

    def end_by_signal(self, interrupted: Interrupted, done: str) -> NoReturn:
        """End the process as a signal asked for it; `done` says what became of the rest."""
        self.logger.warning(
            "Ended by signal %d; %s. The next run goes on from the last STATE.", interrupted.signum, done
        )
        sys.exit(128 + interrupted.signum)

    def read_lines(self, file_input: IO[str] | Iterable[bytes]) -> None:
        """Process all lines.

        Raises:
            Interrupted: a signal asked for it. Stop: the input is wrong.
        """
        # Not the SDK's `listen`, which puts a line of its own into what people read.
        self.process_lines(cast("IO[str]", self._interruptible(byte_lines(file_input))))
        self.process_endofpipe()

    def check_signal(self) -> None:
        """End the run if a signal asked for it.

        Raises:
            Interrupted: it did.
        """
        if self._signal is not None:
            raise Interrupted(self._signal)

    def on_signal(self, signum: int) -> None:
        """End the run: at once while it waits for a line, else before the next, so that each is processed whole."""
        # A second signal ends the process the hard way.
        signal.signal(signum, signal.SIG_DFL)
        self._signal = signum
        if self._waiting:
            raise Interrupted(signum)

    def _interruptible(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        source = iter(lines)
        while True:
            self._waiting = True
            self.check_signal()
            line = next(source, None)
            self._waiting = False
            if line is None:
                return
            yield line


def byte_lines(file: IO[str] | Iterable[bytes] | None) -> Iterator[bytes]:
    """Return a text file's lines as the bytes that they are; lines of bytes pass.

    Raises:
        Stop: the file does not exist.
    """
    if file is None:
        raise Stop("Standard input is closed, so there is nothing to read.")
    if isinstance(file, GeneratorType):
        return file  # one of ours, which yields bytes
    buffer: Iterable[bytes] | None = getattr(file, "buffer", None)
    if buffer is not None:
        return iter(buffer)
    return (line.encode() if isinstance(line, str) else line for line in cast("Iterable[str | bytes]", file))


def write_out(content: bytes) -> None:
    """Write all of it to standard output, and flush.

    Raises:
        Stop: it cannot be written. BrokenPipeError: the program that reads it has ended.
    """
    out = sys.stdout.buffer
    rest = memoryview(content)
    try:
        while rest:
            # Where Python runs unbuffered, a signal makes this write less than it was given.
            rest = rest[out.write(rest) or 0 :]
        out.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        abandon_output()
        raise Stop(
            f"Standard output cannot be written: {error.strerror or type(error).__name__}. The next run goes on from "
            "the last STATE that was written."
        ) from None


class RecordWriter(GenericSingerWriter[bytes, Any]):
    """Writes RECORD lines buffered and exact, and every other message at once."""

    def __init__(self) -> None:
        self._encode = msgspec.json.Encoder(enc_hook=enc_hook, decimal_format="number").encode
        self._lines: list[bytes] = []
        self._size = 0
        self.writing = False
        """True while bytes are being written: a signal handler must not write then, but set `after_writing`."""
        self.after_writing: Callable[[], None] | None = None
        """Called when the bytes are written."""
        self.silent = False
        """Whether what is written is dropped: a test of a tap writes nothing."""

    def serialize_message(self, message: Any) -> bytes:
        """Return a message as one line of JSON, decimals with all their digits."""
        return self._encode(message.to_dict()) + b"\n"

    def write_message(self, message: Any) -> None:
        """Write a message after everything written before it."""
        self._lines.append(self.serialize_message(message))
        self.flush()

    def write_record(self, head: bytes, record: bytes, tail: bytes) -> None:
        """Write `head`, a record's JSON and `tail`: together one RECORD line."""
        line = b"".join((head, record, tail))
        self._lines.append(line)
        self._size += len(line)
        if self._size >= _BUFFER:
            self.flush()

    def flush(self) -> None:
        """Write everything in the buffer to standard output."""
        self.writing = True
        lines, self._lines, self._size = self._lines, [], 0
        if not self.silent:
            write_out(b"".join(lines))
        self.writing = False
        if self.after_writing:
            self.after_writing()
