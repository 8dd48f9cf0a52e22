"""`tap-saft | target-vicai`, both real: the store holds what the file says, and a second run writes nothing."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeCatalog, RunTap
from tests.tap_saft.conftest import BOOKKEEPING, NORWAY_110, TO_VIC, Write
from tests.target_vicai.conftest import Target, load, store, target, version, vicai
from tests.target_vicai.store import BY_VIC, Store, covers

__all__ = ["store", "target", "vicai"]

SAMPLES = Path(__file__).parents[3] / "shared" / "samples" / "saf-t"
RESOURCE_OF = {"accounts": "accounts", "dimensions": "dimensions", "vendors": "vendors", "vat_codes": "vatCodes"}


def vics(record: dict[str, Any], stream: str) -> dict[str, Any]:
    """What of a record goes to Vic.ai: names with a capital in them, or none that SAF-T knows."""
    plain = {"number", "name", "type", "code", "description", "rate", "email", "phone", "currency"}
    given = {name: item for name, item in record.items() if name in plain or not name.islower()}
    given.pop("formerExternalId", None)
    return given


def check_store(store: Store, records: dict[str, list[dict[str, Any]]]) -> None:
    """The store has gained the records, each with all that it says, and nothing else."""
    change = store.change()
    change.only(**{RESOURCE_OF[stream]: (len(records[stream]), 0, 0) for stream in TO_VIC})
    for stream in TO_VIC:
        given = {record["externalId"]: vics(record, stream) for record in records[stream]}
        shown = {record["externalId"]: record for record in change.added(RESOURCE_OF[stream])}
        assert shown.keys() == given.keys()
        for key, record in given.items():
            assert {n: (v, shown[key].get(n)) for n, v in record.items() if not covers(shown[key].get(n), v)} == {}
            extra = {n for n, v in shown[key].items() if v not in (None, [], {}, "")} - record.keys() - BY_VIC
            by_vic = {"state", "confirmedAt", "taxInfo", "defaultPaymentInfo", "companyId", "poMatchingDocumentLevel"}
            assert extra <= by_vic, extra


def test_what_is_loaded_is_what_the_file_says(tap: RunTap, target: Target, store: Store, catalog: MakeCatalog) -> None:
    chosen = catalog(*TO_VIC)
    run = tap(path=str(NORWAY_110), catalog=chosen)
    load = target(run.lines)
    assert load.states[-1] == run.state
    check_store(store, run.records)
    # What only a warehouse takes needs no warning; what the standard does not know does.
    warnings = [line.split(" | ")[-1] for line in load.err.splitlines() if "| WARNING" in line]
    assert warnings == ["accounts: saft_name, kostnadsbærer: ignored; Vic.ai has no such fields."]
    # With a fresh state everything comes again, and nothing is written.
    again = target(tap(path=str(NORWAY_110), catalog=chosen).lines)
    assert again.writes == []
    store.untouched()


def test_a_new_export_writes_what_changed(
    tap: RunTap, target: Target, store: Store, catalog: MakeCatalog, write: Write
) -> None:
    chosen = catalog(*TO_VIC)
    write("jan.xml")
    first = tap(catalog=chosen)
    target(first.lines)
    store.look()
    write("feb.xml", NORWAY_110, ("2026-02-01", "2026-02-28"), ("ClosingDebitBalance>+007.50", "ClosingDebitBalance>8"))
    same = tap(catalog=chosen, state=first.state)
    assert len(same.records["vendors"]) == 2
    assert target(same.lines).writes == []
    write("mar.xml", NORWAY_110, ("2026-02-01", "2026-03-31"), ("Fjord Papir AS", "Fjord Papir Årdal AS"))
    third = target(tap(catalog=chosen, state=same.state).lines)
    assert third.writes == [("PUT", "/vendors/2000")]
    (((before, after)),) = store.change().only(vendors=(0, 1, 0)).changed("vendors")
    assert (before["name"], after["name"]) == ("Fjord Papir AS", "Fjord Papir Årdal AS")
    assert after["externalUpdatedAt"].startswith("2026-03-31T00:00:00")


def test_an_older_export_leaves_the_newer_alone(
    tap: RunTap, target: Target, store: Store, catalog: MakeCatalog, write: Write
) -> None:
    chosen = catalog(*TO_VIC)
    target(tap(path=str(NORWAY_110), catalog=chosen).lines)
    store.look()
    older = write("x.xml", NORWAY_110, ("2026-02-01", "2025-02-01"), ("Fjord Papir AS", "Gammelt navn"))
    assert target(tap(path=str(older), catalog=chosen).lines).writes == []
    store.untouched()


def test_raw_tax_codes_make_none_at_vic(tap: RunTap, target: Target, store: Store, catalog: MakeCatalog) -> None:
    """Vic.ai has a stream of that name, and what is made there stays for ever."""
    load = target(tap(path=str(NORWAY_110), catalog=catalog("tax_codes")).lines, expect=1)
    assert load.writes == []
    assert len(load.rejects) == 4
    store.untouched()


@pytest.mark.skipif(not SAMPLES.exists(), reason="the sample is not there")
def test_the_tax_administrations_example_loads(tap: RunTap, target: Target, store: Store, catalog: MakeCatalog) -> None:
    chosen = catalog(*TO_VIC)
    run = tap(path=str(SAMPLES), catalog=chosen)
    # Its account numbers are invented: vendors come without those that fail.
    rejects = target(run.lines, expect=1).rejects
    assert {one["rejected"]["code"] for one in rejects} == {"bank_account"}
    failing = {one["record"]["externalId"] for one in rejects}
    for vendor in run.records["vendors"]:
        if vendor["externalId"] in failing:
            vendor["defaultPaymentInfo"].pop("bban")
            vendor["defaultPaymentInfo"].pop("defaultMethod", None)
            vendor["defaultPaymentInfo"] = vendor["defaultPaymentInfo"] or None
    assert {stream: len(run.records[stream]) for stream in TO_VIC} == {
        "accounts": 22,
        "dimensions": 8,
        "vendors": 6,
        "vat_codes": 8,  # one of nine entries is an older one of the same code
    }
    check_store(store, run.records)
    assert target(tap(path=str(SAMPLES), catalog=chosen).lines, expect=1).writes == []
    store.untouched()


def of_before(*codes: str) -> list[dict[str, Any]]:
    """VAT codes as 0.1.0 loaded them: without a type in the key; of two types that share a code one was lost."""
    common = {"externalUpdatedAt": "2026-01-01T00:00:00", "rate": Decimal("14.1")}
    return [{"externalId": code, "code": code, "description": f"Kode {code}"} | common for code in codes]


def test_vat_codes_of_before_are_not_doubled(tap: RunTap, target: Target, store: Store, catalog: MakeCatalog) -> None:
    target(load("vat_codes", *of_before("1", "1K")))
    store.look()
    given = tap(path=str(BOOKKEEPING), catalog=catalog("vat_codes")).lines
    target(given)
    change = store.change().only(vatCodes=(2, 2, 0))
    assert {one["externalId"]: one["rate"] for one in store.all("vatCodes") if one["externalId"][3:4] != "-"} == {
        "1": 25,  # employer's tax was under VAT's key
        "1K": 25,
        "MVA:1H": 25,
        "AGA:1": Decimal("14.1"),
    }
    for before, after in change.changed("vatCodes"):
        assert after["externalId"] == before["externalId"]
        assert after["remoteData"]["saft"]["tax_type"] == "MVA"
    assert target(given).writes == []
    store.untouched()


@pytest.mark.parametrize("compare", ["vic", "none"])
def test_a_mirror_keeps_vat_codes_of_before(target: Target, store: Store, compare: str) -> None:
    target(load("vat_codes", *of_before("1", "2")))
    names = ("externalId", "code", "externalUpdatedAt")
    kept = [{name: one[name] for name in names} for one in store.look().records["vatCodes"].values()]
    kept = [one for one in kept if one["externalId"] not in {"1", "2"}]
    typed = [
        one | {"externalId": f"MVA:{one['code']}", "formerExternalId": one["code"], "description": "now"}
        for one in of_before("1", "2")
    ]
    messages = [*load("vat_codes", *kept, *typed, number=7), version("vat_codes", 7)]
    target(messages, deletes="mirror", compare=compare)
    store.change().only(vatCodes=(0, 2 if compare == "vic" else len(kept) + 2, 0))


def test_a_code_of_the_erp_itself_is_another_one(target: Target, store: Store) -> None:
    """A former key finds what has the same code; what merely has that key is something else."""
    target(load("vat_codes", {**of_before("1")[0], "code": "OTHER"}))
    store.look()
    target(load("vat_codes", {**of_before("1")[0], "externalId": "MVA:1", "formerExternalId": "1"}))
    store.change().only(vatCodes=(1, 0, 0))


def test_what_others_keep_beside_it_stays(
    tap: RunTap, target: Target, store: Store, catalog: MakeCatalog, write: Write
) -> None:
    chosen, closed = catalog("dimensions"), "<EndDate>2023-12-31</EndDate><Status>Closed</Status>"
    write("jan.xml", BOOKKEEPING)
    first = tap(catalog=chosen)
    target(first.lines)
    bridge = {"externalId": "P:100", "externalUpdatedAt": "2026-02-02T00:00:00", "name": "Bro"}
    marked = {"saft": {"status": "Closed", "start_date": "2020-01-01", "end_date": "2023-12-31"}}
    target(load("dimensions", bridge | {"externalData": {"ansvarlig": "Åse", **marked}}))
    store.look()
    write("feb.xml", BOOKKEEPING, ("2026-02-01<", "2026-03-01<"))
    assert target(tap(catalog=chosen, state=first.state).lines).writes == []
    # What is open again is no longer marked as closed.
    write("mar.xml", BOOKKEEPING, ("2026-02-01<", "2026-03-31<"), (closed, ""))
    target(tap(catalog=chosen, state=first.state).lines)
    (((_, after)),) = store.change().only(dimensions=(0, 1, 0)).changed("dimensions")
    assert after["externalData"] == {"ansvarlig": "Åse", "saft": {"start_date": "2020-01-01"}}
