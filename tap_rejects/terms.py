"""What accountants call the things that rejects speak of, by language, as data."""

from __future__ import annotations

from collections.abc import Mapping

KINDS: Mapping[str, Mapping[str, str]] = {
    "lt": {
        "vendor": "pardavėjas",
        "account": "sąskaita",
        "dimension": "objektas",
        "object": "objektas",
        "vat_class": "PVM klasė",
        "vat_code": "PVM kodas",
        "payment_term": "apmokėjimo sąlyga",
        "vendor_group": "pardavėjų grupė",
    },
    "en": {"dimension": "object", "vat_class": "VAT class", "vat_code": "VAT code"},
}
"""What Vic.ai, or a table of the mapper, may lack."""

FIELDS: Mapping[str, Mapping[str, str]] = {
    "lt": {
        "": "vienas iš laukų",
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
        "exportedat": "eksportavimo laikas",
        "externalUpdatedAt": "eksportavimo laikas",
        "filename": "failo pavadinimas",
        "glDate": "operacijos data",
        "iban": "banko sąskaita (IBAN)",
        "issueDate": "dokumento data",
        "lineItems": "eilutės",
        "lineItems.costAccount.externalId": "sąskaita",
        "lineItems.vat.amount": "PVM",
        "lineItems.vat.code": "PVM kodas",
        "lineItems.vat.rate": "PVM tarifas",
        "lines": "eilutės",
        "lines.code": "sąskaitos kodas",
        "lines.object": "objektas",
        "name": "pavadinimas",
        "number of lineItems": "eilučių skaičius",
        "operationdate": "operacijos data",
        "ordernum": "užsakymo numeris",
        "orgNumber": "įmonės kodas",
        "paymentTerm.count": "apmokėjimo terminas dienomis",
        "poNumber": "užsakymo numeris",
        "quantity": "kiekis",
        "quantityInvoiced": "kiekis",
        "refNumber": "dokumento numeris",
        "selleraddress": "pardavėjo adresas",
        "sellercode": "pardavėjo įmonės kodas",
        "sellercountry": "pardavėjo šalis",
        "selleriban": "pardavėjo banko sąskaita (IBAN)",
        "sellername": "pardavėjo pavadinimas",
        "sellervat": "pardavėjo PVM mokėtojo kodas",
        "subtotal": "suma be PVM",
        "taxId": "PVM mokėtojo kodas",
        "total": "suma su PVM",
        "totalAmount": "suma su PVM",
        "transactionType": "dokumento rūšis",
        "vat": "PVM",
        "vatclass": "PVM klasė",
        "vatpercent": "PVM tarifas",
        "vendor": "pardavėjas",
        "vendor.externalId": "pardavėjo kodas",
        "vendorExternalId": "pardavėjo kodas",
    },
    "en": {
        "": "one of the fields",
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
        "exportedat": "time of export",
        "externalUpdatedAt": "time of export",
        "filename": "name of the file",
        "glDate": "operation date",
        "iban": "bank account (IBAN)",
        "issueDate": "date of the document",
        "lineItems": "lines",
        "lineItems.costAccount.externalId": "account",
        "lineItems.vat.amount": "VAT",
        "lineItems.vat.code": "VAT code",
        "lineItems.vat.rate": "VAT rate",
        "lines.code": "account code",
        "number of lineItems": "number of lines",
        "operationdate": "operation date",
        "ordernum": "order number",
        "orgNumber": "registration code",
        "paymentTerm.count": "payment term in days",
        "poNumber": "order number",
        "quantityInvoiced": "quantity",
        "refNumber": "number of the document",
        "selleraddress": "seller's address",
        "sellercode": "seller's registration code",
        "sellercountry": "seller's country",
        "selleriban": "seller's bank account (IBAN)",
        "sellername": "seller's name",
        "sellervat": "seller's VAT number",
        "taxId": "VAT number",
        "totalAmount": "total with VAT",
        "transactionType": "kind of document",
        "vat": "VAT",
        "vatclass": "VAT class",
        "vatpercent": "VAT rate",
        "vendor": "seller",
        "vendor.externalId": "seller's code",
        "vendorExternalId": "seller's code",
    },
}
"""Fields of Vic.ai's contract and of ivesk's documents, by their names there; "" is one that is not known."""

LINE: Mapping[str, str] = {"lt": "{number} eilutės {field}", "en": "line {number}, {field}"}
"""A field of a line; lines count from 1."""

UNNAMED: Mapping[str, tuple[str, str]] = {
    "lt": ("be pavadinimo", "įmonės kodo nėra"),
    "en": ("without a name", "no registration code"),
}
"""What stands for the name, and for the code, of a party that has none."""

NUMBERS: Mapping[str, Mapping[str, str]] = {
    "lt": {"country": "", "code": "įmonės kodas", "vat": "PVM mokėtojo kodas"},
    "en": {"country": "", "code": "registration code", "vat": "VAT number"},
}
"""What precedes each fact by which a vendor is told from others."""

WHERE: Mapping[str, Mapping[str, str]] = {
    "lt": {"header": "Dokumento antraštė", "line": "{number} eilutė"},
    "en": {"header": "Header", "line": "Line {number}"},
}
"""The part of a document that a clause is about."""
