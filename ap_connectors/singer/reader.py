"""What comes in: lines with their numbers exact, and a signal that ends the run between two of them."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any, cast

from singer_sdk.plugin_base import BaseSingerReader
from singer_sdk.singerlib.encoding.base import GenericSingerReader

from ap_connectors.core import messages

if TYPE_CHECKING:
    from types import FrameType


class Ended(BaseException):
    """A signal asks the process to end."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


class LineReader(GenericSingerReader[str]):
    """Hands `Line`s, numbers exact, to the SDK's callbacks."""

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
        for line in messages.read(_bytes(file_input or sys.stdin)):
            callbacks[cast("Any", line.message.type)](line)
            counts[line.message.type] += 1
        return counts


class LineInput(BaseSingerReader):
    """Reads lines until they end, or until a signal ends the run.

    To be named before the SDK's base of a plugin, whose `message_reader_class` has to be `LineReader`.
    """

    _signal: int | None = None
    _reading = False

    def read_lines(self, file_input: IO[str] | Iterable[bytes]) -> None:
        """Process all lines.

        Raises:
            Ended: a signal asked for it. Stop: the input is wrong.
        """
        self.listen(cast("IO[str]", self._heeding(_bytes(file_input))))

    def heed_signal(self) -> None:
        """End the run if a signal asked for it.

        Raises:
            Ended: it did.
        """
        if self._signal is not None:
            raise Ended(self._signal)

    def _heeding(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the lines; only while we wait for one may a signal break in on the spot: what is written is whole."""
        source = iter(lines)
        while True:
            self._reading = True
            self.heed_signal()
            line = next(source, None)
            self._reading = False
            if line is None:
                return
            yield line

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        # A second signal ends the process the hard way.
        signal.signal(signum, signal.SIG_DFL)
        self._signal = signum
        if self._reading:
            raise Ended(signum)


def _bytes(file: IO[str] | Iterable[bytes]) -> Iterator[bytes]:
    """Yield a text file's lines as the bytes that they are; lines of bytes pass."""
    for line in getattr(file, "buffer", file):
        yield line.encode() if isinstance(line, str) else line
