"""Vic.ai's webhooks as they are today: their names, ids and envelopes, the service's own record, links to documents."""

from __future__ import annotations

import json
import sqlite3
import threading
import uuid
from collections import Counter
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.campaign import one_in
from tests.conftest import runner
from tests.webhooks.serve_process import Webhooks, rule

pytestmark = pytest.mark.parametrize("vic", ["live"], indirect=True)

ALL = rule("echo $AP_WEBHOOKS_EVENT_COUNT $AP_WEBHOOKS_KINDS >> done.txt", max_wait="1s")
LOST = {"invoice_post": 20, "invoice_updated": 20, "vendor_updated": 10, "purchase_order_deleted": 8}


def reconciled(hooks: Webhooks, *more: str, expect: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(hooks.run("reconcile", "vicai", "--format", "json", *more, expect=expect))
    return found


def settled(hooks: Webhooks) -> bool:
    rows = hooks.rows("events")
    covered = {row["event_id"] for row in hooks.rows("run_events")}
    return set(hooks.statuses()) == {"done"} and {row["id"] for row in rows} == covered


@pytest.mark.long
def test_an_hour_of_a_thousand_events(hooks: Webhooks, vic: SandboxProcess) -> None:
    control = vic.control.vicai
    hooks.write(rules=[ALL])
    hooks.serve_public()
    said = hooks.run("subscribe", "vicai")
    assert "vicai: all to" in said
    assert "without an end" in said
    received = control.event("invoice_updated", count=3)
    vic.control.wait_for_webhooks()
    hooks.wait_for(lambda: settled(hooks) and len(hooks.rows("events")) == 3)
    # An invoice that was clicked on before anything was subscribed is in no record.
    before = [one for one in control.records("invoices") if one["status"] in ("READY_FOR_POST", "READY_FOR_TRANSFER")]
    assert len(reconciled(hooks, "--mend", expect=1)["gaps"]) == len(before)
    hooks.wait_for(lambda: settled(hooks) and len(hooks.rows("events")) == 3 + len(before))
    assert reconciled(hooks, expect=0)["compared"]["recorded events"] == 3
    hooks.stop()
    lost = [id_ for kind, count in LOST.items() for id_ in control.event(kind, count=count, send=False)]
    lost += control.event("payment_status_updated", count=1000 - len(lost), send=False, data={"id": "p", "status": "x"})
    hooks.serve()
    # Looking changes nothing, and names all.
    report = reconciled(hooks, expect=1)
    assert report["compared"]["recorded events"] == 1003
    assert {gap["key"] for gap in report["gaps"]} == set(lost)
    assert len(report["gaps"]) == 1000
    assert {gap["kind"] for gap in report["gaps"]} == {"no event"}
    assert all("Vic.ai knows that it was not delivered" in gap["words"] for gap in report["gaps"])
    assert len(hooks.rows("events")) == 3 + len(before)
    mended = reconciled(hooks, "--mend", expect=1)["mended"]
    assert "20 events vicai.invoice_post of Vic.ai's record are stored now." in mended
    hooks.wait_for(lambda: settled(hooks) and len(hooks.rows("events")) == 1003 + len(before))
    ids = Counter(id_ for row in hooks.rows("events") if (id_ := json.loads(row["body"]).get("id")))
    assert ids == dict.fromkeys([*received, *lost], 1)
    assert Counter(row["kind"] for row in hooks.rows("events"))["invoice_post"] == 20 + len(before)
    assert sum(int(line.split()[0]) for line in hooks.lines()) == 1003 + len(before)
    # Again, nothing; neither when the service delivers one of them after all.
    again = reconciled(hooks, "--mend", expect=0)
    assert (again["gaps"], again["mended"]) == ([], [])
    late = hooks.rows("events")[500]
    assert hooks.post("events", json.loads(late["body"]), json.loads(token(hooks))) == 200
    assert len(hooks.rows("events")) == 1003 + len(before)


def token(hooks: Webhooks) -> str:
    tokens = json.loads((hooks.folder / ".webhooks-tokens.json").read_text(encoding="utf-8"))["vicai"]
    return json.dumps(tokens[0]["token"])


@one_in(2)
@pytest.mark.parametrize("body", ["envelope", "data"])
def test_what_is_mended_is_what_was_delivered(hooks: Webhooks, vic: SandboxProcess, body: str) -> None:
    control = vic.control
    control.vicai.options(recorded_body=body)
    hooks.serve_public()
    hooks.run("subscribe", "vicai", "--events", "all")
    events = [*control.vicai.event("invoice_post"), *control.vicai.event("vendor_created", count=2)]
    batch = next(one for one in control.vicai.records("paymentBatches") if not one.get("processedAt"))
    for event in ("approve", "complete", "process"):
        control.vicai.batch_event(batch["id"], event)
    for kind in ("vendorNew", "syncRequest"):
        control.vicai.click(kind)
    control.wait_for_webhooks()
    delivered = {row["dedup_key"]: row for row in hooks.rows("events")}
    kinds = Counter(row["kind"] for row in delivered.values())
    assert kinds == {
        "invoice_post": 1,
        "vendor_created": 2,
        "payment_batch_processed": 1,
        "vendorNew": 1,
        "syncRequest": 1,
    }
    found = reconciled(hooks, expect=1)  # batches that were processed before anything was subscribed
    assert {gap["event"] for gap in found["gaps"]} <= {"vicai.payment_batch_processed", "vicai.invoice_post"}
    assert not {gap["key"] for gap in found["gaps"]} & {*events, batch["id"]}
    assert found["compared"]["recorded events"] == 6
    with closing(sqlite3.connect(hooks.folder / "webhooks.db")) as connection, connection:
        connection.execute("DELETE FROM events")
    reconciled(hooks, "--mend", expect=1)
    mended = {row["dedup_key"]: row for row in hooks.rows("events")}
    assert mended.keys() >= delivered.keys()
    for key, row in delivered.items():
        assert json.loads(mended[key]["body"]) == json.loads(row["body"])
        assert (mended[key]["kind"], mended[key]["company"]) == (row["kind"], row["company"])
    assert reconciled(hooks, "--mend", expect=1)["compared"]["recorded events"] == 6
    assert reconciled(hooks, expect=0)["gaps"] == []


def test_events_are_told_apart_by_their_ids(hooks: Webhooks, vic: SandboxProcess) -> None:
    del vic
    hooks.write(vicai_token="the-token-of-these-tests")
    hooks.serve()
    one, other = str(uuid.uuid4()), str(uuid.uuid4())
    data = {"internalId": "7", "companyId": 12}

    def post(id_: str, event: str, request_id: str) -> int:
        body = {"id": id_, "occurred_at": "2026-10-02T10:00:00.000Z", "event": event, "data": data}
        headers = {"Authorization": "Bearer the-token-of-these-tests", "X-Request-Id": request_id}
        answer = hooks.http.post(f"{hooks.url}/vicai/events", json=body, headers=headers, timeout=30)
        return answer.status_code

    for request_id in ("a", "b"):
        assert post(one, "invoice_updated", request_id) == 200
        assert post(other, "invoice_updated", request_id) == 200
    assert post(str(uuid.uuid4()), "moon_landed", "a") == 200
    found = [(row["kind"], row["company"], row["deliveries"]) for row in hooks.rows("events")]
    assert found == [("invoice_updated", "12", 2), ("invoice_updated", "12", 2), ("moon_landed", "12", 1)]


def test_rules_know_the_new_names_and_keep_the_old_ones(hooks: Webhooks, vic: SandboxProcess) -> None:
    rules = [
        rule(f"echo {name} $AP_WEBHOOKS_KINDS >> done.txt", on=on, name=name, debounce="0s")
        for name, on in (
            ("new", ["vicai.invoice_post"]),
            ("old", ["vicai.invoicePost"]),
            ("deleted", ["vicai.invoice_deleted", "vicai.purchase_order_deleted"]),
            ("future", ["vicai.moon_landed"]),
        )
    ]
    hooks.write(rules=rules)
    hooks.serve_public()
    assert "vicai.moon_landed is not an event that is known here" in hooks.log
    hooks.run("subscribe", "vicai", "--events", "invoice_post,invoice_deleted,invoicePost")
    vic.control.vicai.event("invoice_post")
    vic.control.vicai.event("invoice_deleted")
    vic.control.vicai.event("invoice_updated")  # not subscribed
    hooks.wait_for(lambda: len(hooks.lines()) == 3)
    told = {"new vicai.invoice_post", "old vicai.invoice_post", "deleted vicai.invoice_deleted"}
    assert set(hooks.lines()) == told
    vic.control.vicai.click("invoicePost")
    hooks.wait_for(lambda: "old vicai.invoicePost" in " ".join(hooks.lines()))
    hooks.write(rules=[rule("true", on=["vicai.invoice_rejectd"])])
    assert "Did you mean 'vicai.invoice_rejected'?" in hooks.run("events", expect=1)


def test_a_subscription_without_an_end(hooks: Webhooks, vic: SandboxProcess) -> None:
    hooks.serve_public()
    assert json.loads(hooks.run("status", "vicai", "--format", "json", expect=1))["subscribed"] is False
    hooks.run("subscribe", "vicai", "--events", "invoice_post,payment_batch_processed")
    found = json.loads(hooks.run("status", "vicai", "--format", "json"))
    assert (found["subscribed"], found["expires_at"], found["days"]) == (True, None, None)
    assert found["events"] == ["invoice_post", "payment_batch_processed"]
    assert (found["problems"], found["warnings"]) == ([], [])
    [first] = tokens(hooks)
    assert first["expires_at"] is None
    assert "expires_timestamp_seconds " not in hooks.http.get(f"{hooks.url}/metrics", timeout=10).text
    hooks.run("subscribe", "vicai")
    second, old = tokens(hooks)
    assert (second["expires_at"], old["token"]) == (None, first["token"])
    # What is under way with the old one is still accepted, for a day.
    assert old["expires_at"] is not None
    assert found["events"] == json.loads(hooks.run("status", "vicai", "--format", "json"))["events"]
    assert "Did you mean 'invoice_post'" in hooks.run("subscribe", "vicai", "--events", "invoice_psot", expect=1)
    assert vic.control.vicai.records("subscription")[0]["accessToken"] == second["token"]
    hooks.run("unsubscribe", "vicai")
    assert tokens(hooks) == []


def test_a_token_of_before_is_accepted_as_long_as_the_service_uses_it(hooks: Webhooks, vic: SandboxProcess) -> None:
    """What 0.1.0 subscribed for 90 days has no end any more."""
    hooks.serve_public()
    hooks.run("subscribe", "vicai")
    path = hooks.folder / ".webhooks-tokens.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["vicai"][0]["expires_at"] = "2026-01-01T00:00:00.000Z"
    del content["vicai"][0]["subscription"]
    path.write_text(json.dumps(content), encoding="utf-8")
    vic.control.vicai.event("vendor_created")
    vic.control.wait_for_webhooks()
    assert [row["kind"] for row in hooks.rows("events")] == ["vendor_created"]
    assert json.loads(hooks.run("status", "vicai", "--format", "json"))["problems"] == []


def test_a_renewal_that_fails_leaves_the_token_of_before(hooks: Webhooks, vic: SandboxProcess) -> None:
    """Vic.ai goes on with the old one, until a person tries again."""
    hooks.serve_public()
    hooks.run("subscribe", "vicai")
    [before] = tokens(hooks)
    vic.control.fault("status", path="/vicai/v0/subscription", status=429, retry_after=1000, after=1, times=1)
    assert "asks for 1000 s more" in hooks.run("subscribe", "vicai", expect=1)
    assert before in tokens(hooks)
    vic.control.clear_faults()
    hooks.run("subscribe", "vicai")
    newest, *others = tokens(hooks)
    assert newest["expires_at"] is None
    assert all(one["expires_at"] for one in others)


def tokens(hooks: Webhooks) -> list[dict[str, Any]]:
    path = hooks.folder / ".webhooks-tokens.json"
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["vicai"]
    return found


class Elsewhere:
    """A host that is not Vic's, and notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        elsewhere = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                elsewhere.asked.append(f"{self.path} {self.headers.get('Authorization')}")
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


PLACES = (
    "{base}/invoices/{invoice}/document?useSystem=INTERNAL",
    "{elsewhere}/invoices/{invoice}/document",
    "http://{own}@{other}/a.pdf",
    "{elsewhere}\\@{own}/a.pdf",
    "//{other}/a.pdf",
    "file:///etc/passwd",
    "{base}/documents/an-address-that-has-expired",
)


def test_documents_behind_links(hooks: Webhooks, vic: SandboxProcess, tmp_path: Path) -> None:
    """The API leads on to a storage; the token goes to neither it nor to any other host that a link names."""
    vic.control.vicai.options(documents_by="redirect")
    with closing(Elsewhere()) as elsewhere:
        rules = [rule("echo $AP_WEBHOOKS_EVENT_COUNT >> done.txt", on=["vicai.invoice_transfer"], documents=True)]
        hooks.write(rules=rules)
        hooks.serve_public()
        hooks.run("subscribe", "vicai")
        own, other = (url.partition("//")[2] for url in (vic.url, elsewhere.url))
        invoice = vic.control.vicai.records("invoices")[0]["internalId"]
        for place in PLACES:
            url = place.format(base=vic.vicai_url, invoice=invoice, own=own, other=other, elsewhere=elsewhere.url)
            for kind in ("invoice_post", "invoice_transfer"):
                vic.control.vicai.event(kind, data={"internalId": invoice, "documentUrl": url})
        vic.control.wait_for_webhooks()
        # The rule has them before its command begins.
        hooks.wait_for(lambda: sum(map(int, hooks.lines())) == len(PLACES))
        documents: dict[str, list[bytes | None]] = {kind: [] for kind in ("invoice_post", "invoice_transfer")}
        for row in hooks.rows("events"):
            documents[row["kind"]].append(row["document"])
        assert documents["invoice_post"] == [None] * len(PLACES)
        [document] = set(documents["invoice_transfer"])
        assert document is not None
        assert document[:4] == b"%PDF"
        # And the tap fetches what is not there, if it may.
        settings: dict[str, Any] = {"inbox": str(tmp_path / "webhooks.db"), "kinds": ["invoicePost"]}
        settings["documents_dir"] = str(tmp_path / "files")
        without = runner("tap_webhooks", tmp_path, settings)().records["webhook_events"]
        assert all("set vicai_client_id" in one["document_error"] for one in without)
        account = {
            f"vicai_{name}": hooks.settings[f"vicai_{name}"] for name in ("client_id", "client_secret", "api_url")
        }
        found = runner("tap_webhooks", tmp_path, settings | account)().records["webhook_events"]
        assert len(found) == len(without) == len(PLACES)
        for record in found:
            assert (record["kind"], record["document_error"]) == ("invoice_post", None)
            assert record["document_type"] == "application/pdf"
            assert Path(record["document_path"]).read_bytes() == document
            assert invoice in record["document_path"]
        assert elsewhere.asked == []


def test_a_document_that_cannot_be_had_fails_the_run_and_is_asked_for_again(
    hooks: Webhooks, vic: SandboxProcess
) -> None:
    hooks.write(
        rules=[rule("echo ran >> done.txt", on=["vicai.invoice_post"], documents=True, debounce="0s", retries=20)],
        first_pause="100ms",
        longest_pause="300ms",
    )
    hooks.serve_public()
    hooks.run("subscribe", "vicai")
    vic.control.fault("status", status=403, path="/vicai/v0/invoices", times=2)
    vic.control.vicai.click("invoicePost")
    hooks.wait_for(lambda: hooks.lines() == ["ran"])
    assert "has no documents: vicai:" in hooks.log
    assert [row["document"][:4] for row in hooks.rows("events")] == [b"%PDF"]


@pytest.mark.long
def test_vic_is_asked_for_a_synchronisation(hooks: Webhooks, vic: SandboxProcess) -> None:
    config = f"--config {hooks.config}"
    script = f"ap-webhooks synchronize vicai vendors {config} >> done.txt 2>&1; echo $? >> done.txt"
    hooks.write(rules=[rule(script, on=["vicai.syncRequest"], debounce="0s")])
    hooks.serve_public()
    hooks.run("subscribe", "vicai")
    said = hooks.run("synchronize", "vicai", "vendors", "purchase_orders", "vatCodes", "payment-terms", "Vendors")
    assert said.count("a syncRequest follows") == 4
    assert vic.control.vicai.reported()["synchronized"] == ["vendors", "purchaseOrders", "vatCodes", "paymentTerms"]
    # Four runs, and none of them starts another one.
    hooks.wait_for(lambda: hooks.lines().count("1") == 4)
    assert sum("started by a synchronisation" in line for line in hooks.lines()) == 4
    assert len(vic.control.vicai.reported()["synchronized"]) == 4
    assert "no resource 'vendor'. Did you mean 'vendors'?" in hooks.run("synchronize", "vicai", "vendor", expect=1)


def test_subscriptions_of_companies_beside_others(hooks: Webhooks, vic: SandboxProcess) -> None:
    vic.control.vicai.options(companies=3)
    hooks.serve_public()
    hooks.run("subscribe", "vicai", "--events", "ping")
    said = hooks.run("subscribe", "vicai", "--companies", "all", "--events", "vendor_created")
    assert said.count("vendor_created to") == 3
    # One company is refused in mid-way: what calls with the token of before, is accepted for as long as it does.
    vic.control.fault("status", path="/vicai/v2/companies/", status=422, after=4, times=1)
    hooks.run("subscribe", "vicai", "--companies", "all", expect=1)
    vic.control.clear_faults()
    ends = Counter((one["subscription"], one["expires_at"] is None) for one in tokens(hooks) if one["subscription"])
    assert sorted(ends.values()) == [1, 1, 1, 1, 2], "of two companies the token of before has an end"
    hooks.run("subscribe", "vicai", "--companies", "all")  # renewed, and not made twice
    assert Counter(one["subscription"] for one in tokens(hooks) if one["expires_at"] is None).most_common(1)[0][1] == 1
    found = json.loads(hooks.run("status", "vicai", "--format", "json"))
    assert [one["events"] for one in found["companies"]] == [["vendor_created"]] * 3
    assert (found["subscribed"], found["events"]) == (True, ["ping"])
    # Each comes thrice, under its own token, and is stored once.
    [id_] = vic.control.vicai.event("vendor_created")
    vic.control.wait_for_webhooks()
    [row] = hooks.rows("events")
    assert (json.loads(row["body"])["id"], row["deliveries"]) == (id_, 3)
    # Another token of the account's own subscription leaves those alone.
    hooks.run("subscribe", "vicai", "--forget-old")
    vic.control.vicai.event("vendor_created")
    vic.control.wait_for_webhooks()
    assert [row["deliveries"] for row in hooks.rows("events")] == [3, 3]
    assert "there is no company 'Nobody'" in hooks.run("unsubscribe", "vicai", "--companies", "Nobody", expect=1)
    name = found["companies"][1]["company_id"]
    assert "is ended" in hooks.run("unsubscribe", "vicai", "--companies", name)
    hooks.run("unsubscribe", "vicai")
    left = json.loads(hooks.run("status", "vicai", "--format", "json"))
    assert (len(left["companies"]), left["subscribed"]) == (2, True)
    hooks.run("unsubscribe", "vicai", "--companies", "all")
    assert json.loads(hooks.run("status", "vicai", "--format", "json", expect=1))["subscribed"] is False
    assert tokens(hooks) == []


def test_what_only_others_subscribed_is_not_missing_here(hooks: Webhooks, vic: SandboxProcess) -> None:
    hooks.serve_public()
    hooks.run("subscribe", "vicai", "--companies", "all", "--events", "vendor_created")
    here = hooks.settings["public_url"]
    hooks.write(public_url="https://another.example.com")
    hooks.run("subscribe", "vicai", "--events", "invoice_updated,invoice_deleted")
    hooks.write(public_url=here, rules=[rule("true", on=["vicai.invoice_deleted"])])
    for kind in ("vendor_created", "invoice_updated", "invoice_deleted"):
        vic.control.vicai.event(kind, send=False)
    found = reconciled(hooks, expect=1)
    assert [gap["event"] for gap in found["gaps"]] == ["vicai.vendor_created", "vicai.invoice_deleted"]
    assert "1 recorded events are of kinds that are neither subscribed here nor wanted by a rule." in found["notes"]


def test_events_of_companies_that_never_came(hooks: Webhooks, vic: SandboxProcess) -> None:
    """The record of v0 has only those of the credentials' own company."""
    control = vic.control.vicai
    control.options(companies=3)
    hooks.write(rules=[rule("true", on=["vicai.vendor_created"], debounce="0s")])
    hooks.serve_public()
    hooks.run("subscribe", "vicai", "--companies", "all", "--events", "vendor_created")
    lost = [
        control.event("vendor_created", data={"internalId": f"{company}-{n}", "companyId": company}, send=False)[0]
        for company in "123"
        for n in range(2)
    ]
    vic.control.fault("status", path="/vicai/v2/companies/", status=403, after=5, times=1)
    refused = reconciled(hooks, expect=1)
    assert any("record of events was not compared" in note for note in refused["notes"])
    vic.control.clear_faults()
    found = reconciled(hooks, "--mend", expect=1)
    assert sorted(gap["key"] for gap in found["gaps"]) == sorted(lost)
    assert sorted(gap["company"] for gap in found["gaps"]) == [*"112233"]
    assert found["compared"]["recorded events"] == len(lost)
    hooks.wait_for(lambda: len(hooks.rows("events")) == len(lost) and settled(hooks))
    assert reconciled(hooks, expect=0)["compared"]["recorded events"] == len(lost)
