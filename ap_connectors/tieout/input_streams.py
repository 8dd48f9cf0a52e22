"""Singer input as it was given to target-vicai, and reject files: how records are found at Vic.ai, what is compared."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from ap_connectors.core import messages
from ap_connectors.core.companies import Identity
from ap_connectors.core.errors import Stop
from ap_connectors.core.raw_json import Record, text
from ap_connectors.singer import sheet_lists
from ap_connectors.singer.sink import ListColumns
from ap_connectors.tieout.document_vendors import identity_of
from ap_connectors.tieout.input_fields import GivenRecords, KnownFields, StatedFields
from ap_connectors.tieout.result import InputFile, Rejected
from ap_connectors.tieout.snapshot import Amounts, DocumentSummary, LinesSummary, Snapshot
from ap_connectors.tieout.vic_streams import (
    MASTER_DATA,
    PURCHASE_ORDERS,
    TRAINING_INVOICES,
    LineSpec,
    PartsOfBatches,
    StreamSpec,
    fields_of,
    invoices,
)
from ap_connectors.tieout.warehouse import spelling

NOT_BOOKED = ("ivesk_moved_to", "ivesk_left_out_as")
"""What the mapper says of a document that is not booked: it is another company's, a sale, or of a kind left out."""


@dataclass
class StreamInput:
    """The records of one stream in an input.

    Attributes:
        spec: how its records are found and compared.
        snapshot: what is compared, by natural key; the last record of a key counts.
        records: as they were given, by natural key.
        names: what each is found by.
        deleted: keys of what is to be gone: why.
        keyless: lines (as messages name them) that have no natural key.
        too_deep: lines by natural key whose record is nested too deeply to be read whole.
        marks: who the vendors are of records that name them as a document does (`documentVendor`), by natural key.
        unknown: fields that Vic.ai does not have, in their order.
        is_list: whether records of it came in a sheet.
    """

    spec: InputSpec
    snapshot: Snapshot = field(default_factory=Snapshot)
    records: GivenRecords = field(default_factory=GivenRecords)
    names: dict[str, Names] = field(default_factory=dict)
    deleted: dict[str, str] = field(default_factory=dict)
    keyless: list[str] = field(default_factory=list)
    too_deep: dict[str, str] = field(default_factory=dict)
    marks: dict[str, Identity] = field(default_factory=dict)
    unknown: dict[str, None] = field(default_factory=dict)
    is_list: bool = False

    def __post_init__(self) -> None:
        self._known = KnownFields(self.spec.component)

    def put(self, key: str, record: Mapping[str, Any], file: int = 0) -> None:
        """Take a record, of a file by its number; it replaces an earlier one of its key."""
        self.unknown.update(dict.fromkeys(self._known.unknown(record)))
        given = by_spelling(record)
        self.names[key] = self.spec.found_by(given)
        self.snapshot.put(key, self.spec.summarize(given))
        self.records.put(key, record, file)
        self.too_deep.pop(key, None)

    def drop(self, key: str) -> None:
        """Leave a record out of the comparison."""
        self.names.pop(key, None)
        self.snapshot.drop(key)


@dataclass
class Input:
    """An input by stream; `others` are streams that cannot be compared, and their counts."""

    files: list[InputFile] = field(default_factory=list)
    streams: dict[str, StreamInput] = field(default_factory=dict)
    others: dict[str, int] = field(default_factory=dict)
    reasons: dict[tuple[str, str], Rejected] = field(default_factory=dict)
    """Why records were rejected, by stream and natural key."""


def read(files: Iterable[str], *, deletes: bool = False) -> Input:
    """Read files of Singer messages, and sheets.

    Args:
        files: paths, of sheets too; "-" is standard input.
        deletes: whether what is marked as deleted is to be gone at Vic.ai.

    Raises:
        Stop: a file cannot be read, or holds something else.
    """
    inputs = Input()
    found: list[tuple[str, str, int]] = []
    for number, file in enumerate(files):
        is_sheet, digest = sheet_lists.is_sheet(file), hashlib.sha256()
        name = "standard input" if file == "-" else file
        with ExitStack() as opened:
            try:
                whole: IO[bytes] = sys.stdin.buffer if file == "-" else opened.enter_context(Path(file).open("rb"))
                lines = _digested(whole, digest)
                if is_sheet:
                    deque(lines, maxlen=0)
                    lines = sheet_lists.messages(Path(file), _list_columns)
                count = _take(inputs, name, lines, number, deletes=deletes, is_list=is_sheet)
            except OSError as error:
                raise Stop(f"{file}: {error.strerror or 'cannot be read'}.") from None
        found.append((name, digest.hexdigest(), count))
    counts = Counter(stream.records.file_of(key) for stream in inputs.streams.values() for key in stream.snapshot)
    inputs.files += [InputFile(*one, counts[number]) for number, one in enumerate(found)]
    return inputs


def _digested(lines: Iterable[bytes], digest: hashlib._Hash) -> Iterator[bytes]:
    for line in lines:
        digest.update(line)
        yield line


def _take(inputs: Input, file: str, lines: Iterable[bytes], number: int, *, deletes: bool, is_list: bool) -> int:
    """Take the records of a file; return how many there are."""
    count = 0
    for line in messages.read(lines, file):
        message = line.message
        if message.record is None or message.stream is None:
            continue
        count += 1
        name = message.stream
        spec = INPUT_SPECS.get(spelling(name))
        if spec is None:
            inputs.others[name] = inputs.others.get(name, 0) + 1
            continue
        if spec.stream not in inputs.streams:
            inputs.streams[spec.stream] = StreamInput(spec)
        stream = inputs.streams[spec.stream]
        stream.is_list |= is_list
        given = by_spelling(message.record)
        key = spec.key(given)
        if key is None:
            stream.keyless.append(f"line {line.number} of {file}")
            continue
        if message.rejected:
            inputs.reasons[spec.stream, key] = _reason(message.rejected)
        is_deleted = given.get(spelling("_sdc_deleted_at")) is not None
        if is_deleted and not deletes:
            continue
        if is_deleted or any(given.get(spelling(name)) for name in NOT_BOOKED):
            stream.names[key] = spec.found_by(given)
            stream.deleted[key] = "it is deleted" if is_deleted else "it is not to be booked here"
            stream.snapshot.drop(key)
            continue
        stream.deleted.pop(key, None)
        stream.put(key, message.record, number)
        if line.too_deep:
            stream.too_deep[key] = f"line {line.number} of {file}"
        stream.marks.pop(key, None)
        if (identity := identity_of(given)) is not None:
            stream.marks[key] = identity
    return count


def _reason(mark: Mapping[str, Any]) -> Rejected:
    code, params = mark.get("code"), mark.get("params")
    known = (code, params) if isinstance(code, str) and isinstance(params, dict) else ("", {})
    return Rejected(str(mark.get("reason") or "no reason given"), *known)


def _list_columns(stream: str) -> ListColumns:
    """Return what the key's column of a list may be called."""
    spec = INPUT_SPECS.get(spelling(stream))
    keys = [fields[0] for fields in spec.names if len(fields) == 1] if spec else []
    return ListColumns(keys, keys)


Given = Mapping[str, Any]
"""A record of the input, its fields by `spelling`."""

Names = dict[str, str]
"""What a record is found by, the surest first: the value by the field, or fields, that hold it."""


def by_spelling(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record's fields by their spelling."""
    return {spelling(name): value for name, value in record.items()}


def text_of(given: Given, name: str | None) -> str | None:
    """Return a field as text; None for null, empty or absent."""
    value = given.get(spelling(name)) if name else None
    if isinstance(value, str):
        # JSON may hold half a surrogate pair, which UTF-8 cannot.
        return value.encode(errors="replace").decode() or None
    return str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else None


@dataclass(frozen=True)
class InputSpec:
    """A stream that target-vicai takes.

    Args:
        spec: what Vic.ai shows of it.
        component: the contract's name of that.
        names: fields that a record is found by, the surest first; a tuple of fields counts as one name.
        one_by_one: operation that finds a record by the ERP's id, with its query; None if lists show the id.
        grouped: whether Vic.ai shows the lines put together, so that their number says nothing.
        hidden: whether Vic.ai does not show the header's amounts.
    """

    spec: StreamSpec
    component: str
    names: tuple[tuple[str, ...], ...] = (("externalId",),)
    one_by_one: tuple[str, Mapping[str, str]] | None = None
    grouped: bool = False
    hidden: bool = False

    @property
    def stream(self) -> str:
        """The stream's name."""
        return self.spec.stream

    def stated_fields(self) -> StatedFields:
        """Return what compares the fields that `summarize` and the key do not."""
        spec = self.spec
        # What is asked for by its id may have another vendor and another number than those it could be found by.
        names = self.names[:1] if self.one_by_one else self.names
        named = (*(name for fields in names for name in fields), spec.currency, spec.date, *spec.amount_fields)
        place = spec.lines.place if spec.lines and spec.lines.place else ""
        return StatedFields(self.component, tuple(name for name in named if name), place)

    def key(self, given: Given) -> str | None:
        """Return what people call a record of the input: its natural key."""
        return next(iter(self.found_by(given).values()), None)

    def found_by(self, given: Given) -> Names:
        """Return what a record of the input may be found by."""
        return self._names(lambda name: text_of(given, name))

    def known_by(self, record: Record) -> Names:
        """Return what a record of Vic.ai's may be found by."""
        return self._names(lambda name: text(record, name) or None)

    def _names(self, get: Callable[[str], str | None]) -> Names:
        found = {}
        for fields in self.names:
            values = [get(name) for name in fields]
            if None not in values:
                found["+".join(fields)] = " ".join(str(value) for value in values)
        return found

    def summarize(self, given: Given) -> DocumentSummary:
        """Return what is compared of a record of the input."""
        spec = self.spec
        fields = {name: text_of(given, name) for name in spec.names} | {spec.label: self.key(given)}
        held = given.get(spelling(spec.lines_field))
        lines = _lines(spec.lines, held) if spec.lines and isinstance(held, list) else None
        document = spec.summarize("", fields, lines)
        document.at = None
        return document

    def summarize_vic(self, company: str, record: Record) -> DocumentSummary:
        """Return what is compared of a record of Vic.ai's."""
        spec = self.spec
        lines = spec.lines.summarize_json(record.get(spec.lines_field)) if spec.lines else None
        document = spec.summarize(company, fields_of(record, spec.names), lines)
        document.at = None
        return document

    def comparable(self, mine: DocumentSummary, other: DocumentSummary) -> None:
        """Drop from both sides of a record what the input does not state, and what Vic.ai does not show."""
        mine.company = other.company
        other.date = other.date if mine.date else ""
        other.currency = other.currency if mine.currency else ""
        if self.hidden:
            mine.header = _where(other.header, mine.header)
        other.header = _where(mine.header, other.header)
        if mine.lines is None:
            other.lines = None
        elif other.lines is not None:
            self._same_form(mine.lines, other.lines)

    def _same_form(self, mine: LinesSummary, other: LinesSummary) -> None:
        # Vic.ai renumbers lines, and writes quantities in its own way.
        mine.trace = other.trace = ""
        if self.grouped:
            mine.count = other.count
        if self.spec.lines and self.spec.lines.taxed and mine.sums[1] is None:
            mine.sums = (mine.sums[0], None, None)
        other.sums = _where(mine.sums, other.sums)


def _where(stated: Amounts, amounts: Amounts) -> Amounts:
    """Return those amounts that are stated elsewhere, too."""
    subtotal, vat, whole = (None if a is None else b for a, b in zip(stated, amounts, strict=True))
    return subtotal, vat, whole


def _lines(spec: LineSpec, held: list[Any]) -> LinesSummary:
    lines = [by_spelling(line) for line in held if isinstance(line, dict)]
    return spec.summarize({**{name: text_of(line, name) for name in spec.names}, "tax": _tax(line)} for line in lines)


def _tax(line: Given) -> str | None:
    if (stated := text_of(line, "amountTax")) is not None:
        return stated
    for name, member in (("vat", "amount"), ("invoiceLineItemInfo", "vatAmount")):
        holder = line.get(spelling(name))
        if isinstance(holder, dict) and (stated := text_of(by_spelling(holder), member)) is not None:
            return stated
    return None


_COMPONENTS = {
    **{"accounts": "Account", "dimensions": "Dimension", "vendors": "Vendor", "vat_codes": "VatCode"},
    **{"vendor_groups": "VendorGroup", "tags": "Tag", "payment_terms": "PaymentTerm", "tax_codes": "TaxCode"},
}
"""What target-vicai loads of `MASTER_DATA`, and the contract's name of it; of the rest records are counted only."""
_MASTER_DATA = tuple(
    InputSpec(spec, _COMPONENTS[spec.stream], (("externalId",),) if spec.instant else ((spec.label,), ("id",)))
    for spec in MASTER_DATA
    if spec.stream in _COMPONENTS
)
_REPORTED = tuple(
    InputSpec(
        PartsOfBatches(f"{part}_{said}", (), key=("id",), label="id", instant=None, part=f"{part}s"),
        part.capitalize(),
        (("id",),),
    )
    for part in ("payment", "credit")
    for said in ("confirmations", "failures")
)
# What is owed hangs on the status that Vic.ai gives an invoice: an input states none.
_INVOICES = replace(invoices(["ALL"]), owed=None)
_PAID_BY_ERP = replace(
    _INVOICES,
    stream="invoice_payments",
    currency="",
    date="",
    amount_fields=(None, None, None),
    lines=None,
)

INPUT_SPECS: Mapping[str, InputSpec] = {
    spelling(spec.stream): spec
    for spec in (
        *_MASTER_DATA,
        *_REPORTED,
        InputSpec(_PAID_BY_ERP, "Invoice", (("internalId",), ("externalId",))),
        InputSpec(PURCHASE_ORDERS, "PurchaseOrder", (("externalId",), ("poNumber",))),
        InputSpec(
            TRAINING_INVOICES,
            "TrainingInvoice",
            (("externalId",), ("vendorExternalId", "refNumber")),
            one_by_one=("getTrainingInvoice", {}),
            hidden=True,
        ),
        InputSpec(_INVOICES, "Invoice", one_by_one=("getInvoice", {"useSystem": "EXTERNAL"}), grouped=True),
    )
}
"""The streams that can be compared, by the spelling of their names."""
