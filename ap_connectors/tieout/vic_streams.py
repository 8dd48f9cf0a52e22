"""What is compared of Vic.ai's records, stream by stream: a few attributes each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

import msgspec

from ap_connectors.core import instants
from ap_connectors.core.bookmarks import Bookmark
from ap_connectors.core.exact import total
from ap_connectors.core.instants import LOCAL, UTC, Clock
from ap_connectors.core.raw_json import NULL, Record, text
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
        return summarize_lines(lines, self._amounts, self.more, self.place)

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that are read."""
        return (self.amount, *self.more, *((self.place,) if self.place else ()))

    def fields(self, line: Record) -> dict[str, str | None]:
        """Return what is compared of a line."""
        return {**fields_of(line, self.names), "tax": tax_of(line) if self.taxed else None}

    def _amounts(self, read: AmountReader, line: Fields) -> Amounts:
        amount, tax = read(line, self.amount), read(line, "tax")
        if not self.taxed:
            return None, None, amount
        return amount, tax, None if amount is None else total((amount, tax))


def tax_of(line: Record) -> str | None:
    """Return a line's VAT, from whichever of three places states it."""
    if stated := text(line, "amountTax"):
        return stated
    for name, member in (("vat", "amount"), ("invoiceLineItemInfo", "vatAmount")):
        try:
            holder = _object.decode(line.get(name, NULL))
        except msgspec.ValidationError:
            continue
        if holder and (stated := text(holder, member)):
            return stated
    return None


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
        amount_fields: fields with subtotal, VAT and total.
        lines: what is compared of lines; None without lines.
    """

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
    amount_fields: tuple[str | None, str | None, str | None] = (None, None, None)
    lines: LineSpec | None = None
    lines_field: str = field(default="lineItems", init=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that are read, without the lines."""
        named = (*self.key, self.label, self.instant, self.currency, self.date, *self.amount_fields)
        return tuple(dict.fromkeys(name for name in named if name))

    @property
    def compared(self) -> dict[str, Compared]:
        """What `summarize` compares of fields, but for the date: a time has more to it."""
        what: dict[str, Compared] = {name: amount for name in self.amount_fields if name}
        return what | ({self.currency: _code} if self.currency else {})

    def key_of(self, fields: Fields) -> str:
        """Return what tells a record apart."""
        return " ".join(fields.get(name) or "-" for name in self.key)

    def summarize(self, company: str, fields: Fields, lines: LinesSummary | None) -> DocumentSummary:
        """Return what is compared of a record."""
        read = AmountReader()
        subtotal, vat, whole = (read(fields, name) for name in self.amount_fields)
        at = fields.get(self.instant) if self.instant else None
        version = self.clock.milliseconds(at) if at and self.clock.knows(at) else None
        date, currency = _day(fields.get(self.date)), _code(fields.get(self.currency))
        label = fields.get(self.label) or ""
        return DocumentSummary(
            label, version, company, date, currency, (subtotal, vat, whole), lines, tuple(read.unreadable)
        )

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
    return StreamSpec("invoices", lists, currency="currency", date="issueDate", amount_fields=amounts, lines=LineSpec())


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
        amount_fields=(None, None, "amount"),
    )
    for stream in ("payments", "credits")
)
"""They are members of their batches, which date them."""
