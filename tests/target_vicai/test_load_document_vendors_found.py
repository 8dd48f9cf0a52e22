"""Vendors that documents name are found, whoever had them first, and never changed: tried from every side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.campaign import one_in
from tests.target_vicai.conftest import Record, Target, load, snake, state, styled, upper, version
from tests.target_vicai.document_vendors import (
    ERP_IBAN,
    OTHER_IBAN,
    THIRD_IBAN,
    document_vendor,
    erp_vendor,
    invoice,
    mark,
    training,
)
from tests.target_vicai.store import Store


def test_the_vendor_of_the_erp_is_found_and_left_alone(store: Store, target: Target, pdf: Path) -> None:
    """The ERP's vendor and the same seller from ivesk were two vendors."""
    target(load("vendors", erp_vendor()))
    store.look()
    run = target([*load("vendors", document_vendor()), *load("training_invoices", training(pdf))])
    assert (run.counts("vendors")["unchanged"], run.counts("training_invoices")["created"]) == (1, 1)
    [made] = store.change().only(trainingInvoices=(1, 0, 0)).added("trainingInvoices")
    assert made["vendorExternalId"] == "50010"
    told = f"a document names another bank account, {OTHER_IBAN}. Vic.ai has {ERP_IBAN} for the vendor, and keeps it."
    assert told in run.err
    account = {"kind": "IBAN", "accountNumber": THIRD_IBAN}
    run = target(load("invoices", invoice(pdf, paymentInfo=account)))
    assert f"a document names another bank account, {THIRD_IBAN[4:]}. Vic.ai has {ERP_IBAN}" in run.err
    # Nor is the invoice to be paid there. Its own account, however it is spelled, goes along.
    own = {"kind": "IBAN", "accountNumber": "lt60 1010 0123 4567 8901"}
    more = [invoice(pdf, externalId="d-2", refNumber="SF-2", paymentInfo=own), invoice(pdf, paymentInfo=account)]
    assert target(load("invoices", *more)).counts("invoices")["unchanged"] == 1
    paid = {one["externalId"]: one.get("paymentInfo") or {} for one in store.vicai.control.vicai.records("invoices")}
    assert paid["d-1"] == {}
    assert paid["d-2"]["internationalBankAccount"]["iban"] == own["accountNumber"]
    same = target(load("vendors", document_vendor(iban="lt60 1010 0123 4567 8901"), document_vendor(iban=None)))
    assert "another bank account" not in same.err


def test_no_invoice_is_paid_to_an_account_that_only_its_document_knows(store: Store, target: Target, pdf: Path) -> None:
    """However its vendor was named: by the vendor table, by a person in the reject file, by a mark."""
    giro = {"bankGiro": "991-2346", "defaultMethod": "BANKGIRO"}
    swedish = {"countryCode": "SE", "name": "Göta AB", "taxInfo": {"orgNumber": "551234-5678"}}
    target(load("vendors", erp_vendor(), erp_vendor(externalId="50011", defaultPaymentInfo=giro, **swedish)))
    [internal] = [
        one["internalId"] for one in store.vicai.control.vicai.records("vendors") if one.get("externalId") == "50010"
    ]

    def named(number: str, iban: str = OTHER_IBAN, **changes: Any) -> Record:
        """An invoice to process whose document says where to pay."""
        own = {"externalId": number, "refNumber": number, "ivesk_document_id": number, "documentVendor": None}
        return invoice(pdf, paymentInfo={"kind": "IBAN", "accountNumber": iban}, **own | changes)

    def new(iban: str, date: str) -> Record:
        """A vendor that only documents know."""
        meant = mark(orgNumber="777888999", taxId=None, date=date)
        tax = {"orgNumber": "777888999"}
        return document_vendor("LT-777888999", iban, name="UAB Nauja", taxInfo=tax, documentVendor=meant)

    of_new: Record = {"vendorExternalId": "LT-777888999", "documentVendor": mark(orgNumber="777888999", taxId=None)}
    foreign = [
        named("by the table", vendorExternalId="50010"),
        named("by Vic's id", vendorExternalId=None, vendorInternalId=internal),
        named("by an object", vendorExternalId=None, vendor={"externalId": "50010"}),
        named("paid by giro", vendorExternalId="50011"),
        named("paid by giro, marked", documentVendor=mark(countryCode="SE", orgNumber="5512345678", taxId=None)),
    ]
    right = named("its own", "lt60 1010 0123 4567 8901", vendorExternalId="50010")
    of_erp = named("the ERP's own", vendorExternalId="50010", ivesk_document_id=None)
    run = target(
        [
            *load("vendors", new(ERP_IBAN, "2026-03-05")),
            *load("invoices", *foreign, right, of_erp, named("new", ERP_IBAN, **of_new), named("older", **of_new)),
            *load("vendors", new(THIRD_IBAN, "2026-03-06")),
            *load("invoices", named("newest", THIRD_IBAN, **of_new)),
        ]
    )
    paid = {
        one["externalId"]: ((one.get("paymentInfo") or {}).get("internationalBankAccount") or {}).get("iban")
        for one in store.vicai.control.vicai.records("invoices")
    }
    assert paid == {
        **dict.fromkeys((one["externalId"] for one in foreign), None),
        "its own": "lt60 1010 0123 4567 8901",
        "the ERP's own": OTHER_IBAN,
        "new": ERP_IBAN,
        "older": None,
        "newest": THIRD_IBAN,
    }
    theirs = {"50010": ERP_IBAN, "50011": "9912346", "LT-777888999": ERP_IBAN}
    for key, account in theirs.items():
        told = (
            f"vendors {key}: a document names another bank account, {OTHER_IBAN}. Vic.ai has {account} for the vendor"
        )
        assert told in run.err
    # Exported again with a foreign account, an invoice is not told to be corrected to that.
    for status, iban in {"READY_FOR_POST": THIRD_IBAN, "POSTED": "LT021000011101002000"}.items():
        forged = [one | {"paymentInfo": {"kind": "IBAN", "accountNumber": iban}} for one in (right, foreign[0])]
        ids = [one["internalId"] for one in store.vicai.control.vicai.records("invoices")]
        store.vicai.control.vicai.touch("invoices", ids, status=status)
        run = target(load("invoices", *forged))
        assert run.counts("invoices")["unchanged"] == 2
        assert f"vendors 50010: a document names another bank account, {iban.removeprefix('NO93')}." in run.err
    run = target(
        load(
            "training_invoices",
            training(pdf, vendorExternalId="50010", documentVendor=None) | {"ivesk_document_id": "d-1"},
        )
    )
    assert f"vendors 50010: a document names another bank account, {OTHER_IBAN}." in run.err


def test_the_erps_own_vendor_goes_before_the_one_that_documents_made(store: Store, target: Target, pdf: Path) -> None:
    """A new seller's document comes first; days later the ERP has the vendor, under a key of its own."""
    target([*load("vendors", document_vendor()), *load("training_invoices", training(pdf))])
    target(load("vendors", erp_vendor()))
    store.look()
    second = training(pdf, externalId="d-2", refNumber="SF-2")
    run = target([*load("vendors", document_vendor()), *load("training_invoices", training(pdf), second)])
    assert (run.counts("vendors")["unchanged"], run.counts("training_invoices")["updated"]) == (1, 1)
    store.look()
    assert {one["vendorExternalId"] for one in store.all("trainingInvoices")} == {"50010"}


def test_records_of_the_earlier_mapper_find_the_vendor_as_well(store: Store, target: Target, pdf: Path) -> None:
    """Its invoices have no mark: the vendor's own record tells, if it was clear."""
    target(load("vendors", erp_vendor(), erp_vendor(externalId="7", name="Nord AS", countryCode="NO", taxInfo={})))
    store.look()
    no_mark: Record = {"documentVendor": None, "ivesk_document_id": "d-1"}
    old = document_vendor("304111222", externalUpdatedAt="2026-03-06T10:00:00.000", **no_mark)
    other = document_vendor("7", name="Sud AS", countryCode="PT", taxInfo={"orgNumber": "7"}, **no_mark)
    invoices = [
        training(pdf, vendorExternalId="304111222", **no_mark),
        training(pdf, externalId="d-2", refNumber="SF-2", vendorExternalId="7", **no_mark),
    ]
    run = target([*load("vendors", old, other), *load("training_invoices", *invoices)], expect=1)
    assert [(one["record"]["externalId"], one["rejected"]["code"]) for one in run.rejects] == [
        ("7", "vendor_differs"),
        ("d-2", "vendor_differs"),
    ]
    [made] = store.change().only(trainingInvoices=(1, 0, 0)).added("trainingInvoices")
    assert made["vendorExternalId"] == "50010"


@one_in(3)
@pytest.mark.parametrize(
    "settings",
    [
        {"update_mode": "replace"},
        {"compare": "none"},
        {"compare": "none", "update_mode": "replace"},
        {"deletes": "records", "update_mode": "replace"},
        {"deletes": "mirror", "max_delete_fraction": 1, "compare": "none"},
        {"bank_changes": "hold"},
        {"stream_maps": {"vendors": {"document_vendor": "documentVendor", "documentVendor": "__NULL__"}}},
        {"stream_maps": {"vendors": {"documentVendor": "__NULL__", "ivesk_document_id": "__NULL__"}}},
        {"stream_maps": {"vendors": {"name": "name", "externalId": "externalId", "__else__": "__NULL__"}}},
    ],
    ids=str,
)
def test_no_setting_lets_a_document_change_a_vendor(store: Store, target: Target, settings: Record) -> None:
    target(load("vendors", erp_vendor(), erp_vendor(externalId="304111222", taxInfo={"orgNumber": "777"})))
    store.look()
    unmarked = {"documentVendor": None}
    hostile = [
        document_vendor(),
        document_vendor("50010"),
        document_vendor(" 50010\u00a0"),
        document_vendor(defaultPaymentInfo=None, name=None, countryCode=None, taxInfo={}),
        document_vendor(defaultPaymentInfo={"bban": "86011117947", "defaultMethod": "BBAN"}),
        document_vendor(externalUpdatedAt="2030-01-01T00:00:00", state="UNCONFIRMED"),
        document_vendor("50010", _sdc_deleted_at="2026-03-03T12:00:00+00:00"),
        document_vendor("50010", documentVendor={}),
        # As the mapper of an earlier version wrote it, and its reject file has it.
        document_vendor("50010", externalUpdatedAt="2026-03-06T10:00:00.000", **unmarked),
        document_vendor("304111222", externalUpdatedAt="2026-03-06T10:00:00.000", **unmarked),
        document_vendor("50010", countryCode="PL", documentVendor=mark(countryCode="PL")),
        document_vendor("50010", documentVendor=mark(taxId="LT100009999999")),
    ]
    # Expressions of stream maps name the fields, so each spelling would need its own.
    styles = () if "stream_maps" in settings else (snake, upper)
    alike = [styled(document_vendor("50010"), style) for style in styles]
    again = [{**one, "rejected": {"at": "2020-01-01T00:00:00Z", "code": "x"}} for one in load("vendors", *hostile)[1:]]
    messages = [*load("vendors", *hostile, *alike, number=7), *again, version("vendors", 7), state(1)]
    run = target(messages, expect=None, **settings)
    assert run.states == [{"n": 1}], run.err[-2000:]
    store.untouched()
    assert run.writes == []
    assert run.report["bank_changes"] == []


def test_names_and_addresses_change_where_the_mark_says_so(store: Store, target: Target) -> None:
    target(load("vendors", erp_vendor(managers=[{"name": "Ona"}])))
    store.look()
    said = document_vendor(
        documentVendor=mark(update=True), addressCity="Kaunas", phone="+370", state="UNCONFIRMED", email="x@y.example"
    )
    run = target(load("vendors", said), update_mode="replace", compare="none")
    [(before, now)] = store.change().only(vendors=(0, 1, 0)).changed("vendors")
    given = {"name": "UAB Kita", "addressStreet": "Kita g. 1", "addressCity": "Kaunas"}
    assert now == before | given | {"internalUpdatedAt": now["internalUpdatedAt"]}
    assert run.report["bank_changes"] == []
    run = target(load("vendors", said))
    assert run.counts("vendors")["unchanged"] == 1


def test_spellings_of_numbers_find_the_vendor(store: Store, target: Target) -> None:
    target(
        load(
            "vendors",
            erp_vendor(taxInfo={"orgNumber": "LT 304-111-222", "taxId": "100001234567"}),
            erp_vendor(externalId="7", name="Nordlys AS", countryCode=None, taxInfo={"taxId": "NO 912 345 678 MVA"}),
            erp_vendor(
                externalId="8",
                name="Göta AB",
                countryCode="SE",
                taxInfo={"orgNumber": "551234-5678"},
                state="UNCONFIRMED",
                errors=[{"message": "Leverandøren er sperret"}],
            ),
        )
    )
    store.look()
    named = [
        mark(),
        mark(countryCode=None, taxId="lt100001234567", orgNumber=None),
        mark(orgNumber="304 111 222", taxId=None, countryCode="lt"),
        mark(countryCode="NO", orgNumber="912345678", taxId=None),
        mark(countryCode=None, orgNumber=None, taxId="NO912345678"),
        mark(countryCode="SE", orgNumber=None, taxId="SE551234567801"),
    ]
    records = [
        document_vendor(f"K-{n}", documentVendor=one, taxInfo={}, countryCode=None) for n, one in enumerate(named)
    ]
    run = target(load("vendors", *records))
    assert run.counts("vendors")["unchanged"] == len(records)
    store.untouched()
