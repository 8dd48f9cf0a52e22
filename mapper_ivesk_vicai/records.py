"""What Vic.ai gets of a purchase: its vendor, and an invoice for training or to process; with their schemas."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ap_connectors.core.raw_json import JsonObject
from ap_connectors.vicai import contract
from mapper_ivesk_vicai.fields import given, one_line, plain
from mapper_ivesk_vicai.lines import PurchaseLine
from mapper_ivesk_vicai.purchase import LeftOut, Purchase
from mapper_ivesk_vicai.vendors import Vendor, payment_info

_LONGEST_NAME = 255

# Invoices


def training_invoice(purchase: Purchase, vendor: Vendor) -> JsonObject:
    """Return a purchase as Vic.ai takes it for training.

    What the document leaves open is null where Vic.ai knows null, so that it is cleared when the document comes again.
    """
    payment = payment_info(purchase.seller) | _term("paymentTerm", purchase)
    return {
        **_header(purchase),
        "externalUpdatedAt": purchase.changed_at,
        **_reference(vendor),
        **({"paymentInfo": payment} if payment else {}),
        "lineItems": [_training_line(purchase, *each) for each in enumerate(purchase.lines)],
        **({"invoiceInfo": {"kid": purchase.kid}} if purchase.kid else {}),
        "externalData": _external_data(purchase) or None,
        **_fields(purchase.fields),
    }


def invoice(purchase: Purchase, vendor: Vendor) -> JsonObject:
    """Return a purchase as an invoice for Vic.ai to process."""
    account = purchase.seller.account
    return {
        # Unlike a training invoice it cannot be changed later, and knows fewer nulls.
        **given(**_header(purchase)),
        "source": "ivesk",
        **_reference(vendor),
        **({"paymentInfo": {"kind": account.kind, "accountNumber": account.number}} if account else {}),
        **_term("paymentTerm", purchase),
        **({"paymentRef": purchase.kid} if purchase.kid else {}),
        **_fields(given(**purchase.fields)),
        "lineItems": [_invoice_line(purchase, *each) for each in enumerate(purchase.lines)],
    }


INVOICES: Mapping[str, Callable[[Purchase, Vendor], JsonObject]] = {
    "training_invoices": training_invoice,
    "invoices": invoice,
}
"""By stream of Vic.ai's."""


def _reference(vendor: Vendor) -> JsonObject:
    """Return who the vendor is: the ERP's id by the vendor table, or what target-vicai finds it by."""
    return {"vendorExternalId": vendor.key, **({} if vendor.is_erps else {"documentVendor": vendor.mark})}


def not_booked(document_id: str, found: LeftOut) -> JsonObject:
    """Return the record that says that a document is not booked here; it may have been before it was corrected."""
    why = {"ivesk_moved_to": found.company} if found.why == "other" else {"ivesk_left_out_as": _called(found)}
    return {
        "externalId": document_id,
        "ivesk_document_id": document_id,
        "ivesk_company_code": found.company,
        **why,
    }


def _called(found: LeftOut) -> str:
    return "sale" if found.why == "sale" else one_line(found.name)[:_LONGEST_NAME] or "document without a kind"


def document_fields(purchase: Purchase) -> dict[str, str]:
    """Return what a record says of the document's file; a name that is longer than Vic.ai takes is left out."""
    if purchase.file is None:
        return {}
    name = purchase.file_name
    return {"document": purchase.file} | ({"documentName": name} if name and len(name) <= _LONGEST_NAME else {})


def _header(purchase: Purchase) -> dict[str, str | None]:
    return {
        "externalId": purchase.id,
        "transactionType": "CREDITNOTE" if purchase.is_credit else "INVOICE",
        "refNumber": purchase.docnum,
        "poNumber": purchase.ordernum,
        "currency": purchase.header.currency,
        "issueDate": purchase.issued,
        "glDate": purchase.booked,
        "dueDate": purchase.due,
        "totalAmount": plain(purchase.signed(purchase.total)),
    }


def _term(name: str, purchase: Purchase) -> JsonObject:
    days = purchase.payment_days
    return {} if days is None else {name: {"count": days, "unit": "DAYS"}}


def _training_line(purchase: Purchase, place: int, line: PurchaseLine) -> JsonObject:
    vat = None if line.vat is None else purchase.signed(line.vat)
    info = given(vatCode=line.vat_code, vatAmount=vat, vatRate=_rate(line))
    amount = {"amount": purchase.signed(line.net)}
    vat_only = {"lineItemIsVatOnly": True} if line.is_vat_only else {}
    return _line(purchase, place, line) | amount | ({"invoiceLineItemInfo": info} if info else {}) | vat_only


def _invoice_line(purchase: Purchase, place: int, line: PurchaseLine) -> JsonObject:
    vat = None if line.vat is None else plain(purchase.signed(line.vat))
    info = given(code=line.vat_code, amount=vat, rate=_rate(line))
    amount = {"amount": plain(purchase.signed(line.net))}
    if line.description and _is_too_long(line):
        amount["description"] = f"{line.description[: _LONGEST_NAME - 1]}…"
    return _line(purchase, place, line) | amount | ({"vat": info} if info else {})


def _line(purchase: Purchase, place: int, line: PurchaseLine) -> JsonObject:
    dimensions = [given(externalId=one.id, typeExternalId=one.type) for one in line.dimensions]
    return given(
        index=place,
        description=line.description,
        quantityInvoiced=_quantity(purchase, line),
        costAccountExternalId=line.account,
        dimensions=dimensions or None,
    )


def _quantity(purchase: Purchase, line: PurchaseLine) -> str | None:
    """Return the quantity with the sign of the line's amount: some sellers credit -1 piece, others a price of -100."""
    quantity, amount = line.quantity, purchase.signed(line.net)
    if quantity is None or not quantity:
        return None if quantity is None else plain(quantity)
    if amount:
        return plain(quantity.copy_sign(amount))
    return plain(quantity.copy_abs() if purchase.turned else quantity)


# What has no place of its own


def _external_data(purchase: Purchase) -> JsonObject:
    """Return what Vic.ai's training invoices keep as it is: by ivesk's names, numbers as text, with ivesk's signs."""
    data = dict(purchase.further)
    if purchase.rate and purchase.rate > 0 and (currency := purchase.header.currency.upper()) != _EURO:
        rate = plain(purchase.rate)
        data[_RATE] = {"rate": rate, "means": f"1 {_EURO} = {rate} {currency}"}
    if purchase.rounding:
        data = {"rounding_difference": plain(purchase.rounding)} | data
    if lines := [{"index": place, **line.further} for place, line in enumerate(purchase.lines) if line.further]:
        data["lines"] = lines
    return data


_RATE, _EURO = "currencyrate", "EUR"


def _fields(values: Mapping[str, str | None]) -> JsonObject:
    """Return the fields that the company has configured at Vic.ai, by their labels."""
    return {"fields": [{"label": label, "value": value} for label, value in values.items()]} if values else {}


_SAID = frozenset({"doctype", "subtotal", "vat"})
"""What the type of an invoice and its lines say."""


def fields_left_out(purchase: Purchase) -> Iterator[str]:
    """Yield the fields of a document that invoices to process have no place for; training invoices keep them all."""
    yield from (name for name in purchase.further if name not in purchase.named and name not in _SAID)
    yield from {f"lines.{name}": None for line in purchase.lines for name in line.further or ()}
    if any(map(_is_too_long, purchase.lines)):
        yield "the end of long lines.name"


def _is_too_long(line: PurchaseLine) -> bool:
    return len(line.description or "") > _LONGEST_NAME


def _rate(line: PurchaseLine) -> str | None:
    return None if line.vat_percent is None else plain(line.vat_percent)


# Schemas: the fields of Vic.ai's contract that are filled, and ours

KEYS = ["externalId"]

_TEXT = {"type": ["string", "null"]}
_OURS: JsonObject = {
    "ivesk_document_id": _TEXT | {"description": "Id of the ivesk document that the record stems from."},
    "ivesk_company_code": _TEXT | {"description": "Registration code of the buyer, as ivesk has it."},
    "ivesk_exported_at": _TEXT | {"description": "When ivesk exported the document, or digitised it."},
    "ivesk_moved_to": _TEXT | {"description": "Code of another company, whose document it is now; then nothing else."},
    "ivesk_left_out_as": _TEXT | {"description": "A sale, or a kind that is not booked; then nothing else."},
}
_TEXTS = dict.fromkeys(("countryCode", "orgNumber", "taxId", "name", "date"), _TEXT)
_FLAG = {"type": ["boolean", "null"]}
_MARK: JsonObject = {
    "documentVendor": {
        "type": ["object", "null"],
        "description": "Says that the vendor was read from a document, and who it is.",
        "properties": {**_TEXTS, "update": _FLAG, "person": _FLAG},
    }
}
_REFERENCE = {"vendorExternalId": _TEXT | {"description": "The vendor's id; of one that is new, its id to be."}} | _MARK
_DOCUMENT = {
    "document": _TEXT | {"description": "Path or link of the file."},
    "documentName": _TEXT | {"description": "What the file is called."},
}
_HEADER = [
    "externalId", "transactionType", "refNumber", "poNumber", "currency", "issueDate", "glDate", "dueDate",
    "totalAmount", "paymentInfo", "lineItems",
]  # fmt: skip
_VENDOR = [
    "externalId", "externalUpdatedAt", "name", "addressStreet", "countryCode", "taxInfo", "defaultPaymentInfo",
]  # fmt: skip


def schema_of(stream: str) -> JsonObject:
    """Return the schema of a stream that leaves."""
    operation, names, more = _SCHEMAS[stream]
    bodies = contract.operation(operation).body
    if (form := bodies.get("multipart/form-data")) is not None:
        body = contract.inlined(form)["properties"]["invoiceData"]
    else:
        body = contract.inlined(bodies["application/json"])
    return {"type": "object", "properties": {**{name: body["properties"][name] for name in names}, **more, **_OURS}}


_SCHEMAS: Mapping[str, tuple[str, list[str], JsonObject]] = {
    "vendors": ("upsertVendor", _VENDOR, _MARK),
    "training_invoices": (
        "upsertTrainingInvoice",
        [*_HEADER, "externalUpdatedAt", "invoiceInfo", "externalData", "fields"],
        _REFERENCE | _DOCUMENT,
    ),
    "invoices": ("createInvoice", [*_HEADER, "source", "paymentTerm", "paymentRef", "fields"], _REFERENCE | _DOCUMENT),
}
STREAMS = tuple(_SCHEMAS)
