"""What accountants call the things that reasons speak of, by language, as data."""

from __future__ import annotations

from collections.abc import Mapping

KINDS: Mapping[str, Mapping[str, str]] = {
    "lt": {
        "vendor": "pardavėjas",
        "account": "sąskaita",
        "dimension": "objektas",
        "object": "objektas",
        "VAT class": "PVM klasė",
        "VAT code": "PVM kodas",
        "payment term": "apmokėjimo sąlyga",
        "vendor group": "pardavėjų grupė",
    },
    "en": {"dimension": "object"},
}
"""What a reason may say that Vic.ai, or a table of the mapper's, does not have."""

FIELDS: Mapping[str, Mapping[str, str]] = {
    "lt": {
        "accountNumber": "banko sąskaita",
        "addressCity": "miestas",
        "addressPostalCode": "pašto kodas",
        "addressStreet": "adresas",
        "amount": "suma",
        "countryCode": "šalies kodas",
        "buyercode": "pirkėjo įmonės kodas",
        "currency": "valiuta",
        "date": "dokumento data",
        "description": "aprašymas",
        "docnum": "dokumento numeris",
        "documentName": "failo pavadinimas",
        "doctype": "dokumento rūšis",
        "dueDate": "apmokėjimo terminas",
        "duedate": "apmokėjimo terminas",
        "externalId": "kodas",
        "externalUpdatedAt": "eksportavimo laikas",
        "glDate": "operacijos data",
        "iban": "banko sąskaita (IBAN)",
        "issueDate": "dokumento data",
        "lineItems": "eilutės",
        "name": "pavadinimas",
        "operationdate": "operacijos data",
        "orgNumber": "įmonės kodas",
        "poNumber": "užsakymo numeris",
        "quantity": "kiekis",
        "quantityInvoiced": "kiekis",
        "refNumber": "dokumento numeris",
        "sellercode": "pardavėjo įmonės kodas",
        "sellername": "pardavėjo pavadinimas",
        "sellervat": "pardavėjo PVM mokėtojo kodas",
        "subtotal": "suma be PVM",
        "taxId": "PVM mokėtojo kodas",
        "total": "suma su PVM",
        "totalAmount": "suma su PVM",
        "transactionType": "dokumento rūšis",
        "vat": "PVM",
        "vatpercent": "PVM tarifas",
        "vendor": "pardavėjas",
        "vendorExternalId": "pardavėjo kodas",
    },
    "en": {
        "accountNumber": "bank account",
        "addressCity": "city",
        "addressPostalCode": "postal code",
        "addressStreet": "address",
        "buyercode": "buyer's registration code",
        "countryCode": "country code",
        "date": "date of the document",
        "docnum": "number of the document",
        "documentName": "name of the file",
        "doctype": "kind of document",
        "dueDate": "due date",
        "duedate": "due date",
        "externalId": "code",
        "externalUpdatedAt": "time of export",
        "glDate": "operation date",
        "iban": "bank account (IBAN)",
        "issueDate": "date of the document",
        "lineItems": "lines",
        "operationdate": "operation date",
        "orgNumber": "registration code",
        "poNumber": "order number",
        "quantityInvoiced": "quantity",
        "refNumber": "number of the document",
        "sellercode": "seller's registration code",
        "sellername": "seller's name",
        "sellervat": "seller's VAT number",
        "taxId": "VAT number",
        "totalAmount": "total with VAT",
        "transactionType": "kind of document",
        "vat": "VAT",
        "vatpercent": "VAT rate",
        "vendor": "seller",
        "vendorExternalId": "seller's code",
    },
}
"""Fields of Vic.ai's contract and of ivesk's documents, by their names there; any other keeps its name."""

LINE: Mapping[str, str] = {"lt": "{number} eilutės {field}", "en": "line {number}, {field}"}
"""A field of a line; lines count from 1."""

UNNAMED: Mapping[str, tuple[str, str]] = {
    "lt": ("be pavadinimo", "įmonės kodo nėra"),
    "en": ("without a name", "no registration code"),
}
"""What stands for the name, and for the code, of a party that has none; the English ones are the mapper's."""

WHERE: Mapping[str, Mapping[str, str]] = {
    "lt": {"header": "Dokumento antraštė", "line": "{number} eilutė"},
    "en": {"header": "Header", "line": "Line {number}"},
}
"""The part of a document that a clause is about."""
