"""A document, read once: a purchase with its parties, amounts and lines, or why it is not one that can be mapped."""

from __future__ import annotations

import functools
from collections.abc import Container
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from ap_connectors.core.companies import same_company
from ap_connectors.core.errors import Reject
from ap_connectors.core.exact import EXACT
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.ivesk import contract
from mapper_ivesk_vicai import lines as document_lines
from mapper_ivesk_vicai.amounts import Header, read_header, read_lines
from mapper_ivesk_vicai.doctypes import DoctypeFates, Fate, fate_of, refusal
from mapper_ivesk_vicai.document_files import FileFinder
from mapper_ivesk_vicai.fields import (
    as_words,
    check_due,
    code,
    exported,
    further,
    given,
    missing,
    number_or_words,
    payment_days,
    plain,
    text,
)
from mapper_ivesk_vicai.lines import LineTables, PurchaseLine, UnmappedCode
from mapper_ivesk_vicai.sellers import HIDDEN, Seller, SellerOptions, is_of_a_person, read_kid, read_seller
from mapper_ivesk_vicai.tables import Rows
from mapper_ivesk_vicai.tolerance import Tolerance

InvoicesAs = Literal["training_invoices", "invoices"]

_PLACED = (
    "id", "date", "operationdate", "duedate", "docnum", "ordernum", "total", "currency", "lines",
    "filename", "digitizedat", "exportedat",
    # A link that expires, and is a secret while it lives.
    "url",
)  # fmt: skip


@dataclass(frozen=True)
class MappingOptions:
    """How documents are mapped: the settings.

    Args:
        company: registration code of the company whose purchases are mapped.
        invoices_as: stream that they become.
        doctypes: what becomes of each kind of document.
        tables: of codes.
        tolerance: how far amounts may miss each other.
        rounds: a line makes up for rounding.
        fields: labels of the fields that the company has configured at Vic.ai, by ivesk's names.
        header_as_line: make one line of the header where a document has no lines.
        negative_credits: keep the amounts of credit notes negative.
        sellers: how sellers are read.
    """

    company: str
    invoices_as: InvoicesAs
    doctypes: DoctypeFates
    tables: LineTables
    tolerance: Tolerance
    rounds: bool
    fields: Rows
    header_as_line: bool
    negative_credits: bool
    sellers: SellerOptions


@dataclass(frozen=True)
class LeftOut:
    """A document that is not booked: a sale of the company's, a document of another company, or of a kind left out.

    Args:
        why: which of these.
        name: of the company, or of the kind.
        company: registration code of the company whose document it is, as ivesk has it.
    """

    why: Literal["sale", "other", "kind"]
    name: str
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
class Purchase:
    """A purchase: header and lines agree, and every code is mapped or left out on purpose.

    Args:
        buyer: registration code of the company, as ivesk has it.
        total: with VAT, with ivesk's sign.
        turned: Vic.ai gets its amounts with the opposite sign.
        changed_at: when ivesk last changed it, as Vic.ai wants an ERP's own time: UTC, without a zone; None for
            invoices to process, which do not need it.
        seller: as the document names it.
        payment_days: None where Vic.ai does not take the term.
        rate: units of the document's currency for one euro; None if it is not a number.
        kid: reference that a payment must quote (Norway); None if its control digit does not fit.
        rounding: what the lines lack of the header's total, which rounding explains.
        further: the fields that have no place of their own at Vic.ai.
        fields: what `fields` gives a place, by its label.
        named: the fields that `fields` names.
        file: path or link.
        aside: why parts of it are set aside by themselves.
    """

    id: str
    buyer: str
    docnum: str | None
    ordernum: str | None
    issued: str | None
    booked: str | None
    due: str | None
    changed_at: str | None
    payment_days: int | None
    seller: Seller
    header: Header
    total: Decimal
    is_credit: bool
    turned: bool
    lines: list[PurchaseLine]
    rate: Decimal | None
    kid: str | None
    rounding: Decimal
    further: JsonObject
    fields: dict[str, str | None]
    named: Container[str]
    file: str | None
    file_name: str | None
    unmapped: tuple[UnmappedCode, ...] = ()
    aside: tuple[Reject, ...] = ()

    def signed(self, number: Decimal) -> Decimal:
        """Return a number with the sign that Vic.ai gets it with."""
        return EXACT.minus(number) if self.turned else number


def read_document(document: JsonObject, options: MappingOptions, files: FileFinder) -> Purchase | LeftOut | SetAside:
    """Read a document."""
    try:
        id_ = text(document, "id")
        # Asked for every document, so that what the tap said of its file does not stay in memory.
        path = files.pop(id_ or "")
        doctype = code(document, "doctype")
        fate = fate_of(doctype, options.doctypes)
        if (not_ours := _not_ours(document, options.sellers, fate)) is not None:
            return not_ours
        if fate == "leave_out":
            return LeftOut("kind", doctype or "", code(document, "buyercode") or options.company)
    except Reject as reason:
        return SetAside(reason)
    header, wrong = read_header(document)
    if (refused := refusal(doctype, fate)) is not None:
        return SetAside(refused, header)
    try:
        seller, wrong_account = read_seller(document, options.sellers)
        kid, wrong_kid = read_kid(document, seller)
        if id_ is None:
            raise missing("id")
        file = files.check(path, text(document, "url"))
    except Reject as reason:
        return SetAside(reason, header)
    lines, no_lines = document_lines.lines_of(document, header_as_line=options.header_as_line)
    if no_lines:
        return SetAside(Reject.several([*wrong, *no_lines]), header)
    agreed, wrong = (None, wrong) if wrong else read_lines(header, lines, options.tolerance)
    codes, unmapped, uncoded = options.tables.codes(document, lines)
    if agreed is None or uncoded:
        # What is wrong with the amounts does not hide what the tables lack, or the other way round.
        return SetAside(Reject.several([*wrong, *uncoded]), header, unmapped)
    total, rest = header.amounts.total, agreed.rest
    assert total is not None  # noqa: S101 - `read_header` has rejected it
    try:
        is_training = options.invoices_as == "training_invoices"
        is_credit = _is_credit(doctype, fate, total)
        issued, due = code(document, "date"), code(document, "duedate")
        if not is_credit:
            check_due(issued, due)
        days = payment_days(document, least=1 if is_training else 0)
        # What is not sent is not lost: a term in words, a KID that is misread.
        kept = further(document, _placed(days is not None, not wrong_kid))
        rounding = options.tables.rounding(rest) if options.rounds else None
        return Purchase(
            header=header,
            total=total,
            is_credit=is_credit,
            turned=is_credit and not options.negative_credits,
            id=id_.strip(),
            buyer=code(document, "buyercode") or options.company,
            docnum=text(document, "docnum"),
            ordernum=text(document, "ordernum"),
            issued=issued,
            # ivesk names the day of the transaction only where it is another one.
            booked=code(document, "operationdate") or issued,
            due=due,
            payment_days=days,
            changed_at=exported(document) if is_training else None,
            lines=[*document_lines.purchase_lines(agreed, lines, codes), *([rounding] if rounding else [])],
            rate=number_or_words(document, "currencyrate"),
            kid=kid,
            rounding=rest.total or Decimal(0),
            further=kept,
            fields={label: as_words(document.get(name)) for name, (label,) in options.fields.items() if label},
            named=options.fields,
            file=file,
            file_name=text(document, "filename") if file else None,
            seller=seller,
            aside=(*wrong_account, *wrong_kid),
            unmapped=unmapped,
        )
    except Reject as reason:
        return SetAside(reason, header, unmapped)


@functools.cache
def _placed(has_term: bool, has_kid: bool) -> frozenset[str]:
    """Return the fields that have a place at Vic.ai: of the parties in the vendor, and in the company itself."""
    fields = contract.schema("document")["properties"]
    own = {*({"paymentterm"} if has_term else ()), *({"kid"} if has_kid else ())}
    return frozenset({*_PLACED, *own, *(name for name in fields if name.startswith(("seller", "buyer")))})


# Whose it is


def _not_ours(document: JsonObject, options: SellerOptions, fate: Fate | None) -> LeftOut | None:
    """Return whose document it is if the buyer is not the company.

    Raises:
        Reject: the document does not tell, and is of a kind that is booked.
    """
    buyer, seller = code(document, "buyercode"), code(document, "sellercode")
    if same_company(buyer or code(document, "buyervat"), options.company):
        return None
    try:
        return _left_out(document, options, buyer, seller)
    except Reject:
        # A till does not print who bought; that need not trouble those who leave its receipts out.
        if fate == "leave_out":
            return None
        raise


def _left_out(document: JsonObject, options: SellerOptions, buyer: str | None, seller: str | None) -> LeftOut:
    """Return whose document it is if the buyer is not the company.

    The codes decide. Only where neither is the company's do `buyerisfavorite` and `sellerisfavorite` count: they mark
    the companies that the accountant keeps books for.

    Raises:
        Reject: the document does not tell.
    """
    company = options.company
    if same_company(seller or code(document, "sellervat"), company):
        return LeftOut("sale", company, seller or company)
    parties = {"buyer": buyer, "seller": seller}
    shown = {
        party: HIDDEN if registered and options.hide_persons and is_of_a_person(document, party) else registered
        for party, registered in parties.items()
    }
    own = [registered for party, registered in shown.items() if document.get(f"{party}isfavorite") is True]
    known = [registered for registered in own if registered]
    # The one without a code may be the company.
    if known and len(known) == len(own):
        return LeftOut("other", known[0], known[0])
    names = {party: text(document, f"{party}name") for party in parties}
    described = " and ".join(
        f"the {party} is {names[party] or 'without a name'} ({registered or 'no registration code'})"
        for party, registered in shown.items()
    )
    why = "one of the accountant's own companies has no registration code" if own else "neither is marked as favorite"
    raise Reject(
        f"It is not clear whose document this is, of company {company} or of another: {described}; {why}.",
        "whose_document",
        company=company,
        **{party: given(name=names[party], code=registered) for party, registered in shown.items()},
    )


# Its parts


def _is_credit(doctype: str | None, fate: Fate | None, total: Decimal) -> bool:
    called_so = fate == "creditnote"
    if called_so and total > 0:
        raise Reject(
            f"It is a {doctype}, but its total is {plain(total)}: a credit note's amounts are negative.",
            "sign_of_credit_note",
            doctype=doctype,
            total=plain(total),
        )
    return total < 0 or (called_so and not total)
