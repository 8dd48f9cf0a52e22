"""Documents of invoices: drawn or as uploaded, in the answer or behind a signed link, whole or spoilt."""

from __future__ import annotations

import io
from typing import Any

import pypdf
import pytest
import requests

from tests.sandbox.emulated_vic import PDF, Vic

INTERNAL: dict[str, Any] = {"params": {"useSystem": "INTERNAL"}}


def text_of(data: bytes) -> str:
    return "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(data)).pages)


def document(vic: Vic, id_: str) -> requests.Response:
    return vic.ask("GET", f"/invoices/{id_}/document", **INTERNAL)


def test_a_drawn_document_shows_the_invoice(vic: Vic) -> None:
    for invoice in vic.control.records("invoices")[:5]:
        shown = text_of(document(vic, invoice["internalId"]).content)
        assert invoice["refNumber"] in shown
        assert invoice["totalAmount"] in shown
        assert invoice["vendor"]["name"].split()[0] in shown
        for line in vic.control.line_items(invoice["internalId"])[:3]:
            assert str(line["amount"]) in shown
    assert vic.call("listTrainingInvoices")
    assert document(vic, "0").status_code == 404


def test_an_uploaded_document_comes_back_byte_for_byte_with_its_type(vic: Vic) -> None:
    data = bytes(range(256)) * 3 + b"\r\n--x\r\n\r\n"
    vic.call("createInvoice", body={"transactionType": "INVOICE", "externalId": "I-1", "lineItems": [{"amount": "1"}]})
    vic.call("uploadDocumentInvoice", "I-1", files={"document": ('a "b" ž.xml', data, "text/xml")})
    answer = vic.ask("GET", "/invoices/I-1/document")
    assert (answer.content, answer.headers["content-type"]) == (data, "text/xml")


def test_a_redirect_leads_to_storage_that_wants_no_token(vic: Vic) -> None:
    vic.control.options(documents_by="redirect")
    [id_] = vic.control.add("invoices")
    answer = document(vic, id_)
    assert answer.status_code == 302
    assert answer.headers["x-request-id"]
    link = answer.headers["location"]
    assert link.startswith(vic.sandbox.url + "/storage/vicai/")
    assert requests.get(link, timeout=5).content.startswith(b"%PDF")
    leaked = requests.get(link, headers={"Authorization": f"Bearer {vic.token}"}, timeout=5)
    assert leaked.status_code == 400
    assert [(c["key"], c["status"]) for c in vic.sandbox.control.calls()[-2:]] == [("none", 200), ("ok", 400)]
    assert requests.get(link[:-1] + "x", timeout=5).status_code == 403
    assert requests.put(link, timeout=5).status_code == 405
    assert vic.token not in str(vic.sandbox.control.calls())


def test_a_link_expires(vic: Vic) -> None:
    vic.control.options(documents_by="redirect", link_seconds=0)
    [id_] = vic.control.add("invoices")
    answer = requests.get(document(vic, id_).headers["location"], timeout=5)
    assert answer.status_code == 403
    assert "expired" in answer.text


@pytest.mark.parametrize("by", ["direct", "redirect"])
@pytest.mark.parametrize("resource", ["invoices", "trainingInvoices"])
def test_documents_can_be_spoilt_and_mended(vic: Vic, resource: str, by: str) -> None:
    vic.control.options(documents_by=by)
    [id_] = vic.control.add(resource)
    more = INTERNAL if resource == "invoices" else {}

    def plain() -> requests.Response:
        answer = vic.ask("GET", f"/{resource}/{id_}/document", **more)
        return requests.get(answer.headers["location"], timeout=5) if answer.status_code == 302 else answer

    whole = plain().content
    vic.control.document(resource, id_, "short")
    assert plain().content == whole[: len(whole) // 2]
    vic.control.document(resource, id_, "html")
    assert plain().headers["content-type"].startswith("text/html")
    vic.control.document(resource, id_, "gone")
    assert plain().status_code == 404
    vic.control.document(resource, id_, "ok")
    assert plain().content == whole


def test_a_document_of_a_deleted_invoice_is_gone(vic: Vic) -> None:
    vic.call("createInvoice", body={"transactionType": "INVOICE", "externalId": "I-1", "lineItems": [{"amount": "1"}]})
    vic.call("uploadDocumentInvoice", "I-1", files={"document": ("a.pdf", PDF, "application/pdf")})
    vic.call("deleteInvoice", "I-1")
    vic.refused("getInvoiceDocument", "I-1", status=404)
