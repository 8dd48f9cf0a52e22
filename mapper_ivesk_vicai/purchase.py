"""A document, read once: a purchase with its parties, amounts and lines, or why it is not one that can be mapped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from typing import Literal, NamedTuple

from ap_connectors.core import instants
from ap_connectors.core.companies import same_company
from ap_connectors.core.errors import Reject
from ap_connectors.core.exact import EXACT
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.singer.coercion import quoted
from mapper_ivesk_vicai.amounts import PARTS, Amounts, Header, read_header, read_lines
from mapper_ivesk_vicai.fields import amount, code, given, missing, plain, shown, shown_value, text
from mapper_ivesk_vicai.files import Files
from mapper_ivesk_vicai.tables import CodeTable, Row, Rows

InvoicesAs = Literal["training_invoices", "invoices"]
Unmapped = Literal["reject", "pass", "leave_out"]


@dataclass(frozen=True)
class MappingOptions:
    """How documents are mapped: the settings.

    Args:
        company: registration code of the company whose purchases are mapped.
        invoices_as: stream that they become.
        tables: each table of codes with its rows, in the order of what `Line` takes of them.
        unmapped: what to do with a document that has a code without a row.
        header_as_line: make one line of the header where a document has no lines.
        negative_credits: keep the amounts of credit notes negative.
    """

    company: str
    invoices_as: InvoicesAs
    tables: Sequence[tuple[CodeTable, Rows]]
    unmapped: Unmapped
    header_as_line: bool
    negative_credits: bool


class UnmappedCode(NamedTuple):
    """A code without a row in its table, and the document that has it."""

    table: CodeTable
    code: str
    document: str


@dataclass(frozen=True)
class LeftOut:
    """A document that is not a purchase of the company: a sale of its own, or a document of another company."""

    kind: Literal["sale", "other"]
    company: str


@dataclass(frozen=True)
class SetAside:
    """A document that cannot be mapped, and why.

    Args:
        reject: every reason that was found.
        header: of a purchase; None if the document is not known to be one.
        unmapped: its codes without a row.
    """

    reject: Reject
    header: Header | None = None
    unmapped: tuple[UnmappedCode, ...] = ()


@dataclass(frozen=True)
class Seller:
    """The seller; `key` is its id at Vic.ai, `country` as the document spells it."""

    key: str
    name: str | None
    address: str | None
    country: str | None
    code: str | None
    vat: str | None
    iban: str | None


@dataclass(frozen=True)
class Line:
    """A line; account, VAT code and dimension as Vic.ai knows them."""

    net: Decimal
    vat: Decimal | None
    vat_percent: Decimal | None
    quantity: Decimal | None
    description: str | None
    account: str | None
    vat_code: str | None
    dimension: str | None
    dimension_type: str | None


@dataclass(frozen=True)
class Purchase:
    """A purchase: header and lines agree, and every code is mapped or left out on purpose.

    Args:
        buyer: registration code of the company, as ivesk has it.
        total: with VAT, with ivesk's sign.
        turned: Vic.ai gets its amounts with the opposite sign.
        changed_at: when ivesk last changed it, as Vic.ai wants an ERP's own time: UTC, without a zone; a Reject if the
            document does not say. Invoices need it only where their vendor is sent.
        payment_days: None where the term is not a whole number of days.
        file: path or link.
    """

    id: str
    buyer: str
    docnum: str | None
    ordernum: str | None
    issued: str | None
    booked: str | None
    due: str | None
    changed_at: str | Reject
    payment_days: int | None
    seller: Seller
    header: Header
    total: Decimal
    is_credit: bool
    turned: bool
    lines: list[Line]
    file: str | None
    file_name: str | None
    unmapped: tuple[UnmappedCode, ...] = ()

    def signed(self, number: Decimal) -> Decimal:
        """Return a number with the sign that Vic.ai gets it with."""
        return EXACT.minus(number) if self.turned else number


def read(document: JsonObject, options: MappingOptions, files: Files) -> Purchase | LeftOut | SetAside:
    """Read a document."""
    try:
        id_ = text(document, "id")
        # Asked for every document, so that what the tap said of its file does not stay in memory.
        path = files.pop(id_ or "")
        buyer, seller = code(document, "buyercode"), code(document, "sellercode")
        if not same_company(buyer, options.company):
            return _left_out(document, options.company, buyer, seller)
    except Reject as reason:
        return SetAside(reason)
    header, wrong = read_header(document)
    try:
        seller_key = seller or _other_key(document)
        if id_ is None:
            raise missing("id")
        file = files.check(path, text(document, "url"))
    except Reject as reason:
        return SetAside(reason, header)
    lines, no_lines = _lines(document, options)
    if no_lines:
        return SetAside(Reject.several([*wrong, *no_lines]), header)
    amounts, wrong = ([], wrong) if wrong else read_lines(header, lines)
    codes, unmapped, uncoded = _codes(document, lines, options)
    if wrong or uncoded:
        # What is wrong with the amounts does not hide what the tables lack, or the other way round.
        return SetAside(Reject.several([*wrong, *uncoded]), header, unmapped)
    total = header.amounts.total
    assert total is not None  # noqa: S101 - `read_header` has rejected it
    try:
        is_credit = _is_credit(document, total)
        iban = code(document, "selleriban")
        issued = code(document, "date")
        return Purchase(
            header=header,
            total=total,
            is_credit=is_credit,
            turned=is_credit and not options.negative_credits,
            id=id_.strip(),
            buyer=buyer or options.company,
            docnum=text(document, "docnum"),
            ordernum=text(document, "ordernum"),
            issued=issued,
            # ivesk names the day of the transaction only where it is another one.
            booked=code(document, "operationdate") or issued,
            due=code(document, "duedate"),
            payment_days=_payment_days(document),
            changed_at=_changed_at(document, needed=options.invoices_as == "training_invoices"),
            lines=[_line(*each) for each in zip(count(1), lines, amounts, codes)],
            file=file,
            file_name=text(document, "filename") if file else None,
            seller=Seller(
                seller_key,
                name=text(document, "sellername"),
                address=text(document, "selleraddress"),
                country=text(document, "sellercountry"),
                code=seller,
                vat=code(document, "sellervat"),
                iban=iban,
            ),
            unmapped=unmapped,
        )
    except Reject as reason:
        return SetAside(reason, header, unmapped)


# Whose it is


def _left_out(document: JsonObject, company: str, buyer: str | None, seller: str | None) -> LeftOut:
    """Return whose document it is if the buyer is not the company.

    The codes decide. Only where neither is the company's do `buyerisfavorite` and `sellerisfavorite` count: they mark
    the companies that the accountant keeps books for.

    Raises:
        Reject: the document does not tell.
    """
    if same_company(seller, company):
        return LeftOut("sale", company)
    parties = {"buyer": buyer, "seller": seller}
    own = [registered for party, registered in parties.items() if document.get(f"{party}isfavorite") is True]
    known = [registered for registered in own if registered]
    # The one without a code may be the company.
    if known and len(known) == len(own):
        return LeftOut("other", known[0])
    names = {party: text(document, f"{party}name") for party in parties}
    described = " and ".join(
        f"the {party} is {names[party] or 'without a name'} ({registered or 'no registration code'})"
        for party, registered in parties.items()
    )
    why = "one of the accountant's own companies has no registration code" if own else "neither is marked as favorite"
    raise Reject(
        f"It is not clear whose document this is, of company {company} or of another: {described}; {why}.",
        "whose_document",
        company=company,
        **{party: given(name=names[party], code=registered) for party, registered in parties.items()},
    )


def _other_key(document: JsonObject) -> str:
    """Return the id at Vic.ai of a seller without a registration code: its VAT number, else ivesk's own id."""
    found = code(document, "sellervat") or code(document, "sellerid")
    if found is None:
        raise Reject(
            "The seller has neither a registration code nor a VAT number nor an id (sellercode, sellervat).",
            "seller_without_id",
        )
    return found


# Its parts


def _lines(document: JsonObject, options: MappingOptions) -> tuple[list[JsonObject], list[Reject]]:
    """Return the lines as they came, or why there are none."""
    lines = document.get("lines")
    if lines is None or lines == []:
        if options.header_as_line:
            return [{part: document.get(part) for part in PARTS}], []
        return [], [Reject("It has no lines (without_lines: header makes one of the header's amounts).", "no_lines")]
    if not isinstance(lines, list):
        value = shown_value(lines)
        return [], [Reject(f"lines is not a list: {value}.", "not_a_list", field="lines", value=value)]
    for number, line in enumerate(lines, 1):
        if not isinstance(line, dict):
            where, value = f"lines[{number - 1}]", shown_value(line)
            return [], [Reject(f"line {number} is not an object: {value}.", "not_an_object", field=where, value=value)]
    return lines, []


def _is_credit(document: JsonObject, total: Decimal) -> bool:
    doctype = code(document, "doctype") or ""
    called_so = "credit" in doctype.lower()
    if called_so and total > 0:
        raise Reject(
            f"It is a {doctype}, but its total is {plain(total)}: a credit note's amounts are negative.",
            "sign_of_credit_note",
            doctype=doctype,
            total=plain(total),
        )
    return total < 0 or (called_so and not total)


def _codes(
    document: JsonObject, lines: list[JsonObject], options: MappingOptions
) -> tuple[list[Row], tuple[UnmappedCode, ...], list[Reject]]:
    """Return what the codes of each line become, the codes without a row, and why that sets the document aside."""
    found: list[Row] = []
    unmapped: dict[UnmappedCode, None] = {}
    try:
        for number, line in enumerate(lines, 1):
            row: Row = ()
            for table, rows in options.tables:
                ours = code(line, table.field, number)
                become = table.nothing if ours is None else rows.get(ours)
                if ours is not None and become is None:
                    unmapped[UnmappedCode(table, ours, shown(document))] = None
                    become = (ours, *table.nothing[1:]) if options.unmapped == "pass" else table.nothing
                row += become or ()
            found.append(row)
    except Reject as reason:
        return [], (), [reason]
    if unmapped and options.unmapped == "reject":
        named = ", ".join(f"{table.what} {code} ({table.setting})" for table, code, _ in unmapped)
        codes = [{"kind": table.kind, "code": code, "setting": table.setting} for table, code, _ in unmapped]
        return found, tuple(unmapped), [Reject(f"No mapping for {named}.", "no_mapping", codes=codes)]
    return found, tuple(unmapped), []


def _changed_at(document: JsonObject, *, needed: bool) -> str | Reject:
    try:
        return _exported(document)
    except Reject as reason:
        if needed:
            raise
        return reason


def _exported(document: JsonObject) -> str:
    """Return when ivesk last changed the document: UTC, and without a zone, as Vic.ai wants an ERP's own time."""
    stated = code(document, "exportedat") or code(document, "digitizedat")
    if stated is None:
        raise Reject("exportedat is missing (and digitizedat).", "missing_field", fields=["exportedat"])
    try:
        moment = instants.milliseconds(stated)
    except ValueError:
        raise Reject(
            f"exportedat is not a time such as 2026-01-31T10:11:12.000Z: {quoted(stated)}.",
            "not_a_time",
            field="exportedat",
            value=quoted(stated),
        ) from None
    return stated[:-1] if stated.endswith("Z") else instants.LOCAL.text(moment)


def _payment_days(document: JsonObject) -> int | None:
    try:
        days = amount(document, "paymentterm")
    except Reject:
        return None  # words; the due date says it as well
    return int(days) if days is not None and days == days.to_integral_value() else None


def _line(number: int, line: JsonObject, amounts: Amounts, codes: Row) -> Line:
    assert amounts.subtotal is not None  # noqa: S101 - `read_lines` has rejected it
    percent, quantity = amount(line, "vatpercent", number), amount(line, "quantity", number)
    return Line(amounts.subtotal, amounts.vat, percent, quantity, text(line, "name", number), *codes)
