"""Vendors that documents name tie with the vendors that target-vicai found or made for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.tieout.conftest import Record, TieOut
from tests.tieout.test_tieout_input import AT, Load, line

NUMBERS = {"known": "304111222", "new": "304111333", "gone": "304111444"}


def mark(name: str) -> Record:
    return {"countryCode": "LT", "orgNumber": NUMBERS[name], "name": f"UAB {name}"}


def vendor(name: str) -> Record:
    """As the mapper writes it; its account and address differ from the ERP's."""
    return {
        "externalId": f"LT-{NUMBERS[name]}",
        "externalUpdatedAt": "1970-01-01T00:00:00",
        "name": f"UAB {name}",
        "addressStreet": "Kita g. 1",
        "countryCode": "LT",
        "taxInfo": {"orgNumber": NUMBERS[name]},
        "documentVendor": mark(name),
    }


@pytest.fixture
def documents(vicai: SandboxProcess, tmp_path: Path) -> Load:
    vicai.control.reset(documents=0, invoices=3, vicai={"rate_requests": 0})
    load = Load(vicai, tmp_path)
    erps = vendor("known") | {"externalId": "50010", "externalUpdatedAt": AT, "addressStreet": "Liepų g. 5"}
    load.streams = {"vendors": [{name: value for name, value in erps.items() if name != "documentVendor"}]}
    load.run()
    invoices = [
        load._training(f"D-{name}", f"LT-{NUMBERS[name]}", [line(0, "10.00", "2.10")], "12.10")
        | {"document_vendor": mark(name)}
        for name in ("known", "new")
    ]
    load.streams = {"vendors": [vendor("known"), vendor("new")], "training_invoices": invoices}
    load.run()
    return load


def test_what_the_target_found_and_made_ties(documents: Load, tie_input: TieOut) -> None:
    done = tie_input(str(documents.input))
    assert done.report["ties"], done.out
    assert "vendors: 2 vendors of documents: only whether Vic.ai has them was compared." in done.out
    # Without the mark the made-up key of the known one would be missing.
    for records in documents.streams.values():
        for one in records:
            one.pop("documentVendor", None)
            one.pop("document_vendor", None)
    assert tie_input(str(documents.input)).found("vendors")["missing"] == (1, ["LT-304111222"])


def test_a_vendor_that_vic_does_not_have_is_missing(documents: Load, tie_input: TieOut) -> None:
    documents.streams["vendors"].append(vendor("gone"))
    done = tie_input(str(documents.input))
    assert done.found("vendors") == {"missing": (1, ["LT-304111444"])}
    documents.streams["vendors"].pop()
    documents.streams["training_invoices"][0] |= {"document_vendor": mark("new")}
    assert tie_input(str(documents.input)).words("training_invoices", "field") == [
        "vendorExternalId LT-304111333 became 50010"
    ]
