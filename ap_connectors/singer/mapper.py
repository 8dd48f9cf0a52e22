"""The base of our mappers: Singer messages in, others out; every STATE stays in its place and as it came."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any, ClassVar

import click
import msgspec
from singer_sdk.helpers.capabilities import PluginCapabilities

from ap_connectors.core.errors import Reject, Stop
from ap_connectors.core.messages import Line
from ap_connectors.singer import listing
from ap_connectors.singer.message_io import Interrupted, InterruptibleReader, RecordWriter
from ap_connectors.singer.plugin import ClearPlugin
from ap_connectors.singer.rejects import RejectFile

if TYPE_CHECKING:
    from singer_sdk.helpers.capabilities import CapabilitiesEnum

_encode = msgspec.json.Encoder(decimal_format="number").encode


class ExactMapper(ClearPlugin, InterruptibleReader):
    """Reads messages with exact numbers, and writes exact ones.

    A subclass defines `schema` and `record`; `ending` is a hook. Its settings have `rejects_path` and `max_rejects`.
    """

    capabilities: ClassVar[list[CapabilitiesEnum]] = [PluginCapabilities.ABOUT, PluginCapabilities.STRUCTURED_LOGGING]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rejects = RejectFile(self.config["rejects_path"], mark=self.mark)
        self._out = RecordWriter()

    # What a subclass says

    @abstractmethod
    def schema(self, line: Line) -> None:
        """Process a SCHEMA message."""

    @abstractmethod
    def record(self, line: Line) -> None:
        """Process a RECORD message."""

    @property
    def mark(self) -> Mapping[str, str]:
        """What the reject file says beside each reason."""
        return {}

    def ending(self) -> None:
        """Report what became of the input; called however it ended."""

    # What it writes

    def write_schema(self, stream: str, schema: Mapping[str, Any], keys: list[str]) -> None:
        """Write a SCHEMA message."""
        self._write({"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": keys})

    def write_records(self, *records: tuple[str, Mapping[str, Any]]) -> None:
        """Write RECORD messages, each given by stream and record: all of them, or none.

        Raises:
            UnicodeEncodeError: a text has half a character (a lone surrogate), which JSON in UTF-8 can't carry.
        """
        together = b"\n".join(
            _encode({"type": "RECORD", "stream": stream, "record": record}) for stream, record in records
        )
        self._out.write_record(b"", together, b"\n")

    def set_aside(self, line: Line, name: str, reject: Reject) -> None:
        """Put a record into the reject file, with the reason."""
        self.rejects.add(line.message.stream or "", line.raw, reject, line=line.number)
        self.rejects.log(self.logger, name, reject, line=line.number)

    def _write(self, message: Mapping[str, Any]) -> None:
        self._out.write_record(b"", _encode(message), b"\n")

    # Messages

    def on_schema(self, line: Line) -> None:
        """Remember the SCHEMA for the reject file, and process it."""
        self.rejects.schema(line.message.stream or "", line.raw)
        self.schema(line)

    def on_record(self, line: Line) -> None:
        """Process the RECORD."""
        self.record(line)

    def on_state(self, line: Line) -> None:
        """Write the STATE after everything that it vouches for, the reject file included."""
        self.rejects.sync()
        self._out.write_record(b"", line.raw, b"\n")
        self._out.flush()

    def on_activate_version(self, line: Line) -> None:
        """Leave the message out: what is mapped is never the whole table."""

    # The run

    def run(self, file_input: IO[str] | None) -> None:
        """Map everything.

        Raises:
            Stop: the input is wrong, or more records were set aside than allowed. All that could be mapped is out.
        """
        source = file_input or sys.stdin
        if path := self.config.get("report_path"):
            listing.require("report_path", path, [".json"])
        self.rejects.check(source)
        try:
            self.read_lines(source)
        except Interrupted as interrupted:
            self._close()
            self.end_by_signal(interrupted, "what came before is written")
        except Stop:
            # The input is wrong from here on; what came before is right.
            self._close()
            raise
        self._close()
        advice = f"All others went on. The file is input to a later run, through {self.name} again."
        self.rejects.end(self.config.get("max_rejects") or 0, advice)

    def _close(self) -> None:
        self._out.flush()
        self.rejects.sync()
        self.ending()

    # The command

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """Return the command; like a target's it can read a file."""
        command = super().get_singer_command()
        command.params.append(
            click.Option(
                ["--input", "file_input"], type=click.File("r"), help="File to read instead of standard input."
            )
        )
        return command
