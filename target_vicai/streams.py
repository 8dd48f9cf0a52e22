"""The streams that can be loaded; what a full load of each deletes, and blank lists for people to fill in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ap_connectors.core import sheets
from ap_connectors.core.errors import Stop
from ap_connectors.singer.schema import Declared, canonical
from ap_connectors.singer.sink import ListColumns
from ap_connectors.vicai import contract
from target_vicai.attachments import Attachments
from target_vicai.context import LoadContext
from target_vicai.dependencies import DimensionDependencies
from target_vicai.document_vendors import MARK
from target_vicai.invoice_details import InvoicePayments, SupportingAttachments
from target_vicai.invoices import Invoices
from target_vicai.master_data import Accounts, Dimensions, PaymentTerms, Tags, TaxCodes, VatCodes, VendorGroups
from target_vicai.payments import CreditConfirmations, CreditFailures, PaymentConfirmations, PaymentFailures
from target_vicai.postings import InvoiceConfirmations, InvoiceRejections
from target_vicai.purchase_orders import PurchaseOrders
from target_vicai.sink import VicSink
from target_vicai.training_invoices import TrainingInvoices
from target_vicai.vendor_details import VendorErrors, VendorTags
from target_vicai.vendors import Vendors

ALL: tuple[type[VicSink], ...] = (
    Accounts,
    Dimensions,
    DimensionDependencies,
    VatCodes,
    VendorGroups,
    Tags,
    PaymentTerms,
    TaxCodes,
    Vendors,
    VendorTags,
    PurchaseOrders,
    TrainingInvoices,
    Invoices,
    InvoiceConfirmations,
    InvoiceRejections,
    PaymentConfirmations,
    PaymentFailures,
    CreditConfirmations,
    CreditFailures,
    InvoicePayments,
    SupportingAttachments,
    VendorErrors,
    Attachments,
)
"""The sinks, parents before children: full loads delete in the opposite order."""
_KINDS = {
    "string": ("text", "@"),
    "decimal": ("a number", ""),
    "number": ("a number", ""),
    "integer": ("a whole number", ""),
    "boolean": ("true or false", ""),
    "date": ("a date", "yyyy-mm-dd"),
    "date-time": ("a date, with a time of day or without", "yyyy-mm-dd hh:mm:ss"),
    "uuid": ("an id of Vic.ai's own", "@"),
}
"""By kind: the words for it, and the format of its cells. What is typed as text keeps its zeros."""
Field = tuple[str, Declared]
"""What a field is, in words, and its schema."""


@dataclass(frozen=True)
class FullLoad:
    """A complete full load of a stream: its version, the input's name of the stream, and what holds back its STATE."""

    version: int
    stream: str
    number: int


@dataclass(frozen=True)
class Deletes:
    """What a full load no longer has: the stream, the natural keys, and how many records Vic has with such a key."""

    stream: str
    keys: tuple[str, ...]
    total: int

    @property
    def fraction(self) -> float:
        """The part of the records that would be deleted."""
        return len(self.keys) / self.total if self.total else 0.0


def deletes_of(loads: Mapping[str, FullLoad], sinks: Mapping[str, VicSink], context: LoadContext) -> Iterator[Deletes]:
    """Yield what is to be deleted, children before parents. Records without an id of the ERP's do not count."""
    for sink in reversed(ALL):
        if load := loads.get(sink.name):
            cache, owns = context.cache(sink.name), sinks[canonical(sink.name)].owns
            unseen = cache.unseen_keys(load.version)
            keys = tuple(key for key in unseen if all(owns(each.record) for each in cache.by_key(key)))
            yield Deletes(sink.name, keys, cache.count_keyed())


def refusals_of(deletes: Iterable[Deletes], unread: Mapping[str, int], *, most: float) -> Iterator[str]:
    """Yield the reasons why nothing may be deleted; `most` is the fraction of a stream's records that may be."""
    for one in deletes:
        if one.keys and (count := unread.get(one.stream)):
            yield f"{count} records of {one.stream} could not be read, so it is not known what is gone"
        elif one.fraction > most:
            told = f"{len(one.keys)} of {one.total} {one.stream} would be deleted"
            yield f"{told}, more than max_delete_fraction ({most:g})"


def template(stream: str) -> sheets.Sheet:
    """Return the blank list of a stream: first the key, then what is needed, then the rest.

    Raises:
        Stop: the stream is unknown, or its records have parts of their own.
    """
    sinks = {canonical(kind.name): kind(None) for kind in ALL}  # type: ignore[arg-type]
    sink = sinks.get(canonical(stream))
    fields = _fields(sink) if sink else None
    if sink is None or fields is None:
        wrong = "is not a stream of target-vicai" if sink is None else "have parts, which no row can hold"
        raise Stop(
            f"--template: the name of the file begins with the stream, and {stream} {wrong}. Lists can be made of "
            f"{', '.join(one.name for one in sinks.values() if _fields(one))}."
        )
    columns = sink.list_columns
    first = [
        *(columns.keys or [name for name in sink.extras if name in fields]),
        *(name for name in fields if name in columns.needed),
    ]
    heads = [*dict.fromkeys([*first, *fields])]
    return sheets.Sheet(
        sink.name,
        heads,
        [],
        notes={head: _note(head, fields[head], columns) for head in heads},
        formats={head: _KINDS[fields[head][1].kind][1] for head in heads},
    )


def _fields(sink: VicSink) -> dict[str, Field] | None:
    """Return the fields of a record that fit into a row; None if it has parts that do not."""
    schema = contract.inlined(sink.contract_schema())
    extras = {name: member for name, member in sink.extras.items() if name != MARK}
    fields = dict(_flat({**schema["properties"], **extras}))
    return None if "lineItems" in schema["properties"] or not fields.keys() >= {*sink.list_columns.needed} else fields


def _flat(members: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Field]]:
    """Yield the fields that fit into a cell: members of objects as "taxInfo.orgNumber"."""
    for name, member in members.items():
        words, declared = str(member.get("description") or ""), Declared.of(member)
        while len(declared.choices) == 1:
            declared = Declared.of(declared.choices[0])
        if declared.kind == "object" and not declared.choices:
            yield from _flat(declared.schema.get("properties", {}), f"{within}{name}.")
        elif declared.kind in _KINDS and not declared.choices:
            yield f"{within}{name}", (words, declared)


def _note(head: str, field: Field, columns: ListColumns) -> str:
    words, declared = field
    kind = _KINDS[declared.kind][0]
    if choices := declared.schema.get("enum"):
        kind = f"one of {', '.join(map(str, choices))}"
    elif most := declared.schema.get("maxLength"):
        kind += f", up to {most} characters"
    said = [words, f"{kind[0].upper()}{kind[1:]}."]
    if head in columns.keys:
        others = [key for key in columns.keys if key != head]
        said.append(f"The key, or {' or '.join(others)}." if others else "The key: needed.")
    elif head in columns.needed:
        said.append("Needed.")
    return " ".join(filter(None, said))
