"""What is compared of Vic.ai's records, kind by kind: a few attributes each."""

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
from ap_connectors.tieout.facts import Amounts, Fact, Fields, Lines, Reading, lines_of, moment
from ap_connectors.vicai.client import VicaiClient

_held = msgspec.json.Decoder(list[Record | None] | None)
_object = msgspec.json.Decoder(Record | None)

INTERNAL = {"useSystem": "INTERNAL"}


def fields_of(record: Record, names: Iterable[str]) -> dict[str, str | None]:
    """Return fields as text; None for null, empty or absent."""
    return {name: text(record, name) or None for name in names}


def parts_of(record: Record, held_in: str, own: Mapping[str, str]) -> list[Record]:
    """Return the parts that a record holds, each with fields of the record's (by the names they have in the part)."""
    parents = {ours: record.get(theirs, NULL) for ours, theirs in own.items()}
    return [part | parents for part in _held.decode(record.get(held_in, NULL)) or () if part is not None]


@dataclass(frozen=True)
class LineKind:
    """What is compared of a line.

    Args:
        amount: field with the amount; without VAT where there is a VAT.
        taxed: whether lines bear a VAT.
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

    def held(self, lines: bytes | None) -> Lines | None:
        """Add up the lines in a record's JSON; None where it holds no list of lines."""
        try:
            found = _held.decode(lines or b"null")
        except (msgspec.DecodeError, msgspec.ValidationError):
            return None
        return self.added_up(self.fields(line) for line in found or () if line is not None)

    def added_up(self, lines: Iterable[Fields]) -> Lines:
        """Add up lines."""
        return lines_of(lines, self._amounts, self.more, self.place)

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that are read."""
        return (self.amount, *self.more, *((self.place,) if self.place else ()))

    def fields(self, line: Record) -> dict[str, str | None]:
        """Return what is compared of a line."""
        return {**fields_of(line, self.names), "tax": tax_of(line) if self.taxed else None}

    def _amounts(self, reading: Reading, line: Fields) -> Amounts:
        amount, tax = reading(line, self.amount), reading(line, "tax")
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
class Kind:
    """A kind of records.

    Args:
        stream: the tap's name for it, and the table's.
        lists: operations that list them, with what they are asked.
        key: fields that tell them apart.
        label: field that people know them by.
        instant: field with their version; None if they have none.
        clock: whose time that is.
        way: how the operation lists: what `changed`, by `pages`, or as a `plain` list.
        keyed: whether the table has a key; without one the loader appends.
        currency, date: fields; "" if it has none.
        stated: fields with subtotal, VAT and total.
        lines: what is compared of lines; None if it has none.
    """

    stream: str
    lists: tuple[tuple[str, Mapping[str, str]], ...]
    key: tuple[str, ...] = ("internalId",)
    label: str = "externalId"
    instant: str | None = "internalUpdatedAt"
    clock: Clock = UTC
    way: str = "changed"
    keyed: bool = True
    currency: str = ""
    date: str = ""
    stated: tuple[str | None, str | None, str | None] = (None, None, None)
    lines: LineKind | None = None
    held_in: str = field(default="lineItems", init=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that are read, without the lines."""
        named = (*self.key, self.label, self.instant, self.currency, self.date, *self.stated)
        return tuple(dict.fromkeys(name for name in named if name))

    def key_of(self, fields: Fields) -> str:
        """Return what tells a record apart."""
        return " ".join(fields.get(name) or "-" for name in self.key)

    def fact(self, company: str, fields: Fields, lines: Lines | None) -> Fact:
        """Return what is compared of a record."""
        reading = Reading()
        subtotal, vat, whole = (reading(fields, name) for name in self.stated)
        at = fields.get(self.instant) if self.instant else None
        version = self.clock.milliseconds(at) if at and self.clock.knows(at) else None
        date, currency = _day(fields.get(self.date)), (fields.get(self.currency) or "").upper()
        label = fields.get(self.label) or ""
        return Fact(label, version, company, date, currency, (subtotal, vat, whole), lines, tuple(reading.unreadable))

    def read(self, client: VicaiClient, since: int | None) -> Iterator[Record]:
        """Yield Vic's records; the same one again if it changes while they are read."""
        for operation, query in self.lists:
            if self.way == "plain":
                yield from client.whole_list(operation, **query)
            elif self.way == "pages" or self.instant is None:
                for page in client.pages(operation, **query):
                    yield from page
            else:
                position = Bookmark(not_before=since or 0)
                for changes in client.changes(
                    operation, position, key=self._mark, instant_field=self.instant, clock=self.clock, **query
                ):
                    yield from changes.records

    def _mark(self, record: Record) -> str:
        if self.keyed:
            return self.key_of(fields_of(record, self.key))
        return blake2b(msgspec.json.encode(record), digest_size=16).hexdigest()


def _day(value: str | None) -> str:
    """Return a date; of an instant, the day in UTC."""
    if value is None or len(value) <= len("2026-01-31"):
        return value or ""
    at = moment(value)
    return value if at is None else instants.text(at)[:10]


def invoices(states: Iterable[str]) -> Kind:
    """Return invoices of some states, as the tap reads them."""
    chosen = list(dict.fromkeys(states)) or ["POSTED"]
    lists = tuple(("listInvoices", {**INTERNAL, "state": state}) for state in (["ALL"] if "ALL" in chosen else chosen))
    amounts = ("amountWithoutTax", "amountTax", "totalAmount")
    return Kind("invoices", lists, currency="currency", date="issueDate", stated=amounts, lines=LineKind())


TRAINING_INVOICES = Kind(
    "training_invoices",
    (("listTrainingInvoices", {}),),
    key=("vendorExternalId", "refNumber"),
    label="refNumber",
    instant="externalUpdatedAt",
    clock=LOCAL,
    keyed=False,
    currency="currency",
    date="issueDate",
    stated=(None, None, "totalAmount"),
    lines=LineKind(),
)
PURCHASE_ORDERS = Kind(
    "purchase_orders",
    (("listPurchaseOrders", {"status": "open"}), ("listPurchaseOrders", {"status": "closed"})),
    label="poNumber",
    currency="currencyId",
    date="issuedOn",
    stated=(None, None, "amount"),
    lines=LineKind(
        "lineItemTotal",
        taxed=False,
        place="lineNumber",
        more=("quantityRequested", "unitAmount"),
        table=("purchase_order_line_items", "purchase_order_id", "purchase_order_updated_at"),
    ),
)


def _named(stream: str, operation: str, label: str, way: str = "plain") -> Kind:
    return Kind(stream, ((operation, {}),), key=("id",), label=label, instant=None, way=way)


MASTER_DATA = (
    Kind("accounts", (("listAccounts", INTERNAL),)),
    Kind("dimensions", (("listDimensions", INTERNAL),)),
    Kind("vendors", (("listVendors", INTERNAL),)),
    Kind("vat_codes", (("listVatCodes", {}),), way="pages"),
    _named("vendor_groups", "listVendorGroups", "name", way="pages"),
    _named("tags", "listTags", "value"),
    _named("vendor_tags", "listVendorTags", "vendorId"),
    _named("payment_terms", "listPaymentTerms", "name"),
    _named("tax_codes", "getTaxCodes", "code"),
)
