"""Base classes of the streams of `tap-vicai`: incremental, full table, child of another stream, documents."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

import msgspec

from ap_connectors.core.bookmarks import Bookmark, key_of
from ap_connectors.core.errors import Reject
from ap_connectors.core.instants import UTC, Clock
from ap_connectors.core.raw_json import NULL, Record, text
from ap_connectors.http.bodies import file_pieces
from ap_connectors.http.concurrency import ordered
from ap_connectors.singer.downloads import FileStream, safe_part
from ap_connectors.singer.stream import Batch, ExactStream
from ap_connectors.vicai import contract
from ap_connectors.vicai.client import Forbidden, NotFound, document_type
from ap_connectors.vicai.settings import at_once

if TYPE_CHECKING:
    import requests
    from singer_sdk import Tap

    from ap_connectors.singer.downloads import FileStore, StoredFile
    from ap_connectors.vicai.client import VicaiClient

_children = msgspec.json.Decoder(list[Record | None] | None)

ABSENT = (
    "This Vic.ai does not have it: its API is older (the health check shows the version), or it is not switched on."
)

BEGINNING: dict[str, Any] = {"replication_key_value": None, "seen": {}}
"""A bookmark that only says that nothing is certain yet."""


INTERNAL = {"useSystem": "INTERNAL"}
"""Use Vic's own ids and times: the ERP's are neither unique nor in order, and may be missing."""


def text_field(description: str) -> dict[str, Any]:
    """Return the schema of a text that the tap adds to records."""
    return {"type": ["string", "null"], "description": description}


def parent_time(parent: str) -> dict[str, Any]:
    """Return the schema of the time that tells which state of its parent a record belongs to."""
    known = text_field(f"internalUpdatedAt of the {parent}: tells lines that it still has from those that are gone.")
    return known | {"format": "date-time"}


class Source(Protocol):
    """What the streams use of their tap."""

    client: VicaiClient
    """The one client that all streams share."""
    files: FileStore
    """Where downloaded files go."""
    company: Record
    """The response of the health check: the company of the credentials."""


class VicaiStream(ExactStream):
    """A stream of the Vic.ai API.

    Set `operation` (what lists the records) and `component` (what one looks like), both by their names in the contract.
    """

    operation: ClassVar[str]
    component: ClassVar[str]
    query: ClassVar[dict[str, str]] = {}
    """Parameters that every call takes."""
    own_fields: ClassVar[dict[str, Any]] = {}
    """Schemas of the fields that the tap adds to the service's, by name."""

    lacks_right = False
    """Whether the company has no right to the stream, so that it is left out."""

    def __init__(self, tap: Tap) -> None:
        schema = contract.singer_schema(self.component)
        properties = self.own_fields | schema["properties"]
        for key in self.key_fields:
            properties[key] = properties[key] | {"type": [properties[key]["type"][0]]}
        super().__init__(tap, schema | {"properties": properties})

    @property
    def source(self) -> Source:
        """The tap, with its client."""
        return cast("Source", self.tap)

    def read(self, context: Mapping[str, Any] | None) -> Iterator[Batch]:
        """Yield the records; where the company has no right to them, or the service lacks them, say so."""
        with self.leaving_out(context):
            yield from self.batches(context)

    @contextmanager
    def leaving_out(self, context: Mapping[str, Any] | None) -> Iterator[None]:
        """Leave the stream out, or a part of it, where the company has no right to it or the service lacks it."""
        try:
            yield
        except Forbidden as error:
            self.lacks_right = True
            self.leave_out(f"{error}{self.remedy(context)}", context)
        except NotFound as error:
            if contract.operation(self.operation).since == contract.FIRST:
                raise
            self.leave_out(f"{error} {ABSENT}", context)

    def leave_out(self, why: str, part: Mapping[str, Any] | None = None) -> None:
        """Leave the stream out, or a part of it, and what is derived from it; say so once."""
        streams = [self, *(child for child in self.child_streams if isinstance(child, ExactStream))]
        for stream in streams:
            stream.left_out = why
            if isinstance(stream, VicaiStream):
                stream.lacks_right = self.lacks_right
        told = [stream.name for stream in streams if stream.selected]
        names, are = ", ".join(told) or self.name, "are" if len(told) > 1 else "is"
        if part:
            names += f" ({', '.join(f'{name} {value}' for name, value in part.items())})"
        self.logger.warning("%s %s left out, the rest goes on. %s", names, are, why)

    def batches(self, context: Mapping[str, Any] | None) -> Iterator[Batch]:
        """Yield the records in batches."""
        raise NotImplementedError

    def remedy(self, context: Mapping[str, Any] | None) -> str:  # noqa: ARG002 - a subclass may look at the partition
        """Say what to do if the company has no right to the stream."""
        return " Deselect the stream, or ask Vic.ai for the right."


class FullTableStream(VicaiStream):
    """A stream that is read in full each time: the service does not list what changed."""

    def batches(self, context: Mapping[str, Any] | None) -> Iterator[Batch]:  # noqa: ARG002 - there are no partitions
        """Yield page after page, or the only response where the service lists without pages."""
        for page in self.source.client.pages(self.operation, **self.query):
            for record in page:
                key_of(record, self.key_fields[0])
            yield Batch(page)


class IncrementalStream(VicaiStream):
    """A stream that is read by the time of the last change; each change comes once."""

    key_fields: ClassVar[tuple[str, ...]] = ("internalId",)
    instant_field = "internalUpdatedAt"
    clock: ClassVar[Clock] = UTC
    """In whose time `instant_field` is: the service's, or the ERP's wall clock."""

    @property
    def subset(self) -> dict[str, str]:
        """Parameters that settings add to choose a part of the list. A bookmark is valid for that part only."""
        return {}

    def last_bookmark(self, context: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """Return where the last run ended; nothing if it read another part."""
        known = super().last_bookmark(context)
        return known if self.subset.items() <= known.items() else {}

    def batches(self, context: Mapping[str, Any] | None) -> Iterator[Batch]:
        """Yield what changed after the bookmark; `context`, a partition, is part of the query."""
        since = Bookmark.from_state(self.last_bookmark(context), self.config.get("start_date"), self.clock)
        pages = self.source.client.changes(
            self.operation,
            since,
            key=self.key,
            instant_field=str(self.instant_field),
            clock=self.clock,
            **{**self.query, **self.subset, **(context or {})},
        )
        for page in pages:
            yield Batch(page.records, {**(page.bookmark.to_state() or BEGINNING), **self.subset})

    def key(self, record: Record) -> str:
        """Return what identifies a record."""
        return key_of(record, self.key_fields[0])


class ChildStream(VicaiStream):
    """A stream of what the records of a parent stream contain as a list, from the same response."""

    parent_field: ClassVar[str]
    """Field of the parent's record that contains the list."""

    def derive(self, parents: list[Record]) -> Iterator[Record]:
        """Yield the records in the parents' order, each with its parent's id and time."""
        from_parent = {**self.parent_keys, **self.parent_version}
        for parent in parents:
            # Ours last: a key is never overwritten by a field of the same name.
            own = {ours: parent.get(theirs, NULL) for ours, theirs in from_parent.items()}
            for record in self._children(parent):
                yield record | own

    def _children(self, parent: Record) -> list[Record]:
        try:
            return [one for one in _children.decode(parent.get(self.parent_field, NULL)) or [] if one is not None]
        except msgspec.ValidationError:
            self.logger.warning(
                "%s: %s of %s is not a list of objects; it is left out",
                self.name,
                self.parent_field,
                text(parent, "internalId") or text(parent, "id"),
            )
            return []


class RequestedStream(ChildStream):
    """A stream of lists that cost one request for each record of the parent, several at once."""

    things: ClassVar[str]
    """What the lists are of, for messages."""

    def __init__(self, tap: Tap) -> None:
        super().__init__(tap)
        self._told: set[type[Reject]] = set()

    def derive(self, parents: list[Record]) -> Iterator[Record]:
        """Ask for the lists of several records at once; yield what is in them in the parents' order."""
        if self.left_out == ABSENT:
            return
        is_new = contract.operation(self.operation).since != contract.FIRST
        if is_new and not self.source.client.is_live:
            self.leave_out(ABSENT)
            return
        every = ordered(self._found, parents, workers=at_once(self.config))
        for parent, found in zip(parents, every, strict=True):
            if isinstance(found, Forbidden) or (is_new and isinstance(found, NotFound)):
                if type(found) not in self._told:
                    self.logger.warning(
                        "%s Its %s are left out, and those of others of which it says the same; the rest goes on.%s",
                        found,
                        self.things,
                        self.remedy(None)
                        if isinstance(found, Forbidden)
                        else f" It may be gone by now. Else: {ABSENT}",
                    )
                self._told.add(type(found))
                self.lacks_right = self.lacks_right or isinstance(found, Forbidden)
                continue
            if isinstance(found, Reject):
                self.logger.warning("%s Its %s are left out, the rest goes on.", found, self.things)
                continue
            yield from self.made_of(parent, found)

    def made_of(self, parent: Record, found: list[Record]) -> Iterator[Record]:
        """Yield the records that a parent's list makes."""
        raise NotImplementedError

    def _found(self, parent: Record) -> list[Record] | Reject:
        try:
            return self.ask(parent)
        except Reject as reason:
            return reason

    def ask(self, parent: Record) -> list[Record]:
        """Return the list of a parent. Thread-safe.

        Raises:
            Reject: the service refuses.
        """
        return self.source.client.whole_list(self.operation, id=text(parent, "internalId") or "", useSystem="INTERNAL")


class DocumentStream(FileStream):
    """A stream of the documents of a parent stream's records, downloaded to `documents_dir`: facts of each file."""

    operation: ClassVar[str]
    folder: ClassVar[str]
    """Folder in `documents_dir`, after the records that the documents belong to."""
    query: ClassVar[dict[str, str]] = {}
    id_fields: ClassVar[tuple[str, ...]]
    """Fields of the parent's record that may have the id to ask by; the first that has one counts."""
    is_final: ClassVar[bool]
    """Whether a document never changes, so that a file that is there is not downloaded again."""

    def __init__(self, tap: Any) -> None:
        super().__init__(tap, of=self.folder.replace("_", " ").removesuffix("s"))
        # Each holds up to 8 MB in memory.
        self.downloads = at_once(tap.config, most=16)

    @property
    def source(self) -> Source:
        """The tap, with its client and its files."""
        return cast("Source", self.tap)

    def owner(self, record: Record) -> msgspec.Raw | None:
        """Return the id to ask by, or None without one."""
        return next((record[name] for name in self.id_fields if text(record, name)), None)

    def fetch(self, record: Record) -> StoredFile:
        """Download one file."""
        number = next(filter(None, (text(record, name) for name in self.id_fields)))
        stem = self.stem(record, number)
        store = self.source.files
        known = store.find(f"{stem}.pdf") if self.is_final else None

        def keep(response: requests.Response) -> StoredFile:
            kind = document_type(response)
            suffix = ".pdf" if kind == "application/pdf" else mimetypes.guess_extension(kind) or ".bin"
            name = f"{stem}{suffix}"
            return store.write(name, file_pieces(response, name), kind)

        return known or self.source.client.document(self.operation, keep, id=number, **self.query)

    def stem(self, record: Record, number: str) -> str:
        """Return the file's name without its suffix: folder, month, the invoice's own number, and the id.

        Two invoices never share one: the character between number and id occurs in neither.
        """
        month = (text(record, "issueDate") or "")[:7]
        return "/".join(
            (
                self.folder,
                month if re.fullmatch(r"\d{4}-\d\d", month) else "undated",
                f"{safe_part(text(record, 'refNumber') or 'unnumbered')}~{safe_part(number)}",
            )
        )
