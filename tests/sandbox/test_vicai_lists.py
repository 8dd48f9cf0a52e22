"""Lists: their order, pages, filters, and what changes while somebody reads them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.campaign import one_in
from tests.sandbox.emulated_vic import DECODER, Vic

IN = {"useSystem": "INTERNAL"}


def held(vic: Vic, resource: str) -> list[str]:
    return [record.get("internalId") or record["id"] for record in vic.control.records(resource)]


def instants(records: list[dict[str, Any]]) -> list[str]:
    return [record["internalUpdatedAt"] for record in records]


@one_in(3)
@pytest.mark.parametrize("cursors", ["keyset", "offset"])
@pytest.mark.parametrize("order", ["sorted", "shuffled"])
@pytest.mark.parametrize("last_cursor", ["absent", "empty"])
def test_pages_hold_every_record_once(vic: Vic, cursors: str, order: str, last_cursor: str) -> None:
    vic.control.options(cursors=cursors, order=order, last_cursor=last_cursor, empty_page_every=3)
    for path, more in (
        ("accounts", {}),
        ("accounts", {**IN, "sortOrder": "DESCENDING"}),
        ("invoices", {**IN, "state": "ALL"}),
        ("vendorGroups", {}),
        ("paymentBatches", {"status": "all"}),
    ):
        pages = list(vic.pages(f"/{path}", limit=7 if path != "vendorGroups" else 2, **more))
        ids = [record.get("internalId") or record["id"] for page in pages for record in page]
        assert sorted(ids) == sorted(held(vic, path)), (path, more)
        assert any(not page for page in pages) == (len(pages) > 3)
    plain = vic.ask("GET", "/dimensions").headers
    assert plain.get("x-next") == ("" if last_cursor == "empty" else None)


def test_lists_are_sorted_by_the_time_that_since_means(vic: Vic) -> None:
    records = vic.all("/accounts", **IN)
    keys = [(record["internalUpdatedAt"], int(record["internalId"])) for record in records]
    assert keys == sorted(keys)
    assert vic.ids("/accounts", **IN, sortOrder="DESCENDING") == [str(id_) for _, id_ in reversed(keys)]
    external = [record.get("externalUpdatedAt", "") for record in vic.all("/accounts")]
    assert external == sorted(external)
    assert len(external) == len(keys)
    vic.control.options(order="shuffled")
    shuffled = vic.all("/accounts", **IN)
    assert instants(shuffled) != sorted(instants(shuffled))
    assert {record["internalId"] for record in shuffled} == {str(id_) for _, id_ in keys}


@one_in(3)
@pytest.mark.parametrize("order", ["sorted", "shuffled"])
@pytest.mark.parametrize("since_is", ["inclusive", "exclusive"])
def test_since_borders(vic: Vic, since_is: str, order: str) -> None:
    vic.control.options(since_is=since_is, order=order)
    [touched] = vic.control.touch("accounts", count=1)
    [at] = [record["internalUpdatedAt"] for record in vic.all("/accounts", **IN) if record["internalId"] == touched]
    assert vic.ids("/accounts", **IN, since=at) == ([touched] if since_is == "inclusive" else [])
    local = max(record.get("externalUpdatedAt", "") for record in vic.all("/accounts"))
    found = vic.all("/accounts", since=local)
    assert {record["externalUpdatedAt"] for record in found} == ({local} if since_is == "inclusive" else set())
    # An offset is a place on Vic's clock, and nothing at all on the ERP's.
    assert vic.ids("/accounts", **IN, since=at.replace("Z", "+00:00")) == vic.ids("/accounts", **IN, since=at)
    assert vic.all("/accounts", since=local + "-09:00") == found


def test_records_that_the_erp_has_not_named_are_found_by_vics_time_only(vic: Vic) -> None:
    [new] = vic.control.add("vendors", 1, name="Ny", externalId=None, externalUpdatedAt=None)
    assert new in vic.ids("/vendors")
    assert new not in vic.ids("/vendors", since="2000-01-01T00:00:00")
    assert new in vic.ids("/vendors", **IN, since="2000-01-01T00:00:00")


@pytest.mark.parametrize("digits", [0, 3, 6])
def test_instants_have_the_digits_that_the_option_says(vic: Vic, digits: int) -> None:
    vic.control.options(instant_digits=digits)
    shapes = {len(instant) for instant in instants(vic.all("/accounts", **IN))}
    assert shapes == {21 + digits if digits else 20}
    at = vic.all("/accounts", **IN)[-1]["internalUpdatedAt"]
    assert vic.all("/accounts", **IN, since=at)[-1]["internalUpdatedAt"] == at
    assert vic.control.touch("accounts", count=1, at="2031-01-01T00:00:00.123456Z")
    assert vic.all("/accounts", **IN)[-1]["internalUpdatedAt"].startswith("2031-01-01T00:00:00")


@pytest.mark.parametrize(("cursors", "complete"), [("keyset", True), ("offset", False)])
def test_what_changes_while_somebody_pages(vic: Vic, cursors: str, complete: bool) -> None:
    vic.control.options(cursors=cursors)
    all_ids = set(held(vic, "accounts"))
    pages, seen = vic.pages("/accounts", limit=20, **IN), set()
    seen |= {record["internalId"] for record in next(pages)}
    vic.control.touch("accounts", count=5)  # five that were handed out already move behind all others
    seen |= {record["internalId"] for page in pages for record in page}
    assert (seen == all_ids) == complete


def test_invoices_are_the_posted_ones_unless_asked_otherwise(vic: Vic) -> None:
    every = vic.control.records("invoices")
    posted = {record["internalId"] for record in every if record["status"] == "POSTED"}
    assert set(vic.ids("/invoices")) == posted
    assert set(vic.ids("/invoices", state="ALL")) == {record["internalId"] for record in every} > posted
    states = {record["status"] for record in every}
    for state in states:
        assert {record["status"] for record in vic.all("/invoices", state=state)} == {state}
    vic.control.options(unposted_allowed=False)
    assert set(vic.ids("/invoices", state="POSTED")) == posted
    for state in ("ALL", "NOT_READY"):
        assert vic.ask("GET", "/invoices", params={"state": state}).json()["code"] == 403


def test_vendors_are_filtered(vic: Vic) -> None:
    [pending] = vic.control.add("vendors", 1, state="UNCONFIRMED", errors=[])
    [predicted] = vic.control.add("vendors", 1, state="unconfirmed", errors=[], externalId=None)
    [active] = vic.control.add("vendors", 1, state="CONFIRMED", errors=[])
    [errored] = vic.control.add("vendors", 1, state="CONFIRMED", errors=[{"message": "x"}])
    filtered = {state: set(vic.ids("/vendors", state=state)) for state in ("ACTIVE", "PENDING", "PREDICTED", "ERRORED")}
    assert sorted(id_ for ids in filtered.values() for id_ in ids) == sorted(held(vic, "vendors"))
    for state, id_ in (("ACTIVE", active), ("PENDING", pending), ("PREDICTED", predicted), ("ERRORED", errored)):
        assert id_ in filtered[state]
    unconfirmed = set(vic.ids("/vendors", confirmed="false"))
    assert {pending, predicted} <= unconfirmed
    assert set(vic.ids("/vendors", unconfirmed="false")) == set(held(vic, "vendors")) - unconfirmed


def test_purchase_orders_are_the_open_ones_unless_asked_otherwise(vic: Vic) -> None:
    every = vic.control.records("purchaseOrders")
    by_status = {s: {o["internalId"] for o in every if o["status"] == s} for s in ("open", "closed")}
    assert all(by_status.values())
    assert set(vic.ids("/purchaseOrders")) == by_status["open"]
    assert set(vic.ids("/purchaseOrders", status="closed")) == by_status["closed"]
    middle = sorted(instants(every))[len(every) // 2]
    for status, ids in by_status.items():
        early = set(vic.ids("/purchaseOrders", status=status, upto=middle))
        late = set(vic.ids("/purchaseOrders", status=status, since=middle))
        assert early | late == ids
        assert early & late == {o["internalId"] for o in every if o["internalUpdatedAt"] == middle} & ids


def test_batches_are_filtered_by_completion_which_pending_ones_never_meet(vic: Vic) -> None:
    every = vic.control.records("paymentBatches")
    completed = sorted(batch["completedAt"] for batch in every if batch.get("completedAt"))
    assert 0 < len(completed) < len(every)
    early, late = {"completedAtOrBefore": completed[2]}, {"completedAtOrAfter": completed[2]}
    assert sorted(b["completedAt"] for b in vic.all("/paymentBatches", **early)) == completed[:3]
    assert sorted(b["completedAt"] for b in vic.all("/paymentBatches", **late)) == completed[2:]
    assert [b["completedAt"] for b in vic.all("/paymentBatches", **early, **late)] == [completed[2]]
    assert vic.ids("/paymentBatches") == sorted(held(vic, "paymentBatches"))
    for status in ("pending_approval", "approved", "rejected", "voided"):
        wanted = {batch["id"] for batch in every if batch["status"] == status}
        assert set(vic.ids("/paymentBatches", status=status)) == wanted


def test_vat_codes_by_their_code_and_local_time(vic: Vic) -> None:
    every = vic.control.records("vatCodes")
    assert vic.all("/vatCodes", vatCode=every[3]["code"]) == [r for r in every if r["code"] == every[3]["code"]]
    newest = max(record["externalUpdatedAt"] for record in every if record.get("externalUpdatedAt"))
    found = vic.all("/vatCodes", since=newest)
    assert {record["externalUpdatedAt"] for record in found} == {newest}


def test_a_list_of_one_may_be_the_object_itself(vic: Vic) -> None:
    for path in ("/paymentTerms", "/taxCodes"):
        resource = path.strip("/")
        vic.control.delete(resource, held(vic, resource)[1:])
        assert [r["id"] for r in DECODER.decode(vic.ask("GET", path).content)] == held(vic, resource)
    vic.control.options(lone_objects=True)
    assert vic.call("listPaymentTerms")["id"] == held(vic, "paymentTerms")[0]
    assert vic.call("getTaxCodes")["id"] == held(vic, "taxCodes")[0]
    vic.call("createTaxCode", body={"code": "a", "description": "b", "rate": "1"})
    assert len(vic.call("getTaxCodes")) == 2
