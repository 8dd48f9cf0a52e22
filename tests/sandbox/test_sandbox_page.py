"""The sandbox in a browser: what it shows, its buttons, how it keeps up to date; the page of its control API."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from decimal import Decimal
from html import unescape
from typing import TYPE_CHECKING, Any

import pypdf
import pytest
import requests

from ap_connectors.core.redact import printable
from ap_connectors.sandbox.page.home import VIEWS
from ap_connectors.sandbox.process import SandboxProcess
from tests.browser import Tab
from tests.conftest import renewed
from tests.sandbox.emulated import call, held, page
from tests.sandbox.emulated_vic import Vic

if TYPE_CHECKING:
    from playwright.sync_api import Browser

EVIL = "<script>document.title='stolen'</script><img src=x onerror=\"document.title='stolen'\">"
LONG = Decimal("12345678901234567.89")


@pytest.fixture
def sandbox(_sandbox_process: SandboxProcess) -> SandboxProcess:
    """A hundred documents and a hundred invoices."""
    return renewed(_sandbox_process, documents=120, invoices=120)


@pytest.fixture
def vic(sandbox: SandboxProcess) -> Vic:
    client = Vic(sandbox)
    client.login()
    return client


@pytest.fixture
def tab(browser: Browser, sandbox: SandboxProcess) -> Iterator[Tab]:
    """A window that has asked nothing of anybody but the sandbox, and complained of nothing."""
    with Tab(browser, online=True) as opened:
        yield opened
        assert opened.complaints == []
        assert all(url.startswith((sandbox.url, "data:")) for url in opened.requests)


def shown(sandbox: SandboxProcess, view: str = "", **query: Any) -> str:
    answer = requests.get(sandbox.url, params={"view": view, **query}, timeout=20)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    return answer.text


# Without a browser


def test_every_view_shows_what_is_held_and_nothing_that_is_secret(sandbox: SandboxProcess, vic: Vic) -> None:
    call(sandbox, "GET", "/pub/uploadlocation/%3Cscript%3E.pdf")
    error = {"documentid": held(sandbox)[0], "companycode": "<b>", "message": "&<i>"}
    call(sandbox, "POST", "/pub/syncerrors", json=error)
    vic.control.touch("vendors", count=1, name="<b>Ąžuolas")
    subscription = {"callback_url": "https://me:hush-1@example.org/?key=hush-2", "access_token": "hush-3"}
    company = vic.call("listCompaniesV2")["data"][0]["id"]
    vic.call("createSubscription", company, body=subscription)
    sandbox.control.fault("status", status=503, after=9)
    told = {view: shown(sandbox, view) for view in ("", *VIEWS)}
    newest = sandbox.control.documents("digitized")[-1]
    for view, texts in {
        "": ["Žaliasis kiemas", "export TAP_IVESK_API_KEY=&#34;sandbox-key", sandbox.vicai_url, "EUR"],
        "documents": [newest["docnum"], newest["sellername"], "Export three"],
        "invoices": [one["refNumber"] for one in vic.control.records("invoices")[-3:]],
        "vendors": ["&lt;b&gt;Ąžuolas"],
        "orders": ["PO-2026-0001"],
        "payments": [vic.control.records("paymentBatches")[0]["name"]],
        "received": ["&lt;script&gt;.pdf", "&lt;b&gt;", "&amp;&lt;i&gt;"],
        "webhooks": ["https://example.org/?key=***"],
        "faults": ["rate_requests", "from_is", "/ivesk/api/pub"],
        "calls": ["/ivesk/api/pub/uploadlocation/&lt;script&gt;.pdf"],
    }.items():
        for text in texts:
            assert text in told[view], view
    secret = ("hush-", vic.token, "<b>", "<i>", "<script>.pdf", sandbox.url + "/storage")
    assert not [(view, one) for view, text in told.items() for one in secret if one in text]
    assert requests.get(sandbox.url, params={"view": "nosuch"}, timeout=10).status_code == 404


def test_a_list_is_paged_from_its_newest_on_and_amounts_have_all_their_digits(sandbox: SandboxProcess) -> None:
    sandbox.control.add(1, overrides={"total": LONG, "docnum": "ILGA-1"})
    [last] = sandbox.control.add(1, overrides={"total": "no amount", "docnum": None, "sellername": ["x"]})
    names = [document["docnum"] or last for document in sandbox.control.documents("digitized")]
    found = [
        unescape(text)
        for number in (1, 2, 3)
        for text in re.findall(r'rel="noopener">([^<]*)<', shown(sandbox, "documents", page=number))
    ]
    assert found == [printable(name) for name in reversed(names)]
    assert len(found) == 122
    assert "12,345,678,901,234,567.89" in shown(sandbox, "documents")
    assert "no amount" in shown(sandbox, "documents")
    assert len(re.findall("<tr>", shown(sandbox, "documents", page=99))) == 0


def test_documents_open_from_the_page_and_what_was_uploaded_cannot_act_there(sandbox: SandboxProcess, vic: Vic) -> None:
    def opened(view: str, place: int = 0) -> requests.Response:
        links = re.findall(r'href="(/_control/[^"]*)"', shown(sandbox, view))
        return requests.get(sandbox.url + links[place].replace("&amp;", "&"), timeout=10)

    newest = sandbox.control.documents("digitized")[-1]
    text = pypdf.PdfReader(io.BytesIO(opened("documents").content)).pages[0].extract_text()
    assert newest["docnum"] in " ".join(text.split())
    assert opened("invoices").headers["content-type"] == "application/pdf"
    sandbox.control.file(newest["id"], "gone")
    assert opened("documents").status_code == 404
    sandbox.control.add(1, overrides={"id": "../../etc/passwd", "filename": ".."})
    assert opened("documents").content.startswith(b"%PDF")
    body = {"transactionType": "INVOICE", "externalId": "I-1", "lineItems": [{"amount": "1"}]}
    vic.call("createInvoice", body=body)
    upload = {"document": ("a.html", EVIL.encode(), "text/html")}
    vic.call("uploadDocumentInvoice", "I-1", files=upload)
    answer = opened("invoices")
    assert (answer.content, answer.headers["content-type"]) == (EVIL.encode(), "application/octet-stream")
    assert answer.headers["content-disposition"] == "attachment"


def test_a_page_of_another_site_controls_nothing(sandbox: SandboxProcess) -> None:
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
        answer = requests.post(
            f"{sandbox.url}/_control/ivesk/documents", headers={"Sec-Fetch-Site": site}, json={"count": 1}, timeout=10
        )
        assert answer.status_code == status
    assert len(held(sandbox, "digitized")) == 122
    assert requests.get(sandbox.url, timeout=10).headers["content-security-policy"] == "frame-ancestors 'none'"


def test_the_control_page_tells_every_call_with_its_body(sandbox: SandboxProcess) -> None:
    text = requests.get(f"{sandbox.url}/_control", timeout=10).text
    calls = re.findall(r">([A-Z]+)</span> <code>/_control(/[^<]*)</code></h3>\s*<p>([^<]*)", text)
    assert all(what.strip() for *_, what in calls)
    paths = {path for _, path, _ in calls}
    assert {"/companies", "/calls", "/faults", "/reset", "/ivesk/export", "/vicai/click", "/columns"} <= paths
    for verb, path, _ in calls:
        if verb in ("POST", "PATCH") and path not in ("/vicai/revoke", "/reset"):
            # Each call reads its body, and says so: what is no JSON is refused.
            answer = requests.request(verb, f"{sandbox.url}/_control{path}", data=b"{", timeout=10)
            assert answer.status_code == 400, path
    assert "retry_after" in text
    assert "status · reset · truncate" in text


# In a browser


def test_buttons_do_what_an_accountant_does_and_the_page_follows(sandbox: SandboxProcess, vic: Vic, tab: Tab) -> None:
    window = tab.open(sandbox.url)
    before = held(sandbox), {one["internalId"]: one["status"] for one in vic.control.records("invoices")}

    def press(name: str) -> None:
        window.get_by_role("button", name=name).first.click()
        window.locator("#told").get_by_text(f"{name}: done.").wait_for()
        window.evaluate("document.getElementById('told').textContent = ''")

    press("Three new documents")
    new = held(sandbox, "digitized")[-3:]
    press("Export three")
    assert held(sandbox)[-3:] == new
    assert window.get_by_role("row", name="Documents at Įvesk").inner_text().split("\t")[1:] == [
        "123",
        f"{len(before[0]) + 3} exported",
    ]
    for name in (
        "Post an invoice",
        "Transfer an invoice",
        "A new vendor",
        "Ask for a sync",
        "Void a payment",
        "Close an order",
    ):
        press(name)
    changed = [
        one["status"] for one in vic.control.records("invoices") if before[1][one["internalId"]] != one["status"]
    ]
    assert set(changed) <= {"READY_FOR_POST", "READY_FOR_TRANSFER"}
    assert changed
    assert sum(one["status"] == "closed" for one in vic.control.records("purchaseOrders")) >= 1

    window = tab.open(f"{sandbox.url}/?view=payments")
    row = window.locator("tr", has=window.get_by_role("button", name="Void")).first
    invoice = row.locator("td").nth(3).inner_text()
    row.get_by_role("button", name="Void").press("Enter")
    window.locator("tr", has_text=invoice).get_by_text("voided").first.wait_for()
    [payment] = [
        one
        for batch in vic.control.records("paymentBatches")
        for kind in ("payments", "credits")
        for one in batch.get(kind) or ()
        if one["invoice"]["externalId"] == invoice
    ]
    assert payment["status"] == "voided"
    assert window.evaluate("document.activeElement.tagName") == "BUTTON"  # and not the page: its neighbour


@pytest.mark.long
def test_it_updates_by_itself_and_text_stays_text(sandbox: SandboxProcess, vic: Vic, tab: Tab) -> None:
    window = tab.open(f"{sandbox.url}/?view=documents")
    button = window.get_by_role("button", name="Export three")
    button.focus()
    sandbox.control.add(1, overrides={"docnum": EVIL, "sellername": EVIL, "currency": EVIL, "id": f"{EVIL}&'"})
    link = window.get_by_role("link", name=EVIL)
    link.wait_for()
    assert button.evaluate("one => one === document.activeElement")
    assert requests.get(f"{sandbox.url}{link.get_attribute('href')}", timeout=10).content.startswith(b"%PDF")
    window.locator("tr", has=link).get_by_role("button").click()
    window.locator("#told").get_by_text("Export: done.").wait_for()
    assert held(sandbox)[-1] == f"{EVIL}&'"
    vic.control.touch("vendors", count=40, name=EVIL)
    window.get_by_role("link", name="Vendors").click()
    assert window.get_by_text(EVIL).count() >= 40
    assert "ap-sandbox" in window.title()
    assert window.locator("main img, main script").count() == 0
    assert window.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert tab.overflow <= 0


@pytest.mark.long
def test_faults_are_ordered_and_a_sandbox_that_is_gone_is_told(sandbox: SandboxProcess, tab: Tab) -> None:
    window = tab.open(f"{sandbox.url}/?view=faults")
    window.get_by_role("combobox", name="what").select_option("status")
    window.get_by_role("combobox", name="of calls to").select_option("Įvesk")
    window.get_by_role("spinbutton", name="status").fill("503")
    window.get_by_role("spinbutton", name="times").fill("2")
    window.keyboard.press("Enter")
    row = window.locator("[data-live=faults] tbody tr")
    row.wait_for()
    assert call(sandbox, "GET", "/pub/exported").status_code == 503
    window.locator("[data-live=faults] tbody td").nth(5).get_by_text("1").wait_for()
    window.get_by_role("button", name="Cancel all").click()
    row.wait_for(state="detached")
    assert page(sandbox)["documents"]
    tab.context.set_offline(True)
    window.get_by_text("does not answer").wait_for()
    tab.context.set_offline(False)
    window.get_by_text("does not answer").wait_for(state="detached")
    tab.complaints = [one for one in tab.complaints if "ERR_INTERNET_DISCONNECTED" not in one]


@pytest.mark.long
def test_a_small_dark_window_will_do(browser: Browser, sandbox: SandboxProcess) -> None:
    with Tab(browser, width=1280, online=True) as tab:
        # The buttons of a row stay in sight, and would lie over what is beside them.
        for view in VIEWS:
            tab.open(f"{sandbox.url}/?view={view}").wait_for_selector("h2")
            assert tab.sideways == 0, view
    sandbox.control.add(1, overrides={"docnum": "N" * 300, "sellername": "S" * 300, "total": LONG})
    # 1280 pixels at 400 %.
    with Tab(browser, scheme="dark", width=320, online=True) as tab:
        for path in ("/", *(f"/?view={view}" for view in VIEWS), "/_control"):
            window = tab.open(sandbox.url + path)
            assert tab.overflow <= 0, path
            assert tab.sideways == 0, path
        assert window.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
        assert tab.complaints == []
