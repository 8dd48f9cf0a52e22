"""What Vic.ai sends, over a socket to the real server: what is stored, what is refused, and what is answered."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.webhooks.receiver_process import TOKEN, ReceiverProcess, new_events

PDF = b"%PDF-1.4\n\r\n--not-a-boundary\r\n\x00\xff" + bytes(range(256)) * 40
INVOICE = (
    '{"internalId": "876", "vendorName": "UAB „Ąžuolas“", "totalAmount": "1234567890123456.789", "x": 1.10}'.encode()
)
BATCH = (
    b'{ "event": "payment_batch_processed",\n "data": {"id": "f1c2384f", "companyId": "123", '
    b'"payments": [{"amount": "200.00", "rate": 1234567890123456.1230}], "note": null}}'
)


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceiverProcess]:
    with ReceiverProcess(tmp_path_factory.mktemp("vicai"), vicai_token=["the-old-one", TOKEN]) as process:
        yield process


@pytest.fixture
def new(receiver: ReceiverProcess) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    yield from new_events(receiver)


New = Callable[[], list[dict[str, Any]]]


def form(*parts: tuple[str, bytes, str | None, str | None]) -> dict[str, Any]:
    """A form as Vic sends it; parts are name, bytes, file name, type."""
    body = b""
    for name, content, file_name, kind in parts:
        disposition = f'form-data; name="{name}"' + (f'; filename="{file_name}"' if file_name else "")
        body += b"--limit\r\nContent-Disposition: " + disposition.encode() + b"\r\n"
        body += (f"Content-Type: {kind}\r\n" if kind else "").encode() + b"\r\n" + content + b"\r\n"
    return {"data": body + b"--limit--\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=limit"}}


DATA = ("invoiceData", INVOICE, None, "application/json")
DOCUMENT = ("invoiceDocument", PDF, "sąskaita 1.pdf", "application/pdf")


def test_an_event_is_stored_as_it_came(receiver: ReceiverProcess, new: New) -> None:
    answer = receiver.vicai("events", data=BATCH, headers={"X-Request-Id": "r-1"})
    assert (answer.status_code, answer.json()) == (200, {})
    (row,) = new()
    assert row["body"] == BATCH
    assert (row["service"], row["kind"], row["company"], row["request_id"]) == (
        "vicai",
        "payment_batch_processed",
        "123",
        "r-1",
    )
    assert row["document"] is None
    assert row["deliveries"] == 1


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [("vendorNew", 202, {"internalId": "409", "name": "Žirgas"}), ("syncRequest", 200, {"requestId": "0f0f0f0f-0000"})],
)
def test_calls_with_json(receiver: ReceiverProcess, new: New, path: str, status: int, body: dict[str, str]) -> None:
    assert receiver.vicai(path, json=body).status_code == status
    (row,) = new()
    assert (row["kind"], json.loads(row["body"])) == (path, body)
    # The id of a sync request is in its body; whatever is written for it carries it on.
    assert row["request_id"] == body.get("requestId")


@pytest.mark.parametrize("path", ["invoicePost", "invoiceTransfer"])
@pytest.mark.parametrize("parts", [(DATA, DOCUMENT), (DOCUMENT, DATA)], ids=["data first", "document first"])
def test_an_invoice_and_its_document_stay_together(receiver: ReceiverProcess, new: New, path: str, parts: Any) -> None:
    request_id = str(uuid.uuid4())
    answer = receiver.vicai(path, **form(*parts) | {"headers": form()["headers"] | {"X-Request-Id": request_id}})
    assert answer.status_code == 202
    (row,) = new()
    assert (row["kind"], row["request_id"]) == (path, request_id)
    assert (row["body"], row["document"]) == (INVOICE, PDF)
    assert (row["document_name"], row["document_type"]) == ("sąskaita 1.pdf", "application/pdf")


def test_an_invoice_as_clients_write_forms(receiver: ReceiverProcess, new: New) -> None:
    files = {
        "invoiceData": (None, b'{"internalId":"1"}', "application/json"),
        "invoiceDocument": ("../../etc/a.pdf", PDF),
    }
    assert receiver.vicai("invoicePost", files=files).status_code == 202
    (row,) = new()
    assert (row["document"], row["document_name"]) == (PDF, "a.pdf")


def test_an_invoice_without_document(receiver: ReceiverProcess, new: New) -> None:
    data = ("invoiceData", b'{"internalId":"without"}', None, "application/json")
    assert receiver.vicai("invoicePost", **form(data)).status_code == 202
    assert [row["document"] for row in new()] == [None]


@pytest.mark.parametrize(
    "request_",
    [
        form(DOCUMENT),
        form(DATA, DATA, DOCUMENT),
        form(DATA, DOCUMENT, DOCUMENT),
        form(("invoiceData", b"{not json", None, None), DOCUMENT),
        form(("invoiceData", b'["a list"]', None, None), DOCUMENT),
        form(*[DATA] * 30),
        {"data": form(DATA, DOCUMENT)["data"][:-11], "headers": form()["headers"]},
        {"data": b"no form at all", "headers": form()["headers"]},
        {"data": form(DATA, DOCUMENT)["data"], "headers": {"Content-Type": "multipart/form-data"}},
        {"data": INVOICE, "headers": {"Content-Type": "application/json"}},
    ],
)
def test_what_is_no_invoice(receiver: ReceiverProcess, new: New, request_: dict[str, Any]) -> None:
    answer = receiver.vicai("invoicePost", **request_)
    assert answer.status_code == 400
    assert answer.json()["code"] == 400
    assert len(answer.json()["message"]) > 10
    assert new() == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b"[" * 100_000], ids=range(6))
def test_what_is_no_json(receiver: ReceiverProcess, new: New, body: bytes) -> None:
    assert receiver.vicai("events", data=body).status_code == 400
    assert new() == []


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        b"Bearer",
        b"Bearer ",
        b"Bearer wrong",
        b"Basic " + TOKEN.encode(),
        TOKEN.encode(),
        b"Bearer " + TOKEN.encode()[:-1],
        b"Bearer " + TOKEN.encode() + b"x",
    ],
)
@pytest.mark.parametrize("path", ["events", "invoicePost"])
def test_a_wrong_bearer(receiver: ReceiverProcess, new: New, header: bytes | None, path: str) -> None:
    answer = receiver.vicai(path, token=None, data=BATCH, headers={} if header is None else {"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert new() == []


def test_two_bearers_are_none(receiver: ReceiverProcess, new: New) -> None:
    lines = [
        b"POST /vicai/events HTTP/1.1",
        b"Host: x",
        b"Content-Length: 2",
        *[b"Authorization: Bearer the-old-one"] * 2,
    ]
    assert receiver.raw(b"\r\n".join(lines) + b"\r\n\r\n{}").startswith(b"HTTP/1.1 401")
    assert new() == []


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer"])
@pytest.mark.parametrize("token", ["the-old-one", TOKEN])
def test_any_scheme_case_and_either_token(receiver: ReceiverProcess, new: New, scheme: str, token: str) -> None:
    headers = {"Authorization": f"{scheme} {token}".encode(), "X-Request-Id": str(uuid.uuid4())}
    assert receiver.vicai("events", token=None, data=BATCH, headers=headers).status_code == 200
    assert len(new()) == 1


def test_a_duplicate_is_stored_once_and_counted(receiver: ReceiverProcess, new: New) -> None:
    headers = form()["headers"] | {"X-Request-Id": str(uuid.uuid4())}
    for _ in range(3):
        assert receiver.vicai("invoicePost", **form(DATA, DOCUMENT) | {"headers": headers}).status_code == 202
    (row,) = new()
    assert row["deliveries"] == 3
    assert (
        receiver.metric("ap_webhooks_deliveries_total", outcome="duplicate", route="invoicePost", service="vicai") >= 2
    )


def test_without_request_id_the_content_tells(receiver: ReceiverProcess, new: New) -> None:
    bodies = [b'{"event":"payment_batch_processed","data":{"id":"%d"}}' % number for number in (1, 2, 1)]
    for body in bodies:
        assert receiver.vicai("events", data=body).status_code == 200
    assert [(row["body"], row["deliveries"]) for row in new()] == [(bodies[0], 2), (bodies[1], 1)]


def test_one_request_about_two_vendors_is_two_events(receiver: ReceiverProcess, new: New) -> None:
    for vendor in ("1", "2"):
        receiver.vicai("vendorNew", json={"internalId": vendor}, headers={"X-Request-Id": "same"})
    assert len(new()) == 2


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("PAYMENT_BATCH_PROCESSED", "payment_batch_processed"),
        ("invoice_post", "invoice_post"),
        ("INVOICE_POST", "invoice_post"),
        ("INVOICEPOST", "invoicePost"),
        ("vendor_onboarding_form_completed", "vendor_onboarding_form_completed"),
        ("ping", "ping"),
        ("paymentBatchProcessed", "payment_batch_processed"),
        ("purchaseOrderNew", "purchaseOrderNew"),
        ("naujas\nĮvykis", "naujas\nĮvykis"),
        (None, "unknown"),
        (7, "unknown"),
    ],
)
def test_unknown_events(receiver: ReceiverProcess, new: New, event: Any, kind: str) -> None:
    assert receiver.vicai("events", json={"event": event, "data": [1]}).status_code == 200
    assert [row["kind"] for row in new()] == [kind]


def test_numbers_are_only_looked_at(receiver: ReceiverProcess, new: New) -> None:
    body = b'{"event":"n","data":{"id":12345678901234567890123,"a":1e999,"b":-0.10,"c":1234567890123456789.123}}'
    assert receiver.vicai("events", data=body).status_code == 200
    assert [row["body"] for row in new()] == [body]


def test_other_methods_and_paths(receiver: ReceiverProcess, new: New) -> None:
    for path in ("/vicai/events", "/vicai/invoicePost", "/ivesk"):
        answer = receiver.http.get(receiver.url + path, timeout=10)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    for path in ("/", "/vicai", "/vicai/other", "/vicai/events/", "/metrics/x"):
        answer = receiver.http.post(receiver.url + path, data=BATCH, timeout=10, allow_redirects=False)
        assert answer.status_code == 404
    assert new() == []


def test_the_log_tells_and_keeps_secrets(receiver: ReceiverProcess) -> None:
    receiver.vicai("events", data=BATCH)
    receiver.vicai("events", data=BATCH, token="almost-" + TOKEN)
    assert "vicai payment_batch_processed: " in receiver.log
    assert "vicai events: 401 unauthorized" in receiver.log
    assert TOKEN not in receiver.log
    assert "almost" not in receiver.log


def test_health(receiver: ReceiverProcess) -> None:
    answer = receiver.http.get(f"{receiver.url}/healthz", timeout=10)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_a_service_that_is_not_set_up_is_asked_to_come_again(tmp_path: Any) -> None:
    with ReceiverProcess(tmp_path, vicai_token=[], ivesk_secret=[]) as receiver:
        for answer in (receiver.vicai("events", data=BATCH, token=""), receiver.ivesk("{}", secret="")):
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) > 0
        assert receiver.events() == []
