"""A vendor that only documents know is made once, and is the ERP's as soon as the ERP has it."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.target_vicai.conftest import PREFIX, Target, load, state, version
from tests.target_vicai.document_vendors import (
    ERP_IBAN,
    NEVER,
    OTHER_IBAN,
    THIRD_IBAN,
    document_vendor,
    erp_vendor,
    mark,
    training,
)
from tests.target_vicai.store import Store


def test_the_erps_midnight_wins_over_the_documents_instant(store: Store, target: Target) -> None:
    """Two clocks never compete: the ERP's own vendor of the same day was left out as older."""
    target(load("vendors", document_vendor(externalUpdatedAt="2026-04-06T10:00:00.000")))
    [made] = store.change().only(vendors=(1, 0, 0)).added("vendors")
    assert made["externalUpdatedAt"] == NEVER
    own = erp_vendor(externalId="LT-304111222", externalUpdatedAt="2026-04-06T00:00:00")
    run = target(load("vendors", own))
    [(_, now)] = store.change().only(vendors=(0, 1, 0)).changed("vendors")
    assert now["defaultPaymentInfo"]["internationalBankAccount"] == {"iban": ERP_IBAN, "bic": "HABALT22"}
    iban = next(one for one in run.report["bank_changes"] if one["field"].endswith(".iban"))
    assert (iban["from"], iban["to"]) == (OTHER_IBAN, ERP_IBAN)


def test_of_several_documents_about_a_new_vendor_the_newest_invoice_counts(store: Store, target: Target) -> None:
    """However they were exported, and by whichever of its numbers they name it; it is one vendor."""
    by_vat = mark(orgNumber=None, date="2024-01-05")
    by_both, by_code = mark(date="2026-03-05"), mark(taxId=None, date="2025-06-01")
    records = [
        document_vendor("LT100001234567", name="UAB Sena", documentVendor=by_vat, taxInfo={"taxId": "LT100001234567"}),
        document_vendor("LT-304111222", ERP_IBAN, name="UAB Nauja", documentVendor=by_both),
        document_vendor("LT-304111222", THIRD_IBAN, name="UAB Vidurinė", documentVendor=by_code),
    ]
    run = target(load("vendors", *records))
    [made] = store.change().only(vendors=(1, 0, 0)).added("vendors")
    assert made["name"] == "UAB Nauja"
    assert made["defaultPaymentInfo"]["internationalBankAccount"]["iban"] == ERP_IBAN
    assert made["taxInfo"] == {"orgNumber": "304111222", "taxId": "LT100001234567"}
    assert [one["to"] for one in run.report["bank_changes"]] == [ERP_IBAN]
    # To a later run it is a vendor that exists.
    target(load("vendors", document_vendor(iban=THIRD_IBAN, documentVendor=mark(date="2027-01-01"))))
    store.untouched()


def test_the_erp_names_it_first_in_the_same_run(store: Store, target: Target, pdf: Path) -> None:
    for plan in (True, False):
        messages = [
            *load("vendors", erp_vendor(), document_vendor()),
            *load("training_invoices", training(pdf)),
        ]
        run = target(messages, dry_run=plan, compare="none" if plan else "vic")
        assert (run.counts("vendors")["created"], run.counts("vendors")["unchanged"]) == (1, 1)
        assert run.counts("training_invoices")["created"] == 1
        if plan:
            store.untouched()
    assert (
        store.change().only(vendors=(1, 0, 0), trainingInvoices=(1, 0, 0)).added("vendors")[0]["externalId"] == "50010"
    )


@pytest.mark.parametrize("kind", ["lost", "reset", "truncate"])
def test_a_lost_answer_makes_no_second_vendor(store: Store, vicai: SandboxProcess, target: Target, kind: str) -> None:
    vicai.control.fault(kind, path=f"{PREFIX}/vendors/LT-304111222", method="PUT", times=2)
    run = target(load("vendors", document_vendor()))
    assert run.counts("vendors")["created"] == 1
    [made] = store.change().only(vendors=(1, 0, 0)).added("vendors")
    assert made["defaultPaymentInfo"]["internationalBankAccount"]["iban"] == OTHER_IBAN


def test_two_runs_at_once_make_one_vendor(store: Store, vicai: SandboxProcess, target: Target) -> None:
    """Whoever makes it, the other one changes nothing: it looks again just before it writes."""
    vicai.control.fault("slow", path=f"{PREFIX}/vendors/LT-304111222", method="GET", times=1, seconds=2)
    runs: dict[str, Any] = {}

    def run(iban: str) -> None:
        runs[iban] = target(load("vendors", document_vendor(iban=iban)))

    first = threading.Thread(target=run, args=[OTHER_IBAN])
    first.start()
    while not vicai.control.faults()[0]["hits"]:
        time.sleep(0.01)
    run(ERP_IBAN)
    first.join()
    [made] = store.change().only(vendors=(1, 0, 0)).added("vendors")
    effects = {iban: one.counts("vendors") for iban, one in runs.items()}
    assert sorted(one["created"] for one in effects.values()) == [0, 1]
    assert effects[made["defaultPaymentInfo"]["internationalBankAccount"]["iban"]]["created"] == 1


def test_vics_vendors_are_read_once(vicai: SandboxProcess, target: Target) -> None:
    vicai.control.vicai.add("vendors", 250)
    records = [
        document_vendor(
            f"LT-{n}", documentVendor=mark(orgNumber=str(n), taxId=None), taxInfo={"orgNumber": str(n)}, name=f"UAB {n}"
        )
        for n in range(400_000_000, 400_000_030)
    ]
    run = target(load("vendors", *records))
    assert run.counts("vendors")["created"] == len(records)
    known = target(load("vendors", *records))
    assert known.counts("vendors")["unchanged"] == len(records)
    lists = [call for call in known.calls if call["path"] == f"{PREFIX}/vendors"]
    assert len(known.calls) <= len(lists) + 2, "the list, the token and the health check"
    cursors = [call["query"] for call in lists]
    assert len(cursors) == len({str(one) for one in cursors}), "no page twice"


def test_a_full_load_of_the_erps_keeps_the_vendors_of_documents(store: Store, target: Target) -> None:
    target(load("vendors", document_vendor()))
    store.look()
    own = [one for one in store.all("vendors") if one.get("externalId") and one["externalId"] != "LT-304111222"]
    shown = ("internalId", "internalUpdatedAt", "description", "errors")
    known = [{name: value for name, value in one.items() if name not in shown} for one in own]
    target([*load("vendors", *known, number=7), version("vendors", 7), state(1)], deletes="mirror")
    store.untouched()
