"""Documents to digitise: each is put to a place of its own in the service's storage, once."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

import msgspec

from ap_connectors.core.errors import Outage, Reject
from ap_connectors.ivesk.client import IveskClient, LinkExpired
from ap_connectors.ivesk.uploads import Location
from ap_connectors.singer import input_files
from ap_connectors.singer.coercion import CoercionError, digits, quoted
from ap_connectors.singer.input_files import InputFile, Limit
from ap_connectors.singer.ledger import DeliveryUnknown
from ap_connectors.singer.sink import Outcome
from target_ivesk import options
from target_ivesk.file_names import file_name
from target_ivesk.options import Query
from target_ivesk.sink import SERVICE, Item, IveskSink, fingerprint, named

LIMIT = Limit(5 * 1024**3, "5 GB", f"the storage of {SERVICE}")
"""What one PUT may bring to Amazon S3 (S3 User Guide, Uploading objects); the service names no limit of its own."""

_LOCATIONS = 3
"""Places that are asked for, in all, while they expire before the file is there."""
_encode = msgspec.json.Encoder(decimal_format="number").encode
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Documents(IveskSink):
    """Files (Upload file), told apart by their bytes and their `userdata`.

    The service can't be asked whether it has one, so a ledger tells. To one place a file may be put again, so an
    answer that was lost does no harm as long as we live; after that nobody knows the place any more.
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
        """Look whether there is a document, and whether the rest can be sent."""
        if not input_files.is_given(body.get("document"), body.get("documentBase64")):
            message = "document is missing: give a path or URL, or the document itself in documentBase64."
            raise Reject(message, "document_missing")
        if _CONTROL.search(body.get("file_name") or ""):
            message = "file_name contains a line break or another control character. Remove it."
            raise Reject(message, "control_character", field="file_name")
        self._query(body)

    def key(self, body: Mapping[str, Any]) -> str:
        """Return what the document is called as far as the record tells."""
        return body.get("file_name") or input_files.show(body.get("document") or "documentBase64")

    def key_hint(self, record: Mapping[str, Any]) -> str | None:
        """Return the same."""
        found = named(record, "file_name", "document")
        return found and input_files.show(found)

    def order_key(self, body: Mapping[str, Any]) -> bytes:
        """Keep what is surely the same in order; the ledger sees to what turns out to be."""
        return bytes.fromhex(fingerprint(body.get("document"), body.get("documentBase64")))

    def send(self, item: Item) -> Outcome:
        """Upload a document that was not uploaded yet."""
        body = item.body
        with input_files.opened(
            body.get("document"), body.get("documentBase64"), body.get("file_name"), LIMIT
        ) as found:
            assert found is not None  # noqa: S101 - `check` has looked
            name = file_name(found)
            key = fingerprint(found.sha256(), _meant(body.get("userdata")))
            upload = _Upload(self.account.client, found, name, self._query(body))
            return self.account.once.send(key, name, upload.put, before=upload.locate)

    def _query(self, body: Mapping[str, Any]) -> Query:
        return {**self.account.options, **options.query(body), **_passed_along(body.get("userdata"))}


class _Upload:
    """One document on its way."""

    def __init__(self, client: IveskClient, found: InputFile, name: str, query: Query) -> None:
        self._client, self._found, self._name, self._query = client, found, name, query
        self._location: Location | None = None

    def locate(self) -> None:
        """Ask for a place."""
        self._location = self._client.location(self._name, self._query)

    def put(self, doubt: DeliveryUnknown) -> None:
        """Put the document there; to another place if the place has expired and surely holds nothing.

        Raises:
            Reject: the storage does not take it. Outage: it failed, or places expire as soon as they are made.
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
            f"ivesk: upload of {self._name}: {_LOCATIONS} places in a row had expired before the file was there. "
            "Run again later; the next run goes on from the last STATE."
        )


def _passed_along(userdata: Any) -> Query:
    """Return `userdata` as the service takes it: text as it is, an object under its newer name as well.

    Raises:
        Reject: it is neither.
    """
    meant = _meant(userdata)
    if meant is None or isinstance(meant, str):
        return {"userdata": meant} if meant else {}
    # An older service knows `userdata` only, and would lose the rest without a word.
    text = _encode(meant)
    return {"userdata": text.decode(), "sourcedata": b64encode(text).decode()}


def _meant(userdata: Any) -> Any:
    """Return `userdata` as text, an object or a list, or None; what arrives the same is the same.

    Raises:
        Reject: it is none of these.
    """
    if isinstance(userdata, bool):
        raise Reject(f"userdata is neither text nor an object: {quoted(userdata)}.", "no_form_fits", field="userdata")
    if isinstance(userdata, int | Decimal):
        try:
            return digits(userdata)
        except CoercionError as misfit:
            raise misfit.reject("userdata") from None
    return userdata or None
