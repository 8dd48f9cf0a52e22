"""Who gets in, how often, and what is refused before an operation is reached."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest
import requests

from ap_connectors.sandbox.process import SandboxProcess
from tests.sandbox.emulated_vic import DECODER, Vic


def token(vic: Vic, **more: Any) -> requests.Response:
    return vic.ask("POST", "/token", **more)


def test_a_token_is_long_and_opens_the_service(vic: Vic) -> None:
    answer = vic.call("obtainToken", body={"client_id": "sandbox-client", "client_secret": "sandbox-secret"})
    assert len(answer["access_token"]) >= 530
    assert answer["access_token"].count(".") == 2
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 3600)
    vic.token = answer["access_token"]
    vic.call("healthCheck")


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"json": {"client_id": "sandbox-client", "client_secret": "other"}}, 401),
        ({"json": {"client_id": "other", "client_secret": "sandbox-secret"}}, 401),
        ({"json": {"client_id": "sandbox-client"}}, 400),
        ({"json": {"client_id": "sandbox-client", "client_secret": 1}}, 400),
        ({"data": {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}}, 415),
        ({"data": b"{", "headers": {"Content-Type": "application/json"}}, 400),
    ],
)
def test_wrong_credentials_get_no_token(vic: Vic, more: dict[str, Any], status: int) -> None:
    answer = token(vic, **more)
    assert (answer.status_code, answer.json()["code"]) == (status, status)
    assert "sandbox-secret" not in answer.text


def test_without_a_good_token_nothing_is_told(vic: Vic) -> None:
    good = vic.token
    for bad in ("", "x" * 600):
        vic.token = bad
        vic.refused("listAccounts", status=401)
    vic.token = good
    vic.control.revoke_tokens()
    vic.refused("listAccounts", status=401)
    assert [c["key"] for c in vic.sandbox.control.calls()] == ["wrong", "wrong", "expired"]
    answer = requests.get(vic.url + "/nothing", timeout=5)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert vic.sandbox.control.calls()[-1]["key"] == "none"
    vic.login()
    vic.call("listAccounts")


def test_a_token_expires(vic: Vic) -> None:
    vic.control.options(token_seconds=0.3)
    vic.login()
    vic.call("healthCheck")
    time.sleep(0.4)
    vic.refused("healthCheck", status=401)


def test_beyond_the_rate_all_calls_are_refused_for_a_while(vic: Vic) -> None:
    vic.control.options(rate_requests=5, rate_seconds=1.5)
    before = vic.control.overview(sums=False)["throttled"]
    statuses = [vic.ask("GET", "/healthCheck").status_code for _ in range(8)]
    assert statuses[-1] == 429
    answer = token(vic, json={"client_id": "sandbox-client", "client_secret": "sandbox-secret"})
    assert answer.status_code == 429
    assert answer.headers["retry-after"] in ("1", "2")
    assert answer.headers["x-request-id"]
    time.sleep(int(answer.headers["retry-after"]))
    vic.call("healthCheck")
    assert vic.control.overview(sums=False)["throttled"] == before + statuses.count(429) + 1
    vic.control.options(rate_requests=0)
    assert {vic.ask("GET", "/healthCheck").status_code for _ in range(8)} == {200}


def test_request_ids_come_and_go(vic: Vic) -> None:
    ids = {vic.ask("GET", "/healthCheck").headers["x-request-id"] for _ in range(3)}
    assert len({uuid.UUID(one) for one in ids}) == 3
    mine = str(uuid.uuid4())
    body = {"number": "1", "name": "a", "externalUpdatedAt": "2026-02-01T10:00:00"}
    vic.call("upsertAccount", "A", body=body, headers={"X-Request-Id": mine})
    assert vic.sandbox.control.calls()[-1]["request_id"] == mine
    assert "X-Request-Id" in vic.refused("upsertAccount", "A", status=400, body=body, headers={"X-Request-Id": "7"})


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/accounts?limt=3", "limt"),
        ("/accounts?limit=0", "limit"),
        ("/accounts?limit=101", "limit"),
        ("/accounts?limit=ten", "limit"),
        ("/accounts?limit=1&limit=2", "limit"),
        ("/accounts?since=yesterday", "since"),
        ("/accounts?since=2026-02-30T00:00:00Z", "since"),
        ("/accounts?useSystem=Internal", "useSystem"),
        ("/accounts?sortOrder=ascending", "sortOrder"),
        ("/accounts?cursor=nothing", "cursor"),
        ("/vendors?confirmed=yes", "confirmed"),
        ("/vendors?state=CONFIRMED", "state"),
        ("/invoices?state=posted", "state"),
        ("/purchaseOrders?status=all", "status"),
        ("/purchaseOrders?sortOrder=ASCENDING", "sortOrder"),
        ("/paymentBatches?since=2026-01-01T00:00:00Z", "since"),
        ("/paymentBatches?completedAtOrAfter=2026", "completedAtOrAfter"),
        ("/tags?limit=5", "limit"),
    ],
)
def test_a_wrong_query_is_refused_by_name(vic: Vic, path: str, named: str) -> None:
    answer = vic.ask("GET", path)
    assert (answer.status_code, answer.json()["code"]) == (400, 400)
    assert named in answer.json()["message"]


ACCOUNT = {"number": "1", "name": "a", "externalUpdatedAt": "2026-02-01T10:00:00"}


@pytest.mark.parametrize(
    ("name", "ids", "body", "status", "named"),
    [
        ("upsertAccount", ["A"], {**ACCOUNT, "nmae": "b"}, 400, "nmae"),
        ("upsertAccount", ["A"], {"number": "1", "name": "a"}, 400, "externalUpdatedAt"),
        ("upsertAccount", ["A"], {**ACCOUNT, "number": 1}, 400, "number"),
        ("upsertAccount", ["A"], {**ACCOUNT, "name": "a" * 256}, 400, "name"),
        ("upsertAccount", ["A"], {**ACCOUNT, "name": None}, 400, "name"),
        ("upsertAccount", ["A"], {**ACCOUNT, "externalUpdatedAt": "1.2.2026"}, 400, "externalUpdatedAt"),
        ("upsertAccount", ["A"], [], 400, "body"),
        ("upsertVendor", ["V"], {"externalUpdatedAt": "2026-02-01T10:00:00"}, 400, "name"),
        ("upsertVendor", ["V"], {**ACCOUNT}, 400, "number"),
        ("createTag", [], {}, 422, "value"),
        ("createPaymentTerm", [], {"name": "n", "daysToPay": 0}, 422, "daysToPay"),
        ("createPaymentTerm", [], {"name": None, "daysToPay": 1}, 422, "name"),
        ("createTaxCode", [], {"code": "c", "description": "d", "rate": "x"}, 400, "rate"),
        ("createInvoice", [], {"transactionType": "invoice"}, 422, "transactionType"),
        ("createInvoice", [], {"transactionType": "INVOICE", "lineItems": [{}]}, 422, "lineItems.0"),
        ("createInvoice", [], {"transactionType": "INVOICE", "vendor": {}}, 422, "vendor"),
        ("updateVendorGroup", ["not-a-uuid"], {"name": "x"}, 400, "id"),
    ],
)
def test_a_wrong_body_is_refused_by_name(  # noqa: PLR0917
    vic: Vic, name: str, ids: list[str], body: Any, status: int, named: str
) -> None:
    assert named in vic.refused(name, *ids, status=status, body=body)


def test_a_body_that_is_no_json_is_refused(vic: Vic) -> None:
    headers = {"Content-Type": "application/json"}
    assert "JSON" in vic.refused("createTag", status=400, data=b"value=a", headers=headers)
    assert "application/json" in vic.refused("createTag", status=415, data=b'{"value": "a"}')


@pytest.mark.parametrize("kind", ["status", "html_status", "slow"])
def test_faults_strike_here_too(vic: Vic, kind: str) -> None:
    order = vic.sandbox.control.fault(kind, path="/vicai/v0/accounts", status=503, seconds=0.4, retry_after=1)
    begin = time.monotonic()
    answer = vic.ask("GET", "/accounts")
    assert (answer.status_code == 200) == (kind == "slow")
    if kind == "slow":
        assert time.monotonic() - begin >= 0.4
    elif kind == "status":
        assert answer.json()["code"] == 503
        assert answer.headers["retry-after"] == "1"
    assert vic.sandbox.control.calls()[-1]["fault"] == order["kind"]
    vic.call("listAccounts")


@pytest.mark.parametrize("kind", ["reset", "truncate", "lost"])
def test_an_answer_can_get_lost_and_the_change_is_made_only_then(vic: Vic, kind: str) -> None:
    before = vic.control.overview(False)["tags"]
    vic.sandbox.control.fault(kind, path="/vicai/v0/tags")
    with pytest.raises(requests.RequestException):
        vic.ask("POST", "/tags", {"value": "once"})
    assert vic.control.overview(False)["tags"] == before + (kind != "reset")


def test_each_service_waits_by_itself(sandbox: SandboxProcess) -> None:
    sandbox.control.reset(documents=3, invoices=0, vicai={"latency_ms": 300})
    client = Vic(sandbox)
    begin = time.monotonic()
    client.login()
    assert time.monotonic() - begin >= 0.3
    begin = time.monotonic()
    requests.get(sandbox.ivesk_url + "/pub/exported", headers={"x-api-key": sandbox.api_key}, timeout=5)
    assert time.monotonic() - begin < 0.3


def test_the_company_has_the_name_it_was_given(vic: Vic) -> None:
    vic.control.options(company="Ąžuolas UAB")
    answer = DECODER.decode(vic.ask("GET", "/healthCheck").content)
    assert answer == {"status": "PASS", "version": "0.20.0", "company": "Ąžuolas UAB"}
