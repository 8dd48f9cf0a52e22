"""The streams of `tap-ivesk`: two queues of documents, their lines and files, and master-data columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

import msgspec

from ap_connectors.core.bookmarks import Bookmark, DedupWindow, key_of
from ap_connectors.core.companies import same_company
from ap_connectors.core.errors import Reject, Retry, Stop
from ap_connectors.core.exact import counted
from ap_connectors.core.raw_json import NULL, Record, text
from ap_connectors.http.bodies import file_pieces
from ap_connectors.ivesk import contract
from ap_connectors.ivesk.client import RIGHT_STATE, LinkExpired, LinkRefused, Queue
from ap_connectors.ivesk.doctypes import Doctypes
from ap_connectors.singer.downloads import FileStream, safe_part
from ap_connectors.singer.stream import Batch, ExactStream

if TYPE_CHECKING:
    import requests
    from singer_sdk import Stream, Tap

    from ap_connectors.ivesk.client import IveskClient
    from ap_connectors.singer.downloads import FileStore, StoredFile

LINKS_PER_FILE = 3
"""How many links to one file may expire before the run ends."""
_MOST_NAMED = 10
_PASSED = (
    "The bookmark is behind them: if a code or the key is wrong, correct it and run this stream once without its state."
)
_KEPT = (
    "No bookmark is kept before the first one comes: if a code or the key is wrong, correct it and run again, and "
    "nothing is missed."
)

_PAGES = {"text/html", "application/xhtml+xml"}
_SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")
_as_json = msgspec.json.Encoder().encode
_lines = msgspec.json.Decoder(list[Record | None] | None)


class Source(Protocol):
    """What the streams use of their tap."""

    @property
    def client(self) -> IveskClient:
        """The one client that all streams share."""

    @property
    def account(self) -> str:
        """The fingerprint of the key: another one may be another account's."""

    @property
    def files(self) -> FileStore:
        """Where downloaded files go."""


class IveskStream(ExactStream):
    """A stream of the Įvesk REST API.

    Set `schema_name`, what a record looks like, by its name in the contract (`document.schema.json`).
    """

    schema_name: ClassVar[str] = "document"
    own_fields: ClassVar[dict[str, Any]] = {}
    """Schemas of the fields that the tap adds to the service's, by name."""

    def __init__(self, tap: Tap) -> None:
        schema = self.contract()
        super().__init__(tap, schema | {"properties": self.own_fields | schema["properties"]})

    def contract(self) -> dict[str, Any]:
        """Return the JSON Schema of what the service sends."""
        return contract.schema(self.schema_name)

    @property
    def source(self) -> Source:
        """The tap, with its client."""
        return cast("Source", self.tap)


class Documents(IveskStream):
    """Documents of a queue, oldest first (Įvesk REST API, Synchronize results)."""

    queue: ClassVar[Queue]
    key_fields = ("id",)

    def read(self, context: Mapping[str, Any] | None) -> Iterator[Batch]:
        """Yield the queue's pages after the bookmark.

        Before the first document of a company that is wanted no bookmark is kept: with another account's key, or a
        wrong code, it would pass those that are to come.

        Raises:
            Stop: the bookmark is of another account, or company_codes has blanks only.
        """
        state = self.last_bookmark(context)
        self._require_own(state)
        since = Bookmark.from_state(state, self.config.get("start_date"))
        # A bookmark before start_date counts no more than none.
        began = since.instant is not None
        codes = self._wanted_companies()
        kinds = Doctypes(self.config.get("doctype"))
        read = kept = of_other_kinds = 0
        others: set[str] = set()
        for page in self.source.client.pages(self.queue, since, kinds.asked):
            of_kind = [d for d in page.records if kinds.wants(text(d, "doctype"))]
            wanted = [d for d in of_kind if not codes or _is_of(codes, d)]
            read, kept = read + len(of_kind), kept + len(wanted)
            of_other_kinds += len(page.records) - len(of_kind)
            if not kept and len(others) < _MOST_NAMED:
                others.update(code for document in of_kind for code in contract.companies(document))
            bookmark = page.bookmark.to_state() if kept or began or not codes else {}
            yield Batch(wanted, bookmark and {**bookmark, "account": self.source.account})
        if of_other_kinds:
            self.logger.info("%d documents of kinds that are not in doctype were left out", of_other_kinds)
        if read > kept:
            self.logger.info("%d documents of companies that are not in company_codes were left out", read - kept)
        if read and not kept:
            self.logger.warning(
                "%s: company_codes left out all %d documents that came; they are of %s. %s",
                self.name,
                read,
                ", ".join(sorted(others)[:_MOST_NAMED]) or "companies without a code",
                _PASSED if began else _KEPT,
            )

    def _wanted_companies(self) -> list[str]:
        given = self.config.get("company_codes") or []
        codes = [code for code in given if code.strip()]
        if given and not codes:
            # All companies' documents are not what somebody wants who has a variable without a value.
            raise Stop(
                "company_codes names no company: it has blanks only, as of a variable that is empty. Name the "
                "companies; or take the setting out, and the documents of all are read."
            )
        return codes

    def _require_own(self, state: Mapping[str, Any]) -> None:
        """Stop if the documents that were read last cannot be seen with this key, which is another than theirs.

        Įvesk has no call that says whose a key is. A key that was renewed sees what the old one saw.
        """
        seen = {id_ for ids in (state.get("seen") or {}).values() for id_ in ids}
        if state.get("account") in {None, self.source.account} or not seen:
            return
        # The newest may have been deleted; those that are remembered begin with `settled`.
        since = Bookmark(str(state.get("settled") or state["replication_key_value"]))
        # What was digitized may have been exported since.
        queues: dict[Queue, None] = {self.queue: None, "exported": None}
        for queue in queues:
            for page in self.source.client.pages(queue, since):
                if any(text(document, "id") in seen for document in page.records):
                    return
        raise Stop(
            f"{self.name}: the state belongs to another Įvesk account: it was made with another api_key, and what was "
            f"read last ({counted(len(seen), 'document')}) cannot be seen with this one. Nothing was read. "
            f"{RIGHT_STATE}"
        )


class ExportedDocuments(Documents):
    """Documents that an accountant has checked and exported; the queue that the service recommends."""

    name, queue, instant_field = "exported_documents", "exported", "exportedat"


class DigitizedDocuments(Documents):
    """Documents as digitised, before an accountant has checked them."""

    name, queue, instant_field = "digitized_documents", "digitized", "digitizedat"
    selected_by_default = False


class DocumentLines(IveskStream):
    """Lines of a queue's documents, from the same response."""

    schema_name = "line"
    key_fields = ("document_id", "line_number")
    parent_stream_type: type[Documents]
    parent_keys: ClassVar = {"document_id": "id"}
    own_fields: ClassVar = {
        "document_id": {"type": ["string"], "description": "Id of the document."},
        "line_number": {"type": ["integer"], "description": "Place in the document, from 1."},
    }

    def contract(self) -> dict[str, Any]:
        """Return the line's schema and, from the document's, the instant."""
        line, instant = super().contract(), self.parent_stream_type.instant_field
        document = contract.schema("document")["properties"]
        return line | {"properties": {str(instant): document[instant]} | line["properties"]}

    def derive(self, parents: list[Record]) -> Iterator[Record]:
        """Yield the lines, each with its document's id and instant.

        The instant tells which export the line belongs to: a document that comes again may have fewer lines.
        """
        instant = str(self.parent_stream_type.instant_field)
        for document in parents:
            own = {"document_id": document["id"], instant: document.get(instant, NULL)}
            for number, line in enumerate(self._lines_of(document), 1):
                if line is not None:
                    # Ours last: a key is never overwritten by a field of the same name.
                    yield line | own | {"line_number": msgspec.Raw(b"%d" % number)}

    def _lines_of(self, document: Record) -> list[Record | None]:
        try:
            return _lines.decode(document.get("lines", NULL)) or []
        except msgspec.ValidationError:
            self.logger.warning("document %s: lines is not a list of objects; it is left out", text(document, "id"))
            return []


class ExportedDocumentLines(DocumentLines):
    """Lines of exported documents."""

    name, parent_stream_type = "exported_document_lines", ExportedDocuments
    parent_version: ClassVar = {"exportedat": "exportedat"}


class DigitizedDocumentLines(DocumentLines):
    """Lines of digitised documents."""

    name, parent_stream_type = "digitized_document_lines", DigitizedDocuments
    parent_version: ClassVar = {"digitizedat": "digitizedat"}
    selected_by_default = False


class DocumentFiles(FileStream):
    """Files of the documents, downloaded to `documents_dir`: one record each with the facts of the file.

    A file that the storage has lost makes a record with the reason in `error` and without a path; the run goes on.
    """

    name = "document_files"
    key_fields = ("document_id",)
    # Keeps the SDK from syncing it on its own; `attach_files` decides whose child it is.
    parent_stream_type = ExportedDocuments
    parent_keys: ClassVar = {"document_id": "id"}

    def __init__(self, tap: Tap) -> None:
        super().__init__(tap, of="document")

    @property
    def source(self) -> Source:
        """The tap, with its client and its files."""
        return cast("Source", self.tap)

    def owner(self, record: Record) -> msgspec.Raw:
        """Return the document's id."""
        return record["id"]

    def fetch(self, record: Record) -> StoredFile:
        """Download one file unless it is there; renew a link that has expired in the meantime."""
        store, name = self.source.files, file_name(record)
        link = text(record, "url")
        queue: Queue = "exported" if text(record, "exportedat") else "digitized"
        for _ in range(LINKS_PER_FILE):
            try:
                return store.find(name) or self._download(store, name, record, link)
            except (LinkExpired, LinkRefused) as refused:
                reason: Reject = refused
                self.logger.info("%s; asking for a fresh one", refused)
                link = self.source.client.fresh_link(queue, record)
                if link is None:
                    id_ = text(record, "id")
                    raise Reject(
                        f"document {id_} has moved on in the queue; its file comes with it",
                        "document_moved_on",
                        document=id_,
                    ) from None
        if isinstance(reason, LinkRefused):
            raise reason
        raise Stop(
            f"ivesk: the link to the file of document {text(record, 'id')} has expired each time it was asked for. "
            "Is this machine's clock right? The next run tries again."
        )

    def _download(self, store: FileStore, name: str, document: Record, link: str | None) -> StoredFile:
        if link is None or not link.startswith(("http://", "https://")):
            id_ = text(document, "id")
            raise Reject(f"document {id_} has no usable link to its file", "no_link", document=id_)

        def keep(response: requests.Response) -> StoredFile:
            kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if kind in _PAGES and not name.endswith((".html", ".htm")):
                raise Retry("the storage sends an HTML page where a file was expected", tries=3)
            return store.write(name, file_pieces(response, name), kind or "application/octet-stream")

        return self.source.client.download(document, link, keep)


class IncrementalStream(IveskStream):
    """A stream that is read by the time of the last change; a subclass defines `pages`."""

    instant_field = "modifiedat"

    def pages(self, since: str | None, partition: Mapping[str, Any]) -> Iterator[list[Record]]:
        """Yield the pages of what changed since an instant; None for everything."""
        raise NotImplementedError

    def read(self, context: Mapping[str, Any] | None) -> Iterator[Batch]:
        """Yield what changed; the bookmark moves at the end, because the order is not documented."""
        partition = dict(context or {})
        own = {name: msgspec.Raw(_as_json(value)) for name, value in partition.items()}
        since = Bookmark.from_state(self.last_bookmark(context), None)
        window = DedupWindow(since, service_now=self.source.client.now)
        reached: tuple[str | None, int] | None = None
        for items in self.pages(window.ask(), partition):
            yield Batch([item | own for item in items if self._is_new(window, item)])
            # What changes while further pages are read is newer than anything on the first one, and may be on a page
            # that was read already. So the bookmark stays there.
            reached = reached or (window.instant, window.newest)
        yield Batch([], window.bookmark(reached).to_state())

    def _is_new(self, window: DedupWindow, item: Record) -> bool:
        """Return whether a record was not handed out before; without an instant always, as it may have changed."""
        instant = str(self.instant_field)
        if item.get(instant, NULL) == NULL:
            return True
        return window.is_new(key_of(item, self.key_fields[-1]), window.place(item, instant))


class Columns(IncrementalStream):
    """Values of master-data columns, such as departments (Įvesk REST API, columns)."""

    name, schema_name = "columns", "column_value"
    read_with = "columns"
    key_fields = ("company_code", "column", "code")
    own_fields: ClassVar = {
        "company_code": {"type": ["string"], "description": "Registration code of the company."},
        "column": {"type": ["string"], "description": "Name of the column."},
    }

    def __init__(self, tap: Tap) -> None:
        self.selected_by_default = bool(tap.config.get("columns"))
        super().__init__(tap)

    @property
    def partitions(self) -> list[dict[str, Any]]:
        """One bookmark for each company and column of the settings."""
        return [{"company_code": c["company_code"], "column": c["column"]} for c in self.config.get("columns") or []]

    def pages(self, since: str | None, partition: Mapping[str, Any]) -> Iterator[list[Record]]:
        """Yield the column's values that changed."""
        return self.source.client.column(since=since, **partition)


def _is_of(codes: list[str], document: Record) -> bool:
    return any(same_company(code, one) for one in contract.companies(document) for code in codes)


def file_name(document: Record) -> str:
    """Return a name made of company, month, number and id, none of which can leave the folder.

    Two documents never share one: the character between number and id occurs in neither.
    """
    company = next(iter(contract.companies(document)), "unknown")
    month = (text(document, "date") or "")[:7]
    number = safe_part(text(document, "docnum") or "unnumbered")
    suffix = PurePosixPath(text(document, "filename") or "").suffix.lower()
    return "/".join(
        (
            safe_part(company),
            month if re.fullmatch(r"\d{4}-\d\d", month) else "undated",
            f"{number}~{safe_part(text(document, 'id') or '')}{suffix if _SUFFIX.fullmatch(suffix) else '.pdf'}",
        )
    )


def attach_files(streams: Mapping[str, Stream]) -> None:
    """Take the files from the queues that are read anyway, or else from the exported one."""
    files = streams[DocumentFiles.name]
    queues = [stream for stream in streams.values() if isinstance(stream, Documents)]
    for queue in queues:
        queue.child_streams = [child for child in queue.child_streams if child is not files]
    if not files.config.get("documents_dir"):
        if files.selected:
            files.logger.info("document_files is selected, but documents_dir is not set: no files are downloaded")
        return
    read = [queue for queue in queues if queue.selected or queue.has_selected_descendents]
    for queue in read or [queue for queue in queues if isinstance(queue, ExportedDocuments)]:
        queue.child_streams.append(files)


ALL: tuple[type[IveskStream] | type[DocumentFiles], ...] = (
    ExportedDocuments,
    ExportedDocumentLines,
    DigitizedDocuments,
    DigitizedDocumentLines,
    DocumentFiles,
    Columns,
)
