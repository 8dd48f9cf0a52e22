"""A purchase as Vic takes it: for training, as the accountant has coded it, or as an invoice to process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ap_connectors.core import instants
from ap_connectors.core.errors import Reject
from ap_connectors.singer.coercion import quoted
from mapper_ivesk_vicai import tables, vendors
from mapper_ivesk_vicai.amounts import Amounts, agreed
from mapper_ivesk_vicai.fields import EXACT, Fields, amount, code, needed, plain, shown, text
from mapper_ivesk_vicai.tables import ACCOUNTS, OBJECTS, VAT_CLASSES, Table, Unmapped

_LONGEST_NAME = 255


@dataclass(frozen=True)
class Ways:
    """How documents are mapped.

    Args:
        tables: by setting.
        unmapped: what becomes of a document with a code that no table has.
        header_as_line: whether a document without lines becomes one line.
        negative_credits: whether a credit note's amounts stay negative at Vic.
    """

    tables: Mapping[str, Table]
    unmapped: Unmapped
    header_as_line: bool
    negative_credits: bool


@dataclass(frozen=True)
class Purchase:
    """A purchase that has been looked at: its amounts agree, and all of its codes are mapped or dealt with.

    Args:
        document: as ivesk has it.
        total: with VAT, with ivesk's sign.
        is_credit: whether it is a credit note.
        turned: whether Vic gets its amounts with the opposite sign.
        lines: each with its amounts and what its codes become.
    """

    document: Fields
    total: Decimal
    is_credit: bool
    turned: bool
    lines: list[Line]

    def signed(self, number: Decimal) -> Decimal:
        """Return a number with the sign that Vic gets it with."""
        return EXACT.minus(number) if self.turned else number


@dataclass(frozen=True)
class Line:
    """A line of a purchase; account, VAT code and dimension as Vic knows them."""

    fields: Fields
    amounts: Amounts
    account: str | None
    vat_code: str | None
    dimension: str | None
    dimension_type: str | None


def read(document: Fields, ways: Ways) -> Purchase:
    """Look at a purchase.

    Raises:
        Reject: its amounts do not agree, or it cannot be mapped; the message says all of it.
    """
    reasons: list[str] = []
    needed(document, "id")
    # What stands in the way of the amounts does not hide what the tables lack, or the other way round.
    amounts = _tried(lambda: _amounts(document, ways), reasons)
    codes = _tried(lambda: _codes(document, ways), reasons)
    if amounts is None or codes is None:
        raise Reject(" ".join(reasons))
    total, lines = amounts
    is_credit = _is_credit(document, total)
    return Purchase(
        document,
        total,
        is_credit,
        is_credit and not ways.negative_credits,
        [Line(fields, found, *become) for (fields, found), become in zip(lines, codes, strict=True)],
    )


def _tried(work: Callable[[], Any], reasons: list[str]) -> Any:
    try:
        return work()
    except Reject as reason:
        if str(reason) not in reasons:
            reasons.append(str(reason))
        return None


def _amounts(document: Fields, ways: Ways) -> tuple[Decimal, list[tuple[Fields, Amounts]]]:
    currency = needed(document, "currency")
    total = Amounts.of(document).total
    if total is None:
        raise Reject("total is missing.")
    lines = _lines(document, ways)
    return total, list(zip(lines, agreed(document, lines, currency), strict=True))


def _codes(document: Fields, ways: Ways) -> list[tuple[str | None, ...]]:
    lacking: dict[tuple[str, str], Table] = {}
    found = [_code(line, ways, lacking) for line in _lines(document, ways)]
    tables.check(lacking, shown(document), ways.unmapped)
    return found


def _code(line: Fields, ways: Ways, lacking: dict[tuple[str, str], Table]) -> tuple[str | None, ...]:
    def become(kind: tables.Kind, field: str) -> tables.Row:
        return ways.tables[kind.setting].find(code(line, field), lacking)

    return (*become(ACCOUNTS, "code"), *become(VAT_CLASSES, "vatclass"), *become(OBJECTS, "object"))


def _lines(document: Fields, ways: Ways) -> list[Fields]:
    lines = document.get("lines")
    if lines is None or lines == []:
        if not ways.header_as_line:
            raise Reject("It has no lines (without_lines: header makes one of the header).")
        return [{part: document.get(part) for part in ("subtotal", "vat", "total")}]
    if not isinstance(lines, list):
        raise Reject(f"lines are no list: {quoted(lines)}.")
    for number, line in enumerate(lines, 1):
        if not isinstance(line, dict):
            raise Reject(f"Line {number} is {quoted(line)}.")
    return lines


def _is_credit(document: Fields, total: Decimal) -> bool:
    doctype = code(document, "doctype") or ""
    called_so = "credit" in doctype.lower()
    if called_so and total > 0:
        raise Reject(f"It is a {doctype}, but its total is {plain(total)}: a credit note's amounts are negative.")
    return total < 0 or (called_so and not total)


# What Vic gets


def when(document: Fields) -> str:
    """Return when ivesk last changed the document: UTC, and without a zone, as Vic wants an ERP's own time.

    Raises:
        Reject: the document does not say.
    """
    said = code(document, "exportedat") or code(document, "digitizedat")
    if said is None:
        raise Reject("exportedat is missing (and digitizedat).")
    try:
        moment = instants.milliseconds(said)
    except ValueError:
        raise Reject(f"exportedat is no time such as 2026-01-31T10:11:12.000Z: {quoted(said)}.") from None
    return said[:-1] if said.endswith("Z") else instants.LOCAL.text(moment)


def training_invoice(purchase: Purchase, vendor: str) -> dict[str, Any]:
    """Return a purchase as Vic takes it for training.

    What the document leaves open is null where Vic knows null, so that it is cleared when the document comes again.
    """
    document = purchase.document
    payment: dict[str, Any] = vendors.account(document)
    if term := _term(document, least=1):
        payment = {**payment, "paymentTerm": term}
    record = _header(purchase) | {"externalUpdatedAt": when(document), "vendorExternalId": vendor}
    record |= {"paymentInfo": payment} if payment else {}
    return record | {"lineItems": [_training_line(purchase, *each) for each in enumerate(purchase.lines)]}


def invoice(purchase: Purchase, vendor: str) -> dict[str, Any]:
    """Return a purchase as an invoice for Vic to process."""
    document = purchase.document
    # Unlike a training invoice it cannot be changed later, and knows fewer nulls.
    record = {name: value for name, value in _header(purchase).items() if value is not None}
    record |= {"source": "ivesk", "vendorExternalId": vendor}
    if iban := code(document, "selleriban"):
        record["paymentInfo"] = {"kind": "IBAN", "accountNumber": iban}
    if term := _term(document, least=0):
        record["paymentTerm"] = term
    return record | {"lineItems": [_invoice_line(purchase, *each) for each in enumerate(purchase.lines)]}


KINDS: Mapping[str, Callable[[Purchase, str], dict[str, Any]]] = {
    "training_invoices": training_invoice,
    "invoices": invoice,
}
"""By stream of Vic's."""


def _header(purchase: Purchase) -> dict[str, Any]:
    document = purchase.document
    issued = code(document, "date")
    return {
        "externalId": needed(document, "id"),
        "transactionType": "CREDITNOTE" if purchase.is_credit else "INVOICE",
        "refNumber": text(document, "docnum"),
        "poNumber": text(document, "ordernum"),
        "currency": needed(document, "currency"),
        "issueDate": issued,
        # ivesk names the day of the transaction only where it is another one.
        "glDate": code(document, "operationdate") or issued,
        "dueDate": code(document, "duedate"),
        "totalAmount": plain(purchase.signed(purchase.total)),
    }


def file(document: Fields, path: str | None) -> dict[str, str]:
    """Return what a record says of the document's file; a name that is longer than Vic takes is left out."""
    if path is None:
        return {}
    name = text(document, "filename")
    return {"document": path} | ({"documentName": name} if name and len(name) <= _LONGEST_NAME else {})


def _term(document: Fields, *, least: int) -> dict[str, Any] | None:
    try:
        days = amount(document, "paymentterm")
    except Reject:
        return None  # words; the due date says it as well
    if days is None or days < least or days != days.to_integral_value():
        return None
    return {"count": int(days), "unit": "DAYS"}


def _line(purchase: Purchase, place: int, line: Line) -> dict[str, Any]:
    quantity = amount(line.fields, "quantity", f"line {place + 1}: ")
    dimension = {"externalId": line.dimension, "typeExternalId": line.dimension_type}
    members = {
        "index": place,
        "description": text(line.fields, "name"),
        "quantityInvoiced": None if quantity is None else plain(purchase.signed(quantity)),
        "costAccountExternalId": line.account,
        "dimensions": [{name: id_ for name, id_ in dimension.items() if id_}] if line.dimension else None,
    }
    return {name: value for name, value in members.items() if value is not None}


def _net_and_vat(purchase: Purchase, line: Line) -> tuple[Decimal, Decimal | None]:
    net, vat = line.amounts.subtotal, line.amounts.vat
    assert net is not None  # noqa: S101 - `agreed` has seen to it
    return purchase.signed(net), None if vat is None else purchase.signed(vat)


def _rate(line: Line, place: int) -> str | None:
    percent = amount(line.fields, "vatpercent", f"line {place + 1}: ")
    return None if percent is None else plain(percent)


def _training_line(purchase: Purchase, place: int, line: Line) -> dict[str, Any]:
    net, vat = _net_and_vat(purchase, line)
    told = {"vatCode": line.vat_code, "vatAmount": vat, "vatRate": _rate(line, place)}
    said = {name: value for name, value in told.items() if value is not None}
    return _line(purchase, place, line) | {"amount": net} | ({"invoiceLineItemInfo": said} if said else {})


def _invoice_line(purchase: Purchase, place: int, line: Line) -> dict[str, Any]:
    net, vat = _net_and_vat(purchase, line)
    told = {"code": line.vat_code, "amount": None if vat is None else plain(vat), "rate": _rate(line, place)}
    said = {name: value for name, value in told.items() if value is not None}
    return _line(purchase, place, line) | {"amount": plain(net)} | ({"vat": said} if said else {})
