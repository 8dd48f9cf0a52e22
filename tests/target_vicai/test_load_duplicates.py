"""An invoice that Vic.ai has under another id, and VAT codes that it does not have."""

from __future__ import annotations

import datetime
import unicodedata
from decimal import Decimal
from typing import Any

from target_vicai.duplicates import Duplicates, Facts
from tests.target_vicai.cases_documents import invoice, training_invoice
from tests.target_vicai.conftest import PREFIX, Record, Target, fresh, load, state
from tests.target_vicai.scene import AT, Scene, without

VENDOR: Record = {"vendor": {"externalId": "T-1"}}
OTHER: Record = {"vendor": {"externalId": "T-2"}}


def vendors(*ids: str) -> list[Record]:
    return load("vendors", *({"externalId": id_, "externalUpdatedAt": AT, "name": f"UAB {id_}"} for id_ in ids))


def copies(scene: Scene, *changes: Record) -> list[Record]:
    """One invoice in several forms, each under an id of its own: K-0, K-1 ..."""
    first = invoice(scene) | VENDOR
    return load("invoices", *({**first, **one, "externalId": f"K-{n}"} for n, one in enumerate(changes)))


def present(scene: Scene) -> set[str]:
    return {str(one["externalId"]) for one in scene.vicai.control.vicai.records("invoices")} & {
        f"K-{n}" for n in range(20)
    }


def lists(calls: list[Record]) -> list[Record]:
    return [call for call in calls if call["path"] == f"{PREFIX}/invoices" and call["method"] == "GET"]


def test_an_invoice_that_vic_has_under_another_id_is_set_aside(scene: Scene, target: Target) -> None:
    target(vendors("T-1", "T-2"))
    target(copies(scene, {}))
    said = copies(
        scene,
        {},
        {"refNumber": invoice(scene)["refNumber"].lower().replace("-", " ")},
        {"totalAmount": f"{invoice(scene)['totalAmount']}00"},
        # The ERP's own currency goes without saying.
        {"currency": None},
        # Something else each time, so another invoice.
        OTHER,
        {"refNumber": "another"},
        {"issueDate": "2026-02-02"},
        {"totalAmount": "1.00"},
        {"transactionType": "CREDITNOTE"},
        {"currency": "SEK"},
        {"refNumber": None},
        {"issueDate": None},
    )
    run = target([*said, state(1)], expect=1)
    rejected = {one["record"]["externalId"]: one["rejected"] for one in run.rejects}
    assert rejected.keys() == {"K-1", "K-2", "K-3"}
    assert {one["code"] for one in rejected.values()} == {"duplicate"}
    first = rejected["K-1"]
    assert (first["params"]["other"], first["params"]["docnum"]) == ("K-0", said[2]["record"]["refNumber"])
    assert "as K-0: the same vendor, number, date and total (" in first["reason"]
    assert present(scene) == {"K-0", *(f"K-{n}" for n in range(4, 12))}
    assert run.states == [{"n": 1}]
    # The first copy is the same invoice, whatever else there is; and whoever wants both has both.
    again = target(copies(scene, {}))
    assert (again.counts("invoices")["unchanged"], lists(again.calls)) == (1, [])
    allowed = target(said, duplicates="allow")
    assert present(scene) == {f"K-{n}" for n in range(12)}
    assert lists(allowed.calls) == []


def test_one_that_came_to_vic_by_mail_has_no_id_of_the_erp(scene: Scene, target: Target) -> None:
    given = invoice(scene)
    same = {name: given[name] for name in ("refNumber", "issueDate", "currency", "transactionType")}
    vendor = {"vendorInternalId": scene.vendor["internalId"], "vendorExternalId": scene.vendor["externalId"]}
    facts = same | vendor | {"totalAmount": str(given["totalAmount"]), "externalId": None}
    (held,) = scene.vicai.control.vicai.add("invoices", **facts)
    run = target(load("invoices", given), expect=1)
    assert run.rejects[0]["rejected"]["params"]["other"] == f"{held} (Vic.ai's id)"
    assert run.writes == []


def test_two_copies_of_one_run(scene: Scene, target: Target) -> None:
    """Loaded at the same time by several threads: one of them, and only one."""
    run = target([*vendors("T-1"), *copies(scene, *({} for _ in range(10)))], expect=1)
    assert len(present(scene)) == 1
    assert len(run.rejects) == 9
    assert {one["rejected"]["code"] for one in run.rejects} == {"duplicate"}
    # Vic's list is read once, from a quarter before the invoice on.
    (asked,) = lists(run.calls)
    issued = datetime.date.fromisoformat(invoice(scene)["issueDate"])
    assert f"since={issued - datetime.timedelta(days=92)}" in asked["query"]


def test_copies_of_one_run_of_which_one_leaves_its_currency_unsaid(scene: Scene, target: Target) -> None:
    first: list[dict[str, Any]] = [{"currency": None}, {}, {"currency": "SEK"}]
    second = [{**one, "issueDate": "2026-02-02"} for one in ({"currency": "SEK"}, {}, {"currency": None})]
    run = target([*vendors("T-1"), *copies(scene, *first, *second)], expect=1, max_concurrency=1)
    # One that says no currency is a copy of any; of two that say different ones none is.
    assert {one["rejected"]["code"] for one in run.rejects} == {"duplicate"}
    assert present(scene) == {"K-0", "K-3", "K-4"}


def test_a_copy_of_what_vic_refused_is_not_lost(scene: Scene, target: Target) -> None:
    target(vendors("T-1"))
    bad = {"lineItems": [{"amount": "1.00", "costAccount": {"externalId": "none"}}]}
    run = target(copies(scene, bad, bad), expect=1)
    assert {one["rejected"]["code"] for one in run.rejects} <= {"unknown_reference", "duplicate"}
    assert (len(run.rejects), present(scene)) == (2, set())
    assert target(copies(scene, {})).counts("invoices")["created"] == 1


def test_a_plan_names_them_as_well(scene: Scene, target: Target) -> None:
    target(vendors("T-1"))
    target(copies(scene, {}))
    run = target(copies(scene, {}, {}), expect=1, dry_run=True)
    assert run.report["reject_codes"] == {"duplicate": 1}
    assert "! K-1" in run.err


def test_a_document_that_teaches_twice_is_set_aside(scene: Scene, target: Target) -> None:
    """Of documents only: what an ERP has booked twice is its own business."""
    given = without(training_invoice(scene), "totalAmount") | {"ivesk_document_id": "d-1"}
    lines = [{"index": 0, "amount": Decimal("12345678901234567.890")}]

    def copy(key: str, **changes: Any) -> Record:
        return given | {"externalId": key, "externalUpdatedAt": "2026-05-06T10:00:00.000"} | changes

    target(load("training_invoices", copy("T-1")))
    same, other = copy("T-2", lineItems=lines), copy("T-3", refNumber="TR-2")
    erps = without(copy("T-4"), "ivesk_document_id")
    run = target([*load("training_invoices", same, other), *load("training_invoices", erps)], expect=1)
    assert [one["record"]["externalId"] for one in run.rejects] == ["T-2"]
    assert run.rejects[0]["rejected"]["code"] == "duplicate"
    assert "as a training invoice of 2026-05-06T10:00:00.000: the same vendor" in run.reasons[0]
    assert run.counts("training_invoices")["created"] == 2
    again = target(load("training_invoices", copy("T-1"), other))
    assert (again.counts("training_invoices")["unchanged"], again.writes) == (2, [])
    assert target(load("training_invoices", same), duplicates="allow").counts("training_invoices")["created"] == 1


def test_a_copy_whose_date_is_misread_as_years_ahead(scene: Scene, target: Target) -> None:
    """Vic's list was asked for what had changed from that date on: nothing had, and the copy was created."""
    ahead: Record = {"issueDate": "2062-02-01", "glDate": None, "dueDate": None}
    taught = without(training_invoice(scene), "totalAmount") | ahead | {"ivesk_document_id": "d-1"}
    target(load("training_invoices", taught | {"externalId": "T-1"}))
    run = target(load("training_invoices", taught | {"externalId": "T-2"}), expect=1)
    assert [one["rejected"]["code"] for one in run.rejects] == ["duplicate"]
    target([*vendors("T-1"), *copies(scene, {})])
    run = target(copies(scene, {}, ahead))
    [asked] = lists(run.calls)
    assert "since=2062" not in asked["query"]
    assert datetime.date.fromisoformat(asked["query"].partition("since=")[2][:10]) < datetime.date.today()


def test_old_invoices_do_not_read_the_list_again_and_again() -> None:
    asked: list[datetime.date] = []

    def read_since(since: datetime.date) -> list[Any]:
        asked.append(since)
        return []

    finder = Duplicates(read_since)
    day = datetime.date(2020, 6, 30)
    for number in range(1000):
        issued = (day - datetime.timedelta(days=number)).isoformat()
        body = {"refNumber": f"R-{number}", "issueDate": issued, "totalAmount": "1", "vendor": {"externalId": "1"}}
        with finder.claim(str(number), body):
            pass
    assert asked[0] == datetime.date(2020, 3, 30)
    assert len(asked) < 8


def test_what_tells_two_invoices_apart() -> None:
    one = {"refNumber": "SF-1", "issueDate": "2026-01-31", "totalAmount": "12.10", "currency": "EUR"}
    same = {"refNumber": "sf 1", "issueDate": "2026-01-31T00:00:00", "totalAmount": "12.1", "currency": "eur"}
    assert Facts.of(one) == Facts.of(same) is not None
    composed, in_parts = ({**one, "refNumber": unicodedata.normalize(form, "Sąsk. 1")} for form in ("NFC", "NFD"))
    assert Facts.of(composed) == Facts.of(in_parts) != Facts.of({**one, "refNumber": "Sask. 1"})
    live = {**same, "totalAmount": None, "amountSum": "12.100"}
    assert Facts.of(live) == Facts.of(one)
    for missing in ("refNumber", "issueDate", "totalAmount"):
        assert Facts.of({**one, missing: None}) is None
    assert Facts.of({**one, "totalAmount": "twelve"}) is None
    assert Facts.of({**one, "refNumber": "-"}) is None
    taught = {**one, "lineItems": [{"amount": Decimal("10.00")}, {"amount": "2.10"}]}
    shown = {**one, "totalAmount": None, "lineItems": [{"amount": Decimal("12.1")}]}
    assert Facts.of_training(taught) == Facts.of_training(shown) == Facts.of(one)
    assert Facts.of_training(one) is None


# VAT codes


def coded(scene: Scene, **vat: str | None) -> Record:
    line = {"amount": "10.00", "vat": {"amount": "2.50", **vat}}
    return invoice(scene) | VENDOR | {"lineItems": [line]}


def test_vat_codes_are_looked_up_as_accounts_are(scene: Scene, target: Target) -> None:
    target(vendors("T-1"))
    for unknown in ({"code": "PVM99"}, {"externalId": "PVM99"}, {"code": "PVM99", "externalId": None}):
        run = target(load("invoices", coded(scene, **unknown)), expect=1)
        by = "code" if unknown.get("code") else "externalId"
        assert run.rejects[0]["rejected"]["params"]["references"] == [
            {"kind": "vat_code", "key": "PVM99", "field": f"lineItems[0].vat.{by}"}
        ]
        assert run.writes == []
    known = scene.vicai.control.vicai.records("vatCodes")[0]
    for number, given in enumerate(({"code": known["code"]}, {"externalId": known["externalId"], "code": "any"})):
        fields = coded(scene, **given) | {"externalId": f"K-{number}", "refNumber": f"R-{number}"}
        assert target(load("invoices", fields)).counts("invoices")["created"] == 1


def test_a_vat_code_may_come_in_the_same_run(scene: Scene, target: Target) -> None:
    code = {"externalId": "MVA-77", "externalUpdatedAt": AT, "code": "77", "rate": "0.25", "description": "MVA 77"}
    for given in ({"code": "77"}, {"externalId": "MVA-77"}):
        fresh(scene.vicai, invoices=3)
        run = target([*vendors("T-1"), *load("vat_codes", code), *load("invoices", coded(scene, **given))])
        assert run.counts("invoices")["created"] == 1
