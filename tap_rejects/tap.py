"""Settings and stream of `tap-rejects`: what ivesk is told of documents that were refused."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk import Stream
from singer_sdk import typing as th

from ap_connectors.core.errors import Stop
from ap_connectors.core.raw_json import Record
from ap_connectors.core.redact import whole
from ap_connectors.singer.stream import Batch, ExactStream
from ap_connectors.singer.tap import ExactTap
from tap_rejects.source import DEFAULT, Origin, Place, Source, fields, find, origin, places
from tap_rejects.wording import Reason, Wording

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
        "exportedat": _text("When ivesk exported the document that was refused, or digitised it."),
        "at": _text("When it was refused first.", format="date-time"),
        "stream": _text("Stream of the record that was refused."),
        "key": _text("The record's own id there."),
    },
}


class SyncErrors(ExactStream):
    """Errors for ivesk to show beside its documents: one for each document, export and cause (reject files)."""

    name = "sync_errors"
    key_fields = ("documentid", "companycode", "message")
    instant_field = "at"

    def __init__(self, tap: Tap) -> None:
        super().__init__(tap, _SCHEMA)
        self._told: set[bytes] = set()
        self._elsewhere: Counter[str] = Counter()
        self._wrong: list[str] = []

    def read(self, context: Mapping[str, Any] | None) -> Iterator[Batch]:
        """Yield what was not read of the files yet; one that is not a reject file does not stop the others."""
        path = self.config.get("path") or DEFAULT
        known = places(self.last_bookmark(context))
        paths = find(path)
        if not paths:
            self.logger.info("No reject file at %s: nothing was refused, so there is nothing to do.", path)
        reached = {name: known[name] for name in paths if name in known}
        # Files that were read before come first, so that the same refusal in another file is not told again.
        for name in sorted(paths, key=lambda name: name not in known):
            for records, place in self._read_file(Source(name, self.logger.warning), known.get(name, Place())):
                reached[name] = place
                yield Batch(records, _bookmark(reached))
        yield Batch([], _bookmark(reached))
        for stream, count in self._elsewhere.items():
            self.logger.info("%s: %d rejects do not stem from documents of ivesk; skipped.", stream, count)

    def sync_records(self) -> None:
        """Read all files; then stop if one of them could not be read."""
        super().sync_records()
        # The last STATE is written: everything that could be read was read.
        if self._wrong:
            for words in self._wrong[:-1]:
                self.logger.error("%s", words)
            raise Stop(self._wrong[-1])

    # One file

    def _read_file(self, source: Source, since: Place) -> Iterator[tuple[list[Record], Place]]:
        """Yield records, each time with how far the file is read; note what cannot be read, and end there."""
        records: list[Record] = []
        try:
            if since.size and not source.holds(since):
                self.logger.info("%s was replaced since it was read: reading it from the start.", source.path)
                since = Place()
            for told in self._rejects(source, since):
                if len(records) >= _MANY:
                    yield records, source.place()
                    records = []
                records += told
        except FileNotFoundError:
            return  # it was removed meanwhile
        except OSError as error:
            self._wrong.append(f"{source.path} cannot be read: {error.strerror or type(error).__name__}.")
        except Stop as stop:
            self._wrong.append(str(stop))
        # What precedes a wrong line is told; the next run continues there.
        yield records, source.place()

    def _rejects(self, source: Source, since: Place) -> Iterator[list[Record]]:
        """Yield what to tell of each record of a file."""
        wording = Wording(self.config.get("language") or "lt")
        unmarked = None
        marked = False
        for line in source.lines(since):
            if line.message.type == "RECORD":
                if line.message.rejected is None:
                    unmarked = unmarked or line.number
                    continue
                marked = True
                yield self._sync_error(source, line, wording, fresh=source.start >= since.size)
        if unmarked and not marked:
            raise Stop(
                f"{source.path}, line {unmarked}: no record of this file says why it was set aside (rejected), so it "
                "is not a reject file. Set path to reject files only."
            )

    def _sync_error(self, source: Source, line: Line, wording: Wording, *, fresh: bool) -> list[Record]:
        """Return what to tell of a reject: one record; none if it was told before or does not concern ivesk."""
        stream, mark = line.message.stream or "", line.message.rejected or {}
        record = fields(line.message.record or {})
        # Also for what was read before: it explains what follows, and must not be told twice.
        message = wording.message(stream, record, Reason.of(mark))
        try:
            found = origin(stream, record, self.config.get("company_code"), mark)
        except Stop as error:
            raise Stop(f"{source.path}, line {line.number}: {error}") from None
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
            "exportedat": found.exported or None,
            "at": mark.get("first_at") or mark.get("at"),
            "stream": stream,
            "key": record.get("externalid") or record.get("id"),
        }
        return [{name: _raw(value) for name, value in told.items()}]


def _raw(value: Any) -> msgspec.Raw:
    """Return a value as the JSON of text; a lone surrogate becomes a question mark."""
    return msgspec.Raw(_encode(None if value is None else whole(str(value))))


def _fingerprint(found: Origin, message: str) -> bytes:
    return hashlib.sha256("\0".join((*found, message)).encode(errors="replace")).digest()


def _bookmark(reached: Mapping[str, Place]) -> dict[str, Any]:
    return {"files": {name: msgspec.to_builtins(place) for name, place in reached.items()}}


class TapRejects(ExactTap):
    """Rejects of ivesk's documents as ivesk's sync errors, in words for the accountant."""

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
