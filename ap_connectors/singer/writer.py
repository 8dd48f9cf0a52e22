"""Singer messages to standard output, records as the bytes that came.

The SDK's writer turns every record into Python objects and flushes after each. Here a record stays the JSON that the
service sent, only framed; records gather in a buffer that any other message, a full buffer or the end writes out. So
a STATE never overtakes the records that it covers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import msgspec
from singer_sdk.contrib.msgspec import enc_hook
from singer_sdk.singerlib.encoding.base import GenericSingerWriter

_BUFFER = 512 * 1024


class RecordWriter(GenericSingerWriter[bytes, Any]):
    """Writes RECORD lines buffered and exact, and every other message at once."""

    def __init__(self) -> None:
        self._encode = msgspec.json.Encoder(enc_hook=enc_hook, decimal_format="number").encode
        self._lines: list[bytes] = []
        self._size = 0
        self.writing = False
        """True while bytes are on their way out: a signal handler must not write then, but set `after_writing`."""
        self.after_writing: Callable[[], None] | None = None
        """Called when the bytes are out."""

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
        """Hand everything written so far to the operating system."""
        self.writing = True
        lines, self._lines, self._size = self._lines, [], 0
        rest = memoryview(b"".join(lines))
        out = sys.stdout.buffer
        while rest:
            # Where Python runs unbuffered, a signal makes this write less than it was given.
            rest = rest[out.write(rest) or 0 :]
        out.flush()
        self.writing = False
        if self.after_writing:
            self.after_writing()
