"""Reading what a contestant wrote, and keeping score of what came through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec


class _Message(msgspec.Struct):
    """A Singer message, or a bare record: then none of these is there."""

    type: str | None = None
    stream: str | None = None
    record: msgspec.Raw = msgspec.Raw(b"")


_message = msgspec.json.Decoder(_Message)


def records(file: Path, stream: str, *, bare: str) -> Iterator[msgspec.Raw]:
    """Yield a stream's records; lines that are no messages are records of the stream `bare`."""
    with file.open("rb") as lines:
        for line in lines:
            message = _message.decode(line)
            if message.type is None and stream == bare:
                yield msgspec.Raw(line)
            elif message.type == "RECORD" and message.stream == stream:
                yield message.record


@dataclass
class Fidelity:
    """How many values came through: `sent` by the service, `same` text, and `equal` in value."""

    sent: int = 0
    same: int = 0
    equal: int = 0

    def add(self, *, same: bool, equal: bool) -> None:
        """Take note of one value."""
        self.sent += 1
        self.same += same
        self.equal += equal
