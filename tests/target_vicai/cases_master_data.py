"""The cases of master data: accounts, codes, dimensions, vendors and what belongs to them."""

from __future__ import annotations

from decimal import Decimal

from tests.target_vicai.scene import AT, LATER, LONG, Case, Scene, without
from tests.target_vicai.store import Record

# Accounts, VAT codes, dimensions


def account(_: Scene) -> Record:
    return {
        "externalId": "KTO-9001",
        "externalUpdatedAt": AT,
        "number": "9001",
        "name": "Ąžuolo sąskaita – «ėįšųūž»",
        "externalData": {"klasė": "9", "Suma": Decimal("12345678901234567.89"), "a_b": [1, None, True], "aB": {"C": 1}},
    }


def vat_code(_: Scene) -> Record:
    return {
        "externalId": "PVM/1 ą",
        "externalUpdatedAt": AT,
        "code": "PVM1",
        "description": "Standartinis PVM tarifas",
        "activeStartingAt": "2009-09-01T00:00:00",
        "rate": Decimal("21.00"),
        "remoteData": {"šalis": "LT"},
    }


def dimension(_: Scene) -> Record:
    return {
        "externalId": "PRJ-77",
        "externalUpdatedAt": AT,
        "name": "Žaliasis tiltas",
        "type": "PROJECT",
        "typeName": "Projektas",
        "typeExternalId": "PRJ",
        "shortName": "77",
        "externalData": {"vadovas": "Šarūnė"},
    }


# Vendors and what belongs to them


def vendor(scene: Scene) -> Record:
    return {
        "externalId": "TIEK-0001",
        "externalUpdatedAt": AT,
        "name": "UAB „Žalgirio tiekėjas“",
        "email": "saskaitos@zalgiris.example",
        "phone": None,
        "addressStreet": "Gedimino pr. 1",
        "addressCity": "Vilnius",
        "addressPostalCode": "01103",
        "countryCode": "LT",
        "currency": "EUR",
        "state": "CONFIRMED",
        "taxInfo": {"taxId": "LT100001", "is1099vendor": False, "orgNumber": "300001"},
        "defaultPaymentInfo": {
            "internationalBankAccount": {"iban": "LT121000011101001000", "bic": "HABALT22"},
            "paymentTerm": {"count": 30, "unit": "DAYS"},
            "defaultMethod": "IBAN",
        },
        "paymentTermName": scene.first("paymentTerms")["name"],
        "vendorGroupName": scene.first("vendorGroups")["name"],
        "externalData": {"likutis": Decimal("0.10")},
    }


def vendor_shown(scene: Scene, given: Record) -> Record:
    found = {
        "paymentTermId": scene.store.one("paymentTerms", name=given["paymentTermName"])["id"],
        "vendorGroupId": scene.store.one("vendorGroups", name=given["vendorGroupName"])["id"],
    }
    return without(given, "paymentTermName", "vendorGroupName") | found


def vendor_tag(scene: Scene) -> Record:
    return {"vendorExternalId": scene.vendor["externalId"], "tagValue": scene.first("tags")["value"]}


def vendor_tag_shown(scene: Scene, given: Record) -> Record:
    return {
        "vendorId": scene.store.one("vendors", externalId=given["vendorExternalId"])["internalId"],
        "tagId": scene.store.one("tags", value=given["tagValue"])["id"],
    }


def vendor_errors(scene: Scene) -> Record:
    message = {"message": "Banko sąskaita nerasta apskaitos sistemoje", "field": "defaultPaymentInfo.bban"}
    return {"internalId": scene.vendor["internalId"], "errors": [message, {"message": "Tiekėjas užblokuotas"}]}


def dependency(scene: Scene) -> Record:
    first, second = (one for one in scene.store.all("dimensions")[:2])
    return {"dimensionInternalId": first["internalId"], "dependentExternalId": second["externalId"], "active": True}


def dependency_shown(scene: Scene, given: Record) -> Record:
    second = scene.store.all("dimensions")[1]
    pair = {"dimensionId": given["dimensionInternalId"], "dependentId": second["internalId"]}
    return pair | {"active": given["active"]}


MASTER_DATA = (
    Case(
        "accounts",
        "accounts",
        account,
        lambda scene: account(scene) | {"name": LONG},
        r"name.*(255|long)",
        (r"PUT /accounts/KTO-9001",),
        lambda _: {"externalUpdatedAt": LATER, "name": "Kita sąskaita", "externalData": {"klasė": "8"}},
    ),
    Case(
        "vat_codes",
        "vatCodes",
        vat_code,
        lambda scene: vat_code(scene) | {"rate": "dvidešimt vienas"},
        r"rate.*number.*dvidešimt",
        (r"PUT /vatCodes/PVM.*",),
        lambda _: {"externalUpdatedAt": LATER, "rate": Decimal("9.000"), "description": "Lengvatinis"},
    ),
    Case(
        "dimensions",
        "dimensions",
        dimension,
        lambda scene: dimension(scene) | {"externalUpdatedAt": "vakar"},
        r"externalUpdatedAt.*vakar",
        (r"POST /dimensions",),
        lambda _: {"externalUpdatedAt": LATER, "name": "Baltasis tiltas", "shortName": "78"},
    ),
    Case(
        "vendors",
        "vendors",
        vendor,
        lambda scene: vendor(scene) | {"vendorGroupName": "Tokios grupės nėra"},
        r"(vendorGroupName|vendor group).*Tokios grupės nėra",
        (r"PUT /vendors/TIEK-0001",),
        lambda _: {
            "externalUpdatedAt": LATER,
            "phone": "+370 5 000 0000",
            "addressCity": "Kaunas",
            "email": None,
            "taxInfo": {"taxId": "LT100001", "is1099vendor": True, "orgNumber": "300002"},
        },
        vendor_shown,
    ),
    Case(
        "vendor_groups",
        "vendorGroups",
        lambda _: {"name": "Miško draugai"},
        lambda _: {"name": ["Miško draugai"]},
        r"name.*text",
        (r"POST /vendorGroups",),
        lambda _: {"name": "Miško bičiuliai"},
    ),
    Case(
        "tags",
        "tags",
        lambda _: {"value": "Žvėris"},
        lambda _: {"value": LONG},
        r"value.*(255|long)",
        (r"POST /tags",),
        lambda _: {"value": "Paukštis"},
    ),
    Case(
        "payment_terms",
        "paymentTerms",
        lambda _: {"name": "33 dienos", "daysToPay": 33, "discountDays": 7, "discountPercentage": Decimal("1.250")},
        lambda _: {"name": "33 dienos", "daysToPay": "trisdešimt"},
        r"daysToPay.*trisdešimt",
        (r"POST /paymentTerms",),
        lambda _: {"daysToPay": 34, "discountPercentage": "2.5", "description": "Apmokėti per 34 dienas"},
    ),
    Case(
        "tax_codes",
        "taxCodes",
        lambda _: {"code": "LT-21", "description": "Lietuvos PVM", "rate": Decimal("0.21000")},
        lambda _: {"code": "LT-21", "description": "Lietuvos PVM", "rate": "21,0"},
        r"rate.*21,0",
        (r"POST /taxCodes",),
    ),
    Case(
        "vendor_tags",
        "vendorTags",
        vendor_tag,
        lambda scene: vendor_tag(scene) | {"tagValue": "Tokios žymos nėra"},
        r"tag.*Tokios žymos nėra",
        (r"POST /vendorTags",),
        shown=vendor_tag_shown,
    ),
    Case(
        "dimension_dependencies",
        "dimensionDependencies",
        dependency,
        lambda scene: dependency(scene) | {"dependentExternalId": "PRJ-NĖRA"},
        r"PRJ-NĖRA",
        (r"POST /dimensionDependencies",),
        lambda _: {"active": False},
        dependency_shown,
    ),
    Case(
        "vendor_errors",
        "vendors",
        vendor_errors,
        lambda scene: vendor_errors(scene) | {"errors": [{"field": "name"}]},
        r"errors\[0\].*message",
        (r"POST /vendors/\d+/errors",),
        lambda _: {"errors": []},
        adds=False,
    ),
)
