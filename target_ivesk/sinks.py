"""The sinks: documents to digitise, each uploaded once, and errors for the accountant, each reported once.

Įvesk tells a file's type by its name, so the name that is sent ends in the suffix of what the file is.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

import msgspec

from ap_connectors.core.errors import Outage, Reject
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.core.validate import id_text
from ap_connectors.ivesk.client import IveskClient, LinkExpired
from ap_connectors.ivesk.uploads import Location
from ap_connectors.singer import input_files
from ap_connectors.singer.coercion import CoercionError, digits, quoted
from ap_connectors.singer.document_sources import show
from ap_connectors.singer.input_files import LONGEST_START, InputFile, Limit, file_type
from ap_connectors.singer.ledger import DeliveryUnknown
from ap_connectors.singer.sink import Outcome
from target_ivesk import options
from target_ivesk.options import Query
from target_ivesk.sink import SERVICE, Item, IveskSink, fingerprint, named

LIMIT = Limit(5 * 1024**3, "5 GB", f"the storage of {SERVICE}")
"""The most that one PUT to Amazon S3 may have (S3 User Guide, Uploading objects); the service documents no limit."""

_LOCATIONS = 3
"""How many locations are asked for, in all, while they expire before the file is there."""

_SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "PDF": (".pdf",),
    "TIFF": (".tif", ".tiff"),
    "JPEG": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "XML": (".xml",),
    "ZIP": (".zip",),
}
"""What is sent, by type, with the suffixes of its names, the usual one first.

The service documents no types; these are what invoices come as, alone or several in a ZIP.
"""
_OFFICE = re.compile(r"\.(doc|dot|xls|xlt)[xm]$|\.(xlsb|pptx|odt|ods)$", re.IGNORECASE)
_encode = msgspec.json.Encoder(decimal_format="number").encode
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_IDS = ("documentid", "companycode")
_NAMES = (*_IDS, "message")


class Documents(IveskSink):
    """Files (Upload file), told apart by their bytes and their `userdata`.

    The service cannot be asked whether it has one, so a ledger tells. A file may be put to one location again, so a
    lost answer does no harm while the process lives; after that the location is not known any more.
    """

    name = "documents"
    fields: ClassVar[Mapping[str, Any]] = {
        "file_name": {"type": "string"},
        "document": {"type": "string"},
        "documentBase64": {"type": "string"},
        "userdata": {},
        **options.FIELDS,
    }

    def check(self, body: Mapping[str, Any]) -> None:
        """Check that there is a document, and that the rest can be sent."""
        if not input_files.is_given(body.get("document"), body.get("documentBase64")):
            message = "document is missing: give a path or URL, or the document itself in documentBase64."
            raise Reject(message, "document_missing")
        if _CONTROL.search(body.get("file_name") or ""):
            message = "file_name contains a line break or another control character. Remove it."
            raise Reject(message, "control_character", field="file_name")
        self._query(body)

    def key(self, body: Mapping[str, Any]) -> str:
        """Return the name of the document, as far as the record tells."""
        return body.get("file_name") or show(body.get("document") or "documentBase64")

    def key_hint(self, record: Mapping[str, Any]) -> str | None:
        """Return the name of the document."""
        found = named(record, "file_name", "document")
        return found and show(found)

    def order_key(self, body: Mapping[str, Any]) -> bytes:
        """Keep what is surely the same in order; the ledger sees to what turns out to be."""
        return bytes.fromhex(fingerprint(body.get("document"), body.get("documentBase64")))

    def send(self, item: Item) -> Outcome:
        """Upload a document that was not uploaded yet."""
        body = item.body
        given = body.get("document"), body.get("documentBase64"), body.get("file_name")
        with input_files.opened(*given, sources=self.account.sources, limit=LIMIT) as found:
            assert found is not None  # noqa: S101 - `check` has checked
            name = file_name(found)
            key = fingerprint(found.sha256(), _userdata(body.get("userdata")))
            upload = _Upload(self.account.client, found, name, self._query(body))
            return self.account.once.send(key, name, upload.put, before=upload.locate)

    def _query(self, body: Mapping[str, Any]) -> Query:
        return {**self.account.options, **options.query(body), **_userdata_query(body.get("userdata"))}


class _Upload:
    """One document on its way."""

    def __init__(self, client: IveskClient, found: InputFile, name: str, query: Query) -> None:
        self._client, self._found, self._name, self._query = client, found, name, query
        self._location: Location | None = None

    def locate(self) -> None:
        """Ask for a location."""
        self._location = self._client.location(self._name, self._query)

    def put(self, doubt: DeliveryUnknown) -> None:
        """Put the document there; to another location if that one has expired and is surely empty.

        Raises:
            Reject: the storage refuses it. Outage: it failed, or locations expire as soon as they are made.
        """
        for left in reversed(range(_LOCATIONS)):
            assert self._location is not None  # noqa: S101 - `locate` comes first
            try:
                self._client.put(self._location, self._found.open, what=self._name, find_done=doubt.note)
            except LinkExpired:
                if doubt.exists:
                    raise
                if left:
                    self.locate()
            else:
                return
        raise Outage(
            f"ivesk: upload of {self._name}: {_LOCATIONS} locations in a row expired before the file was there. "
            "Run again later; the next run goes on from the last STATE."
        )


def file_name(document: InputFile) -> str:
    """Return the name to send a document under: its own, with the suffix of what it is.

    Raises:
        Reject: it is not of a type that is sent to Įvesk.
    """
    suffixes = _SUFFIXES.get(file_type(document.start(LONGEST_START)) or "")
    if suffixes is None or _OFFICE.search(document.name):
        raise Reject(
            f"The document {document.shown} is not of a type that is sent to Įvesk: send a PDF, TIFF, JPEG, PNG or XML "
            "file, or a ZIP of them. What counts is how the file begins, not what it is called.",
            "document_type",
            document=document.shown,
        )
    # A path may have control characters, a header may not.
    name = _CONTROL.sub("_", document.name) or "document"
    return name if name.lower().endswith(suffixes) else name + suffixes[0]


def _userdata_query(userdata: Any) -> Query:
    """Return `userdata` as the service takes it: text as it is, an object under its newer name as well.

    Raises:
        Reject: it is neither text nor an object.
    """
    meant = _userdata(userdata)
    if meant is None or isinstance(meant, str):
        return {"userdata": meant} if meant else {}
    # An older service knows `userdata` only, and would silently lose the rest.
    text = _encode(meant)
    return {"userdata": text.decode(), "sourcedata": b64encode(text).decode()}


def _userdata(userdata: Any) -> Any:
    """Return `userdata` as text, an object or a list, or None; what arrives equal is equal.

    Raises:
        Reject: it is something else.
    """
    if isinstance(userdata, bool):
        raise Reject(
            f"userdata is neither text nor an object: {quoted(userdata)}. Send one of them.",
            "no_form_fits",
            field="userdata",
        )
    if isinstance(userdata, int | Decimal):
        try:
            return digits(userdata)
        except CoercionError as error:
            raise error.reject("userdata") from None
    return userdata or None


class SyncErrors(IveskSink):
    """Synchronisation errors (Report synchronization errors), told apart by their three fields.

    A document that was exported again and is refused as before was not mended, so that is told once more.
    """

    name = "sync_errors"
    fields: ClassVar[Mapping[str, Any]] = {
        **{name: {"type": "string"} for name in _NAMES},
        "exportedat": {"type": ["string", "null"]},
    }
    # What tap-rejects adds for people.
    expected = frozenset({"at", "stream", "key"})

    def meant(self, body: JsonObject) -> JsonObject:
        """Return the record with its ids as they are meant: systems pad them to a width."""
        return {**body, **{name: id_text(body[name]) for name in _IDS if body.get(name)}}

    def check(self, body: Mapping[str, Any]) -> None:
        """Check that the three fields are there, and not empty."""
        missing = [name for name in _NAMES if not id_text(body.get(name) or "")]
        if missing:
            are = "is" if len(missing) == 1 else "are"
            raise Reject(f"{', '.join(missing)} {are} missing or empty.", "missing_field", fields=missing)

    def key(self, body: Mapping[str, Any]) -> str:
        """Return the document's id."""
        return str(body.get("documentid"))

    def key_hint(self, record: Mapping[str, Any]) -> str | None:
        """Return the document's id."""
        return id_text(named(record, "documentid") or "") or None

    def order_key(self, body: Mapping[str, Any]) -> bytes:
        """Keep what is said of one document in order."""
        return self.key(body).encode()

    def send(self, item: Item) -> Outcome:
        """Report an error that was not reported yet."""
        document_id, company_code, message = (item.body[name] for name in _NAMES)

        def report(doubt: DeliveryUnknown) -> None:
            self.account.client.report_error(document_id, company_code, message, find_done=doubt.refuse)

        key, what = fingerprint(self.name, document_id, company_code, message), f"The error of document {document_id}"
        if exported := item.body.get("exportedat"):
            # Earlier versions did not know the export.
            if (known := self.account.once.known(key, what)) is not None:
                return known
            key = fingerprint(self.name, document_id, company_code, message, exported)
        return self.account.once.send(key, what, report)
