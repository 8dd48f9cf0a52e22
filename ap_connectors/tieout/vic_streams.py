"""What is compared of Vic.ai's records, stream by stream: a few attributes each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import ClassVar

import msgspec

from ap_connectors.core import instants
from ap_connectors.core.bookmarks import Bookmark
from ap_connectors.core.exact import total
from ap_connectors.core.instants import LOCAL, UTC, Clock
from ap_connectors.core.raw_json import NULL, Record, text
from ap_connectors.tieout.booking import (
    INVOICE_FIELDS,
    PAYMENT_FIELDS,
    owed_for_credit,
    owed_for_invoice,
    owed_for_payment,
)
from ap_connectors.tieout.fields import Compared, amount
from ap_connectors.tieout.snapshot import (
    AmountReader,
    Amounts,
    DocumentSummary,
    Fields,
    LinesSummary,
    instant_or_none,
    summarize_lines,
)
from ap_connectors.vicai.client import VicaiClient

decode_list = msgspec.json.Decoder(list[Record | None] | None).decode
_object = msgspec.json.Decoder(Record | None)

INTERNAL = {"useSystem": "INTERNAL"}


def fields_of(record: Record, names: Iterable[str]) -> dict[str, str | None]:
    """Return fields as text; None for null, empty or absent."""
    return {name: text(record, name) or None for name in names}


def parts_of(record: Record, member: str, own: Mapping[str, str]) -> list[Record]:
    """Return the parts that a record holds, each with fields of the record's (by the names they have in the part)."""
    parents = {ours: record.get(theirs, NULL) for ours, theirs in own.items()}
    return [part | parents for part in decode_list(record.get(member, NULL)) or () if part is not None]


@dataclass(frozen=True)
class LineSpec:
    """What is compared of a line.

    Args:
        amount: field with the amount; without VAT where there is a VAT.
        taxed: whether lines have a VAT.
        place: field that says which line it is; None: the order counts.
        more: further amounts that are compared.
        table: where the warehouse keeps them if not with the record itself, with the columns that hold the record's key
            and its version.
    """

    amount: str = "amount"
    taxed: bool = True
    place: str | None = None
    more: tuple[str, ...] = ("quantityInvoiced", "unitPrice")
    table: tuple[str, str, str] | None = None

    def summarize_json(self, lines: bytes | None) -> LinesSummary | None:
        """Add up the lines in a record's JSON; None if it is not a list of lines."""
        try:
            found = decode_list(lines or b"null")
        except (msgspec.DecodeError, msgspec.ValidationError):
            return None
        return self.summarize(self.fields(line) for line in found or () if line is not None)

    def summarize(self, lines: Iterable[Fields]) -> LinesSummary:
        """Add up lines."""
        return summarize_lines(lines, self._amounts, self.more, self.place, "vat_code" if self.taxed else None)

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that are read."""
        instead = ("amountNet", "amountSum") if self.taxed else ()
        return (self.amount, *instead, *self.more, *((self.place,) if self.place else ()))

    def fields(self, line: Record) -> dict[str, str | None]:
        """Return what is compared of a line."""
        if not self.taxed:
            return fields_of(line, self.names)
        return {**fields_of(line, self.names), "tax": tax_of(line), "vat_code": vat_code_of(line)}

    def _amounts(self, read: AmountReader, line: Fields) -> Amounts:
        amount = read(line, self.amount)
        if not self.taxed:
            return None, None, amount
        tax = read(line, "tax")
        if amount is None:
            # Vic.ai is to stop sending `amount` (10.40.4): what is there counts.
            amount, whole = read(line, "amountNet"), read(line, "amountSum")
            return amount, tax, whole if whole is not None or amount is None else total((amount, tax))
        return amount, tax, total((amount, tax))


def tax_of(line: Record) -> str | None:
    """Return a line's VAT, from whichever of four places states it."""
    if stated := text(line, "amountTax") or text(line, "amountVat"):
        return stated
    return _first_stated(line, ("vat", "amount"), ("invoiceLineItemInfo", "vatAmount"))


def vat_code_of(line: Record) -> str | None:
    """Return a line's VAT code, from whichever of four places states it."""
    places = (("invoiceLineItemInfo", "vatCode"), ("vat", "code"), ("vat", "externalId"), ("taxCode", "code"))
    return _first_stated(line, *places)


def _first_stated(line: Record, *places: tuple[str, str]) -> str | None:
    """Return the first text that a member of an object of the line has; what is not an object states nothing."""
    for name, member in places:
        try:
            holder = _object.decode(line.get(name, NULL))
        except msgspec.ValidationError:
            continue
        if holder and (stated := text(holder, member)):
            return stated
    return None


_INSTEAD = {"amountWithoutTax": "amountNet", "amountTax": "amountVat", "totalAmount": "amountSum"}
"""Amounts of headers that Vic.ai is to stop sending (10.40.4), and what there is in their place."""


def _instead(name: str | None) -> tuple[str | None, ...]:
    return (name, _INSTEAD[name]) if name in _INSTEAD else (name,)


@dataclass(frozen=True)
class StreamSpec:
    """What is compared of a stream, and how Vic.ai lists it.

    Args:
        stream: the tap's name for it, and the table's.
        lists: operations that list them, with what they are asked.
        key: fields that tell them apart.
        label: field that people know them by.
        instant: field with their version; None without versions.
        clock: in whose time that is.
        is_incremental: whether the service lists what changed since an instant.
        keyed: whether the table has a key; without one the loader appends.
        currency, date: fields; "" without one.
        kind: field that tells credit notes; "" without one.
        owed: returns what a document adds to what is owed to vendors, by further `owed_fields`.
        amount_fields: fields with subtotal, VAT and total.
        lines: what is compared of lines; None without lines.

    Attributes:
        left_out: fields that are not compared: links, and what the tap says of files.
        is_costly: whether reading it takes a request for each of many records.
    """

    left_out: ClassVar[tuple[str, ...]] = ()
    is_costly: ClassVar[bool] = False
    stream: str
    lists: tuple[tuple[str, Mapping[str, str]], ...]
    key: tuple[str, ...] = ("internalId",)
    label: str = "externalId"
    instant: str | None = "internalUpdatedAt"
    clock: Clock = UTC
    is_incremental: bool = True
    keyed: bool = True
    currency: str = ""
    date: str = ""
    kind: str = ""
    owed: Callable[[DocumentSummary, Fields], str | None] | None = None
    owed_fields: tuple[str, ...] = ()
    amount_fields: tuple[str | None, str | None, str | None] = (None, None, None)
    lines: LineSpec | None = None
    lines_field: str = field(default="lineItems", init=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that are read, without the lines."""
        amounts = (name for field in self.amount_fields for name in _instead(field))
        named = (*self.key, self.label, self.instant, self.currency, self.date, self.kind, *amounts, *self.owed_fields)
        return tuple(dict.fromkeys(name for name in named if name))

    @property
    def booked_by(self) -> tuple[str, ...]:
        """The fields without which VAT and what is owed cannot be told."""
        return (*([self.kind] if self.kind else ()), *(name for name in self.owed_fields if name == "fundedAt"))

    @property
    def compared(self) -> dict[str, Compared]:
        """What `summarize` compares of fields, but for the date: a time has more to it."""
        what: dict[str, Compared] = {name: amount for field in self.amount_fields for name in _instead(field) if name}
        return what | ({self.currency: _code} if self.currency else {})

    def key_of(self, fields: Fields) -> str:
        """Return what tells a record apart."""
        return " ".join(fields.get(name) or "-" for name in self.key)

    def summarize(self, company: str, fields: Fields, lines: LinesSummary | None) -> DocumentSummary:
        """Return what is compared of a record."""
        read = AmountReader()
        subtotal, vat, whole = (read.first(fields, _instead(name)) for name in self.amount_fields)
        at = fields.get(self.instant) if self.instant else None
        version = self.clock.milliseconds(at) if at and self.clock.knows(at) else None
        date, currency = _day(fields.get(self.date)), _code(fields.get(self.currency))
        label = fields.get(self.label) or ""
        document = DocumentSummary(
            label, version, company, date, currency, (subtotal, vat, whole), lines, tuple(read.unreadable)
        )
        document.is_credit = "credit" in (fields.get(self.kind) or "").lower()
        document.owed = self.owed(document, fields) if self.owed else None
        return document

    def read(self, client: VicaiClient, since: int | None) -> Iterator[Record]:
        """Yield Vic's records; the same one again if it changes while they are read."""
        for operation, query in self.lists:
            if self.instant is None or not self.is_incremental:
                for page in client.pages(operation, **query):
                    yield from page
            else:
                bookmark = Bookmark(not_before=since or 0)
                for changed in client.changes(
                    operation, bookmark, key=self._identity, instant_field=self.instant, clock=self.clock, **query
                ):
                    yield from changed.records

    def _identity(self, record: Record) -> str:
        if self.keyed:
            return self.key_of(fields_of(record, self.key))
        return blake2b(msgspec.json.encode(record), digest_size=16).hexdigest()


def _code(value: str | None) -> str:
    return (value or "").upper()


def _day(value: str | None) -> str:
    """Return a date; of an instant, the day in UTC."""
    if value is None or len(value) <= len("2026-01-31"):
        return value or ""
    at = instant_or_none(value)
    return value if at is None else instants.text(at)[:10]


def invoices(states: Iterable[str]) -> StreamSpec:
    """Return invoices of some states, as the tap reads them."""
    chosen = list(dict.fromkeys(states)) or ["POSTED"]
    lists = tuple(("listInvoices", {**INTERNAL, "state": state}) for state in (["ALL"] if "ALL" in chosen else chosen))
    amounts = ("amountWithoutTax", "amountTax", "totalAmount")
    return StreamSpec(
        "invoices",
        lists,
        currency="currency",
        date="issueDate",
        kind="transactionType",
        owed=owed_for_invoice,
        owed_fields=INVOICE_FIELDS,
        amount_fields=amounts,
        lines=LineSpec(),
    )


TRAINING_INVOICES = StreamSpec(
    "training_invoices",
    (("listTrainingInvoices", {}),),
    key=("vendorExternalId", "refNumber"),
    label="refNumber",
    instant="externalUpdatedAt",
    clock=LOCAL,
    keyed=False,
    currency="currency",
    date="issueDate",
    kind="transactionType",
    amount_fields=(None, None, "totalAmount"),
    lines=LineSpec(),
)
PURCHASE_ORDERS = StreamSpec(
    "purchase_orders",
    (("listPurchaseOrders", {"status": "open"}), ("listPurchaseOrders", {"status": "closed"})),
    label="poNumber",
    currency="currencyId",
    date="issuedOn",
    amount_fields=(None, None, "amount"),
    lines=LineSpec(
        "lineItemTotal",
        taxed=False,
        place="lineNumber",
        more=("quantityRequested", "unitAmount"),
        table=("purchase_order_line_items", "purchase_order_id", "purchase_order_updated_at"),
    ),
)


def _reference_data(stream: str, operation: str, label: str) -> StreamSpec:
    return StreamSpec(stream, ((operation, {}),), key=("id",), label=label, instant=None)


MASTER_DATA = (
    StreamSpec("accounts", (("listAccounts", INTERNAL),)),
    StreamSpec("dimensions", (("listDimensions", INTERNAL),)),
    StreamSpec("vendors", (("listVendors", INTERNAL),)),
    StreamSpec("vat_codes", (("listVatCodes", {}),), is_incremental=False),
    _reference_data("vendor_groups", "listVendorGroups", "name"),
    _reference_data("tags", "listTags", "value"),
    _reference_data("vendor_tags", "listVendorTags", "vendorId"),
    _reference_data("payment_terms", "listPaymentTerms", "name"),
    _reference_data("tax_codes", "getTaxCodes", "code"),
)
PAYMENT_BATCHES = StreamSpec(
    "payment_batches",
    (("listPaymentBatches", {"status": "all"}),),
    key=("id",),
    label="name",
    instant="last_event_at",
    is_incremental=False,
)
PAYMENTS_AND_CREDITS = tuple(
    StreamSpec(
        stream,
        (),
        key=("id", "batch_id"),
        label="id",
        instant=None,
        currency="currencyId",
        date="approvedAt",
        owed=owed,
        owed_fields=PAYMENT_FIELDS,
        amount_fields=(None, None, "amount"),
    )
    for stream, owed in (("payments", owed_for_payment), ("credits", owed_for_credit))
)
"""They are members of their batches, which date them."""


@dataclass(frozen=True)
class PartsOfBatches(StreamSpec):
    """Payments or credits by themselves.

    Args:
        part: the batch's field that holds them.
    """

    part: str = ""

    def read(self, client: VicaiClient, since: int | None) -> Iterator[Record]:  # noqa: ARG002 - batches date them
        """Yield the parts of all batches."""
        for batch in PAYMENT_BATCHES.read(client, None):
            yield from parts_of(batch, self.part, {"batch_id": "id"})
