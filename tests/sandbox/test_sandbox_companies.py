"""Many companies in one sandbox: the credentials tell them apart, and nothing of one is seen, or felt, by another."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import requests

from ap_connectors.sandbox.process import SandboxCompany, SandboxError, SandboxProcess
from tests.sandbox.emulated import call, held, ids, page, pages
from tests.sandbox.emulated_vic import Vic
from tests.sandbox.receiver import Receiver, verified

COMPANIES = 4


@pytest.fixture(scope="module")
def _companies() -> Iterator[SandboxProcess]:
    with SandboxProcess(12, companies=COMPANIES, invoices=12) as process:
        yield process


@pytest.fixture
def sandbox(_companies: SandboxProcess) -> SandboxProcess:
    """Four companies, the first three of them as if just started."""
    for number in (1, 2, 3):
        _companies.company(number).control.reset()
    _companies.control.call("DELETE", "/calls?company=unknown")
    return _companies


def logged_in(company: SandboxCompany) -> Vic:
    client = Vic(company)
    client.login()
    return client


def held_by(company: SandboxCompany) -> tuple[list[bytes], list[bytes], dict[str, Any]]:
    control = company.control
    return list(control.document_lines()), list(control.vicai.record_lines("vendors")), control.options()


def companies_at_ivesk(company: SandboxCompany) -> set[str]:
    return {one["code"] for one in company.control.ivesk(sums=False)["companies"]}


def test_each_company_sees_its_own_data_while_others_read_theirs(sandbox: SandboxProcess) -> None:
    def read(company: SandboxCompany) -> tuple[list[str], list[str], str, list[dict[str, Any]]]:
        vic = logged_in(company)
        found = [ids(pages(company, "digitized")) for _ in range(3)]
        assert found[0] == found[1] == found[2]
        return found[0], vic.ids("/vendors"), vic.call("healthCheck")["company"], vic.call("listCompaniesV2")["data"]

    companies = [sandbox.company(number) for number in (1, 2, 3)]
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(read, companies))
    for company, (documents, vendors, name, seen) in zip(companies, results, strict=True):
        assert documents == held(company, "digitized")
        assert len(documents) == 12
        assert set(vendors) == {vendor["internalId"] for vendor in company.control.vicai.records("vendors")}
        assert [one["name"] for one in seen] == [name]
    assert len({id_ for result in results for id_ in result[0]}) == 36
    assert len({result[2] for result in results}) == 3
    assert len({result[3][0]["id"] for result in results}) == 3
    assert len(set.union(*map(companies_at_ivesk, companies))) == 3 * 12


def test_a_change_to_one_company_is_no_change_to_another(sandbox: SandboxProcess) -> None:
    first, second = sandbox.company(1), sandbox.company(2)
    before = held_by(first)
    made = second.control.add(2)
    second.control.options(from_is="inclusive", page_size=3)
    second.control.vicai.options(company="Kitas vardas UAB")
    account = {"number": "1", "name": "a", "externalUpdatedAt": "2026-02-01T10:00:00"}
    logged_in(second).call("upsertAccount", "A-2", body=account)
    refusal = {"documentid": made[0], "companycode": "1", "message": "ne"}
    assert [call(one, "POST", "/pub/syncerrors", json=refusal).status_code for one in (first, second)] == [404, 200]
    assert held_by(first) == before
    assert len(second.control.sync_errors()) == 1
    assert not first.control.sync_errors()
    assert [one.ask("GET", "/accounts/A-2").status_code for one in (logged_in(first), logged_in(second))] == [404, 200]
    assert sandbox.control.companies()[1]["name"] == "Kitas vardas UAB"
    second.control.reset(documents=5)
    assert len(held(second, "digitized")) == 5
    assert list(first.control.document_lines()) == before[0]
    assert not set(made) & set(held(second))


def test_faults_and_calls_belong_to_one_company(sandbox: SandboxProcess) -> None:
    first, second = sandbox.company(1), sandbox.company(2)
    clients = logged_in(first), logged_in(second)
    for prefix in ("/ivesk/api", "/vicai", "/storage"):
        second.control.fault("status", path=prefix, rate=1, status=503)
    link = page(first)["documents"][0]["url"]
    for company in (first, second):
        company.control.clear_calls()
    assert [call(company, "GET", "/pub/exported").status_code for company in (first, second)] == [200, 503]
    assert [client.ask("GET", "/vendors").status_code for client in clients] == [200, 503]
    assert requests.get(link, timeout=10).status_code == 200
    credentials = {"client_id": second.client_id, "client_secret": second.client_secret}
    assert clients[0].ask("POST", "/token", json=credentials).status_code == 503  # whoever asks for it
    assert not first.control.faults()
    seen = [[(one["path"], one["fault"], one["key"]) for one in c.control.calls()] for c in (first, second)]
    assert [entry[:2] for entry in seen[0]] == [
        ("/ivesk/api/pub/exported", None),
        ("/vicai/v0/vendors", None),
        (unquote(urlsplit(link).path), None),
    ]
    assert seen[1] == [
        ("/ivesk/api/pub/exported", "status", "ok"),
        ("/vicai/v0/vendors", "status", "ok"),
        ("/vicai/v0/token", "status", "wrong"),
    ]


def test_a_rate_limit_is_one_company_s(sandbox: SandboxProcess) -> None:
    first, second = sandbox.company(1), sandbox.company(2)
    clients = logged_in(first), logged_in(second)
    for company in (first, second):
        company.control.vicai.options(rate_requests=5, rate_seconds=60)
    statuses = [clients[1].ask("GET", "/healthCheck").status_code for _ in range(6)]
    assert statuses.count(429) == 2  # the token was a request, too
    stranger = Vic(first)
    assert {stranger.ask("GET", "/healthCheck").status_code for _ in range(8)} == {401}
    assert clients[0].ask("GET", "/healthCheck").status_code == 200
    assert [company.control.vicai.overview(False)["throttled"] for company in (first, second)] == [0, 2]


def test_credentials_open_their_own_company_only(sandbox: SandboxProcess) -> None:
    first, second, third = (sandbox.company(number) for number in (1, 2, 3))
    vic = logged_in(second)
    for wrong in (
        {"client_id": second.client_id, "client_secret": third.client_secret},
        {"client_id": first.client_id, "client_secret": second.client_secret},
        {"client_id": "sandbox-client-005", "client_secret": "sandbox-secret-005"},
        {"client_id": "sandbox-client-001", "client_secret": "sandbox-secret-001"},
    ):
        assert vic.ask("POST", "/token", json=wrong).status_code == 401
    assert vic.ask("POST", "/token", data=b"{").status_code == 415
    assert vic.ask("POST", "/token", data=b"\xff", headers={"Content-Type": "application/json"}).status_code == 400

    head, claims, signature = vic.token.split(".")
    told = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert told["sub"] == second.client_id
    other = base64.urlsafe_b64encode(json.dumps({**told, "sub": first.client_id}).encode()).decode().rstrip("=")
    first_calls = len(first.control.calls())
    for token in (f"{head}.{other}.{signature}", f"{head}..{signature}", f"{head}.AAAA.{signature}", "x", "ž"):
        answer = requests.get(
            f"{sandbox.vicai_url}/vendors", headers={"Authorization": f"Bearer {token}".encode()}, timeout=10
        )
        assert answer.status_code == 401, token
    # The first of them was forged to be this company's.
    assert [one["key"] for one in first.control.calls()[first_calls:]] == ["wrong"]

    third_vic = logged_in(third)
    second.control.vicai.revoke_tokens()
    vic.refused("listAccounts", status=401)
    third_vic.call("listAccounts")

    for key in ("sandbox-key-005", "sandbox-key-001", "", None):
        headers = {} if key is None else {"x-api-key": key}
        answer = requests.get(f"{sandbox.ivesk_url}/pub/exported", headers=headers, timeout=10)
        assert answer.status_code == 401, key
        assert answer.json()["message"] == f"Unauthorized: x-api-key is {'wrong' if key else 'missing'}."
    assert requests.get(f"{sandbox.ivesk_url}/schema/jsonexport.json", timeout=10).status_code == 200
    unknown = json.loads(sandbox.control.raw("GET", "/calls?company=unknown"))
    assert {one["status"] for one in unknown} >= {200, 400, 401, 415}


def test_a_link_opens_nothing_of_another_company(sandbox: SandboxProcess) -> None:
    first, second, third = (sandbox.company(number) for number in (1, 2, 3))
    # The same ids, and secrets that differ by their owner only.
    for company in (second, third):
        company.control.reset(seed=77, vicai={"documents_by": "redirect"})
    links = [page(second)["documents"][0]["url"]]
    located = call(second, "GET", "/pub/uploadlocation/a.pdf").json()
    headers = {"Content-Type": located["ContentType"], "Content-Disposition": located["ContentDisposition"]}
    vic = logged_in(second)
    path = f"/invoices/{vic.ids('/invoices')[0]}/document?useSystem=INTERNAL"
    links.append(vic.ask("GET", path).headers["Location"])
    for link in links:
        assert requests.get(link, timeout=10).status_code == 200
        assert "X-Amz-Credential=company-002" in link
        for other in ("company-003", "company-001", "company-099", "unknown", ""):
            answer = requests.get(link.replace("company-002", other), timeout=10)
            assert (answer.status_code, "SignatureDoesNotMatch" in answer.text) == (403, True), other
    without = links[0].replace("X-Amz-Credential=company-002&", "")
    assert requests.get(without, timeout=10).status_code == 403
    other = located["url"].replace("company-002", "company-003")
    assert requests.put(other, data=b"%PDF", headers=headers, timeout=10).status_code == 403
    assert requests.put(located["url"], data=b"%PDF", headers=headers, timeout=10).status_code == 200
    assert [upload["size"] for upload in second.control.uploads()] == [4]
    assert not third.control.uploads() + first.control.uploads()


def test_webhooks_tell_of_their_own_company(sandbox: SandboxProcess, receiver: Receiver) -> None:
    first, second = sandbox.company(1), sandbox.company(2)
    for company, path in ((first, "/one"), (second, "/two")):
        wanted = {"name": "ERP", "eventType": "on_exported", "target": receiver.url + path}
        assert call(company, "POST", "/pub/subscriptions", json=wanted).status_code == 200
        company.control.wait_for_webhooks()
        assert "<SubscriptionArn>" in requests.get(receiver.deliveries[-1].json["SubscribeURL"], timeout=10).text
        company.control.wait_until_confirmed()
        body = {"callbackUrl": f"{receiver.url}/vic{path}", "accessToken": "t" * 20, "events": ["vendorNew"]}
        logged_in(company).ask("PUT", "/subscription", body)
    receiver.deliveries.clear()
    second.control.export(count=1)
    second.control.vicai.click("vendorNew")
    second.control.wait_for_webhooks()
    assert sorted(urlsplit(one.path).path for one in receiver.deliveries) == ["/two", "/vic/two/vendorNew"]
    [message] = [verified(one) for one in receiver.deliveries if one.path == "/two"]
    assert json.loads(message["Message"])["companyCode"] in companies_at_ivesk(second)
    assert len(second.control.webhooks()) == 3
    assert len(first.control.webhooks()) == 1  # the question whether it subscribed
    requests.get(message["UnsubscribeURL"], timeout=10)
    assert [one.control.webhook_subscriptions()[0]["state"] for one in (first, second)] == ["confirmed", "ended"]
    wrong = f"{sandbox.url}/sns/?Action=ConfirmSubscription&TopicArn={message['TopicArn']}&Token=x"
    assert requests.get(wrong, timeout=10).status_code == 400


def test_a_control_call_names_its_company_by_header_or_query(sandbox: SandboxProcess) -> None:
    second = sandbox.company(2)
    by_query = sandbox.control.call("GET", "/ivesk?sums=false&company=company-002")
    by_header = second.control.ivesk(sums=False)
    assert by_query == by_header != sandbox.control.ivesk(sums=False)
    with pytest.raises(SandboxError, match=r"404 .*company-001 to company-004"):
        sandbox.control.call("GET", "/ivesk?company=company-005")
    assert second.control.companies() == sandbox.control.companies()
    shown = requests.get(f"{sandbox.url}/?company=company-002", timeout=10).text
    assert second.api_key in shown
    assert requests.get(f"{sandbox.url}/?company=nosuch", timeout=10).status_code == 404


def test_v2_shows_as_many_companies_to_each_client_as_an_option_says(sandbox: SandboxProcess) -> None:
    second = sandbox.company(2)
    second.control.vicai.options(companies=3)
    shown = [one["name"] for one in logged_in(second).call("listCompaniesV2")["data"]]
    assert shown == [shown[0], f"{shown[0]} 2", f"{shown[0]} 3"]
    assert len(logged_in(sandbox.company(1)).call("listCompaniesV2")["data"]) == 1


def test_five_hundred_companies_start_at_once_and_are_made_when_they_are_called() -> None:
    with SandboxProcess(20, companies=500, invoices=20) as sandbox:
        assert "500 companies" in sandbox.line
        assert cpu_seconds(sandbox.pid) < 5
        listed = sandbox.control.companies()
        assert [one["id"] for one in listed] == [f"company-{number:03d}" for number in range(1, 501)]
        assert not any(one["seeded"] for one in listed)
        last = sandbox.company(500)
        mine = [(one["client_id"], one["client_secret"], one["api_key"]) for one in (listed[0], listed[1], listed[499])]
        assert mine == [
            ("sandbox-client", "sandbox-secret", "sandbox-key"),
            ("sandbox-client-002", "sandbox-secret-002", "sandbox-key-002"),
            (last.client_id, last.client_secret, last.api_key),
        ]
        assert listed[0]["name"] == "Fjordlys Regnskap AS"
        assert len({one["name"] for one in listed}) == 500
        assert len({code for one in listed for code in one["codes"]}) == 500 * 12
        assert logged_in(last).call("healthCheck")["company"] == listed[499]["name"]
        assert {one["code"] for one in last.control.ivesk()["companies"]} == set(listed[499]["codes"])
        assert [one["id"] for one in sandbox.control.companies() if one["seeded"]] == ["company-500"]


def test_data_is_the_same_in_every_sandbox(sandbox: SandboxProcess) -> None:
    with SandboxProcess(12, companies=2, invoices=12) as again:
        one, other = again.company(2), sandbox.company(2)
        assert list(one.control.document_lines()) == list(other.control.document_lines())
        assert list(one.control.vicai.record_lines("vendors")) == list(other.control.vicai.record_lines("vendors"))


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
