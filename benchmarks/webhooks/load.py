"""Deliveries of both services, sent at a steady pace whatever the answers take."""

from __future__ import annotations

import http.client
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ap_connectors.sandbox.webhooks import signer as messages
from ap_connectors.sandbox.webhooks.signer import Signer

TOPIC = "arn:aws:sns:eu-west-1:000000000000:benchmark_onexport"
TOKEN, SECRET = "benchmark-token", "benchmark-secret"
_SENDERS = 32
_PDF = b"%PDF-1.4\n" + bytes(range(256)) * 600


@dataclass(frozen=True)
class Request:
    """One delivery, ready to be sent; `kind` names it in the figures."""

    kind: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What came back: `seconds` from when the delivery was due; status 0 = nothing came."""

    kind: str
    status: int
    seconds: float


@contextmanager
def certificates(signer: Signer) -> Iterator[str]:
    """Serve a certificate; give `host:port`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Give the certificate."""
            body = signer.certificate()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def deliveries(count: int, signer: Signer, sns: str) -> list[Request]:
    """Make so many: six of ten are clicks on Export, and one of ten an invoice with 150 kB of PDF."""
    makers: Sequence[Callable[[], Request]] = [
        *[lambda: _export(signer, sns)] * 6,
        *[_batch] * 2,
        _sync,
        _invoice,
    ]
    return [makers[number % len(makers)]() for number in range(count)]


def send(port: int, requests: Sequence[Request], pace: float) -> list[Answer]:
    """Send all, `pace` in a second, each when it is due; late ones count from then, too."""
    answers: list[Answer] = []
    numbers = iter(range(len(requests)))
    began = time.perf_counter() + 0.2

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while (number := next(numbers, None)) is not None:
            request, due = requests[number], began + number / pace
            time.sleep(max(0.0, due - time.perf_counter()))
            try:
                connection.request("POST", request.path, request.body, request.headers)
                answer = connection.getresponse()
                answer.read()
                status = answer.status
            except (OSError, http.client.HTTPException):
                connection.close()
                status = 0
            answers.append(Answer(request.kind, status, time.perf_counter() - due))
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(_SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def _export(signer: Signer, sns: str) -> Request:
    message = messages.new_message(messages.NOTIFY, TOPIC, '{"companyCode":"302320404"}')
    body = messages.sign(message, signer, "1", f"http://{sns}/certificate.pem")
    return Request("ivesk", f"/ivesk?secret={SECRET}", messages.headers(message, f"{TOPIC}:1"), body)


def _authorized(kind: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKEN}", "X-Request-Id": str(uuid.uuid4()), "Content-Type": kind}


def _batch() -> Request:
    payments = [{"id": str(uuid.uuid4()), "amount": "200.00", "currencyId": "USD"} for _ in range(20)]
    body = {"event": "payment_batch_processed", "data": {"id": str(uuid.uuid4()), "payments": payments}}
    return Request("events", "/vicai/events", _authorized("application/json"), json.dumps(body).encode())


def _sync() -> Request:
    body = json.dumps({"requestId": str(uuid.uuid4())}).encode()
    return Request("syncRequest", "/vicai/syncRequest", _authorized("application/json"), body)


def _invoice() -> Request:
    invoice = json.dumps({"internalId": str(uuid.uuid4()), "totalAmount": "121.00"}).encode()
    body = (
        b'--limit\r\nContent-Disposition: form-data; name="invoiceData"\r\nContent-Type: application/json\r\n\r\n'
        + invoice
        + b'\r\n--limit\r\nContent-Disposition: form-data; name="invoiceDocument"; filename="a.pdf"\r\n'
        + b"Content-Type: application/pdf\r\n\r\n"
        + _PDF
        + b"\r\n--limit--\r\n"
    )
    return Request("invoicePost", "/vicai/invoicePost", _authorized("multipart/form-data; boundary=limit"), body)
