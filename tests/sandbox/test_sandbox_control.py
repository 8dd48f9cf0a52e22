"""The control API."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import requests

from ap_connectors.sandbox.process import SandboxError, SandboxProcess
from tests.sandbox.emulated import call, held, ids, page, pages


def test_the_overview_counts_and_sums_exactly(sandbox: SandboxProcess) -> None:
    sandbox.control.ivesk()  # from here on, sums are kept up to date rather than made anew
    sandbox.control.add(1, overrides={"currency": "EUR", "total": Decimal("12345678901234567.89")})
    sandbox.control.export(count=3)
    documents = sandbox.control.documents()
    overview = sandbox.control.ivesk()
    sums: dict[str, Decimal] = {}
    for document in documents:
        sums[document["currency"]] = sums.get(document["currency"], Decimal(0)) + document["total"]
    assert {currency: entry["total"] for currency, entry in overview["sums"].items()} == {
        currency: str(total) for currency, total in sums.items()
    }
    assert sum(entry["documents"] for entry in overview["sums"].values()) == len(documents)
    exported = overview["exported"]
    assert exported == {
        "count": len(documents),
        "first": documents[0]["exportedat"],
        "last": documents[-1]["exportedat"],
    }
    assert overview["digitized"]["count"] == overview["documents"] == 301
    assert sum(company["exported"] for company in overview["companies"]) == len(documents)
    assert overview["options"]["from_is"] == "exclusive"


@pytest.mark.parametrize("queue", ["exported", "digitized"])
def test_documents_are_listed_exactly_as_served(sandbox: SandboxProcess, queue: str) -> None:
    served = page(sandbox, queue)["documents"]
    listed = sandbox.control.documents(queue)[: len(served)]
    assert [list(document) for document in listed] == [[n for n in document if n != "url"] for document in served]
    for document in served:
        assert document.pop("url")
    assert listed == served
    assert sandbox.control.documents(queue, with_url=True)[0]["url"]


def test_new_documents_come_after_all_others_in_clicks(sandbox: SandboxProcess) -> None:
    before = {queue: sandbox.control.ivesk(False)[queue]["last"] for queue in ("exported", "digitized")}
    made = sandbox.control.add(120)
    for queue in ("exported", "digitized"):
        new = sandbox.control.documents(queue)[-120:]
        assert {document["id"] for document in new} == set(made)
        assert all(document[f"{queue}at"] > max(before.values()) for document in new)
    clicks = {document["exportedat"] for document in sandbox.control.documents()[-120:]}
    assert 1 < len(clicks) < 120


def test_new_documents_may_stay_unexported(sandbox: SandboxProcess) -> None:
    [made] = sandbox.control.add(1, export=False)
    assert held(sandbox, "digitized")[-1] == made
    assert made not in held(sandbox)


def test_an_instant_in_the_past_keeps_the_queue_sorted(sandbox: SandboxProcess) -> None:
    made = sandbox.control.add(3, instant="2026-01-06T00:00:00.5+00:00")
    documents = sandbox.control.documents()
    instants = [document["exportedat"] for document in documents]
    assert instants == sorted(instants)
    found = [document for document in documents if document["id"] in made]
    assert [d["exportedat"] for d in found] == ["2026-01-06T00:00:00.500Z"] * 3
    assert instants[-1] > "2026-01-06T00:00:00.500Z"


def test_fields_are_replaced_added_and_removed_verbatim(sandbox: SandboxProcess) -> None:
    overrides: dict[str, Any] = {
        "id": "../../etc",
        "total": Decimal("99999999999999999.90"),
        "date": None,
        "docnum": 'ž"\n',
        "doctype": "memo",
        "nova": {"a": [Decimal("1.10"), None]},
        "url": "https://example.org/x",
    }
    line_overrides = {"price": Decimal("0.1000"), "colour": "ruda"}
    made = sandbox.control.add(2, overrides=overrides, line_overrides=line_overrides, remove=["currency", "userdata"])
    assert made == ["../../etc"] * 2
    document = sandbox.control.documents(with_url=True)[-1]
    assert {name: document[name] for name in overrides} == overrides
    assert {"currency", "userdata"} & document.keys() == set()
    assert str(document["lines"][0]["price"]) == "0.1000"
    assert document["lines"][0]["colour"] == "ruda"
    assert ids(pages(sandbox, doctype="memo")) == made


@pytest.mark.parametrize("remove", [["url"], ["filename", "exportedat"], ["id"], ["lines", "digitizedat"]])
def test_whatever_is_removed_the_rest_is_still_json(sandbox: SandboxProcess, remove: list[str]) -> None:
    sandbox.control.add(1, instant="2030-01-01T10:00:00Z", remove=remove)
    [document] = page(sandbox, since="2029-12-31T10:00:00Z")["documents"]
    assert not set(remove) & document.keys()
    assert len(document) >= 38


def test_a_document_of_a_chosen_company(sandbox: SandboxProcess) -> None:
    code = sandbox.control.ivesk(False)["companies"][7]["code"]
    sandbox.control.add(5, company=code)
    assert {code} == {
        d["sellercode"] if d["sellerisfavorite"] else d["buyercode"] for d in sandbox.control.documents()[-5:]
    }
    with pytest.raises(SandboxError, match="404"):
        sandbox.control.add(1, company="999")


def test_exporting_again_moves_a_document(sandbox: SandboxProcess) -> None:
    before = sandbox.control.documents()
    moved = sandbox.control.export(ids=[before[3]["id"]])
    after = sandbox.control.documents()
    assert [document["id"] for document in after] == [d["id"] for d in before if d["id"] not in moved] + moved
    assert after[-1]["exportedat"] > before[-1]["exportedat"]
    assert after[-1]["total"] == before[3]["total"]
    assert len(sandbox.control.export(count=4)) == 4
    assert len(held(sandbox)) == len(before)


def test_the_call_log_never_has_the_key(sandbox: SandboxProcess) -> None:
    call(sandbox, "GET", "/pub/exported", params={"doctype": "a"})
    requests.get(sandbox.ivesk_url + "/pub/exported", headers={"x-api-key": "other-key"}, timeout=10)
    requests.get(sandbox.ivesk_url + "/schema/jsonexport.json", timeout=10)
    calls = sandbox.control.calls()
    assert [(c["key"], c["status"], c["query"], c["n"]) for c in calls] == [
        ("ok", 200, "doctype=a", 1),
        ("wrong", 401, "", 2),
        ("none", 200, "", 3),
    ]
    assert sandbox.api_key not in str(calls)
    assert "other-key" not in str(calls)
    sandbox.control.clear_calls()
    assert sandbox.control.calls() == []


@pytest.mark.parametrize("change", [{"from_is": "maybe"}, {"nothing": 1}, {"page_size": 0}, {"link_seconds": -1}])
def test_wrong_options_are_refused(sandbox: SandboxProcess, change: dict[str, Any]) -> None:
    before = sandbox.control.options()
    with pytest.raises(SandboxError, match="400"):
        sandbox.control.options(**change)
    assert sandbox.control.options() == before


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/ivesk/documents", {"instant": "x"}, 400),
        ("POST", "/ivesk/documents", {"cuont": 1}, 400),
        ("POST", "/ivesk/export", {"ids": ["x"]}, 404),
        ("POST", "/ivesk/files", {"id": "x", "state": "gone"}, 404),
        ("POST", "/faults", {"kind": "earthquake"}, 400),
        ("POST", "/reset", {"documents": -1}, 400),
        ("GET", "/ivesk/documents?queue=x", None, 400),
        ("GET", "/nothing", None, 404),
        ("GET", "/reset", None, 405),
    ],
)
def test_wrong_control_calls_say_so(sandbox: SandboxProcess, method: str, path: str, body: Any, status: int) -> None:
    with pytest.raises(SandboxError, match=f": {status} "):
        sandbox.control.call(method, path, body)


def test_reset_forgets_everything(sandbox: SandboxProcess) -> None:
    fresh = list(sandbox.control.document_lines())
    sandbox.control.add(1)
    sandbox.control.options(from_is="inclusive")
    sandbox.control.fault("reset", path="/elsewhere")
    call(sandbox, "GET", "/pub/uploadlocation/a.pdf")
    sandbox.control.reset(documents=300, page_size=5)
    assert list(sandbox.control.document_lines()) == fresh
    assert sandbox.control.uploads() == sandbox.control.faults() == sandbox.control.calls() == []
    options = sandbox.control.options()
    assert (options["from_is"], options["page_size"]) == ("exclusive", 5)
