"""Settings and stream of `tap-rejects`: what ivesk is told of documents that were refused."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk import Stream
from singer_sdk import typing as th

from ap_connectors.core.errors import Reject, Stop
from ap_connectors.core.raw_json import Record
from ap_connectors.singer.stream import Batch, ExactStream
from ap_connectors.singer.tap import ExactTap
from tap_rejects.source import DEFAULT, Origin, Place, Source, fields, find, origin, places
from tap_rejects.speaker import Reason, Speaker

if TYPE_CHECKING:
    from singer_sdk import Tap

    from ap_connectors.core.messages import Line

_MANY = 500
"""Records between two bookmarks."""

_encode = msgspec.json.Encoder().encode


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": ["string", "null"], "description": description, **more}


_SCHEMA = {
    "type": "object",
    "properties": {
        "documentid": {"type": ["string"], "description": "Id of the document at ivesk."},
        "companycode": {"type": ["string"], "description": "Registration code of the company that it belongs to."},
        "message": {"type": ["string"], "description": "What is wrong with it, and what to do, for an accountant."},
        "at": _text("When it was refused first.", format="date-time"),
        "stream": _text("Stream of the record that was refused."),
        "key": _text("The record's own id there."),
    },
}


class SyncErrors(ExactStream):
    """Errors for ivesk to show beside its documents: one for each document and cause (reject files)."""

    name = "sync_errors"
    key_fields = ("documentid", "companycode", "message")
    instant_field = "at"

    def __init__(self, tap: Tap) -> None:
        super().__init__(tap, _SCHEMA)
        self._told: set[bytes] = set()
        self._elsewhere: Counter[str] = Counter()
        self._wrong: list[str] = []

    def read(self, context: Mapping[str, Any] | None) -> Iterator[Batch]:
        """Yield what the files hold that was not read yet; a file that is no reject file keeps no other one up."""
        path = self.config.get("path") or DEFAULT
        known = places(self.last_bookmark(context))
        paths = find(path)
        if not paths:
            self.logger.info("There is no reject file at %s: nothing was refused, so there is nothing to do.", path)
        reached = {name: known[name] for name in paths if name in known}
        # First what was read before: it is not told again when a later file holds the same refusal.
        for name in sorted(paths, key=lambda name: name not in known):
            for records, place in self._read_file(Source(name, self.logger.warning), known.get(name, Place())):
                reached[name] = place
                yield Batch(records, _bookmark(reached))
        yield Batch([], _bookmark(reached))
        for stream, count in self._elsewhere.items():
            self.logger.info("%s: %d rejects do not stem from ivesk's documents and are left alone.", stream, count)

    def sync_records(self) -> None:
        """Read all files; then stop if one of them could not be read."""
        super().sync_records()
        # The last STATE is out by now: whatever could be read was.
        if self._wrong:
            for words in self._wrong[:-1]:
                self.logger.error("%s", words)
            raise Stop(self._wrong[-1])

    # One file

    def _read_file(self, source: Source, since: Place) -> Iterator[tuple[list[Record], Place]]:
        """Yield records, each time with how far the file is read; what cannot be read is noted, and ends it."""
        records: list[Record] = []
        try:
            if since.size and not source.holds(since):
                self.logger.info("%s is another file than the one that was read before: read anew.", source.path)
                since = Place()
            for told in self._rejects(source, since):
                if len(records) >= _MANY:
                    yield records, source.place()
                    records = []
                records += told
        except FileNotFoundError:
            return  # it was taken away meanwhile
        except OSError as error:
            self._wrong.append(f"{source.path} cannot be read: {error.strerror or type(error).__name__}.")
        except Stop as stop:
            self._wrong.append(str(stop))
        # What stands before a line that is wrong is right, and is told; from there the next run goes on.
        yield records, source.place()

    def _rejects(self, source: Source, since: Place) -> Iterator[list[Record]]:
        """Yield for each record of a file what to tell of it."""
        speaker = Speaker(self.config.get("language") or "lt")
        unmarked = None
        marked = False
        for line in source.lines(since):
            if line.message.type == "RECORD":
                if line.message.rejected is None:
                    unmarked = unmarked or line.number
                    continue
                marked = True
                yield self._sync_error(source, line, speaker, fresh=source.start >= since.size)
        if unmarked and not marked:
            raise Stop(
                f"{source.path}, line {unmarked}: neither this record nor any other of the file says why it was set "
                "aside (rejected), so this is no reject file. Let path mean none but reject files."
            )

    def _sync_error(self, source: Source, line: Line, speaker: Speaker, *, fresh: bool) -> list[Record]:
        """Return what to tell of a reject: one record, or none if it was told before or is none of ivesk's."""
        stream, mark = line.message.stream or "", line.message.rejected or {}
        record = fields(line.message.record or {})
        # What was read before is put into words again: it explains what comes, and is not told twice.
        message = speaker.message(stream, record, Reason.of(mark))
        try:
            found = origin(stream, record, self.config.get("company_code"), mark)
        except Reject as error:
            raise Stop(f"{source.path}, line {line.number}: {error}.") from None
        if found is None:
            if fresh:
                self._elsewhere[stream] += 1
            return []
        print_ = _fingerprint(found, message)
        known = print_ in self._told
        self._told.add(print_)
        if known or not fresh:
            return []
        told = {
            "documentid": found.document,
            "companycode": found.company,
            "message": message,
            "at": mark.get("at"),
            "stream": stream,
            "key": record.get("externalid") or record.get("id"),
        }
        return [{name: _raw(value) for name, value in told.items()}]


def _raw(value: Any) -> msgspec.Raw:
    """Return a value as the JSON of text; half a character, which no file can hold, becomes a question mark."""
    return msgspec.Raw(_encode(None if value is None else str(value).encode(errors="replace").decode()))


def _fingerprint(found: Origin, message: str) -> bytes:
    return hashlib.sha256("\0".join((*found, message)).encode(errors="replace")).digest()


def _bookmark(reached: Mapping[str, Place]) -> dict[str, Any]:
    return {"files": {name: msgspec.to_builtins(place) for name, place in reached.items()}}


class TapRejects(ExactTap):
    """What was refused of ivesk's documents, in words for the accountant: rejects become ivesk's sync errors."""

    name = "tap-rejects"

    config_jsonschema = th.PropertiesList(
        th.Property(
            "path",
            th.StringType(min_length=1),
            default=DEFAULT,
            title="Reject files",
            description="Reject files of target-vicai and mapper-ivesk-vicai: a file, a folder (its rejects-*.jsonl) "
            "or a glob.",
            examples=["output/rejects-*.jsonl", "output"],
        ),
        th.Property(
            "company_code",
            th.StringType(min_length=1),
            title="Company",
            description="Registration code of the company that the documents belong to, where a reject does not name "
            "it. Without it: the party of the document that the accountant works for.",
            examples=["302320404"],
        ),
        th.Property(
            "language",
            th.StringType(allowed_values=["lt", "en"]),
            default="lt",
            title="Language",
            description="Language of the messages: lt or en.",
        ),
    ).to_dict()

    def discover_streams(self) -> list[Stream]:
        """Return the one stream."""
        return [SyncErrors(self)]
