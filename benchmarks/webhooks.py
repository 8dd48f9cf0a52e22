"""`python -m benchmarks.webhooks`: answer times under load; ends with status 1 if a delivery was lost or refused.

Deliveries of both services are sent at a steady pace, whatever the answers take.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import resource
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

from ap_connectors.sandbox.webhooks import signer as messages
from ap_connectors.sandbox.webhooks.signer import Signer
from ap_connectors.webhooks.config_file import Texts
from ap_connectors.webhooks.inbox import Inbox
from ap_connectors.webhooks.receiver import create_app
from ap_connectors.webhooks.serve import serve_app
from ap_connectors.webhooks.settings import Settings
from benchmarks.results import Aim, Row, Table, machine

TOPIC = "arn:aws:sns:eu-west-1:000000000000:benchmark_onexport"
TOKEN, SECRET = "benchmark-token", "benchmark-secret"
_WARM_UP, _SENDERS = 20, 32
_MOST_MS = 1000.0
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


def main() -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.webhooks", description=__doc__)
    parser.add_argument("--pace", type=float, default=100, help="deliveries a second (100)")
    parser.add_argument("--seconds", type=float, default=20, help="how long (20)")
    parser.add_argument("--inbox", help="URL of an empty database (default: an SQLite file that is removed afterwards)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--receive", metavar="SNS", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.receive:
        return receive(chosen.inbox, chosen.receive)

    print(machine())
    signer = Signer()
    with TemporaryDirectory() as folder, certificates(signer) as sns:
        inbox = chosen.inbox or str(Path(folder) / "webhooks.db")
        requests = deliveries(int(chosen.pace * chosen.seconds), signer, sns)
        with _receiver(inbox, sns) as port:
            send(port, deliveries(_WARM_UP, signer, sns), _WARM_UP)
            answers = send(port, requests, chosen.pace)
        opened = Inbox(inbox)
        stored = opened.count() - _WARM_UP
        opened.close()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    taken = sum(200 <= answer.status < 300 for answer in answers)
    title = f"{chosen.pace:g} deliveries a second for {chosen.seconds:g} s; {taken} answered 2XX, {stored} stored"
    kinds = ("all", *dict.fromkeys(answer.kind for answer in answers))
    rows = [_row(kind, [answer for answer in answers if kind in {"all", answer.kind}]) for kind in kinds]
    # Whatever else this machine does makes the answers slower.
    load = f"receiver: {used.ru_utime + used.ru_stime:.1f} s of CPU; load average {os.getloadavg()[0]:.1f}"
    table = Table("webhooks", title, ("count", "p50_ms", "p99_ms", "longest_ms"), rows, [load])
    aim = Aim(
        rows[0]["p99_ms"] < _MOST_MS, f"99 of 100 answered within {rows[0]['p99_ms']:.0f} ms; aim < {_MOST_MS:.0f}"
    )
    print("\n".join([*table.lines(), "", str(aim)]))
    if chosen.json:
        figures = {row.name: dict(row.cells) for row in rows}
        chosen.json.write_text(json.dumps({"taken": taken, "stored": stored, "ms": figures}), encoding="utf-8")
    return 0 if taken == len(requests) == stored else 1


def _row(kind: str, answers: Sequence[Answer]) -> Row:
    found = sorted(answer.seconds * 1000 for answer in answers)
    p50, p99 = found[len(found) // 2], found[min(len(found) - 1, len(found) * 99 // 100)]
    return Row(kind, {"count": len(found), "p50_ms": p50, "p99_ms": p99, "longest_ms": found[-1]})


def receive(inbox: str, sns: str) -> int:
    """Serve on a free port, and print the address; `sns` is where certificates come from."""
    opened = Inbox(inbox)
    settings = Settings(
        vicai_token=Texts([TOKEN]),
        ivesk_secret=Texts([SECRET]),
        ivesk_topics=Texts([TOPIC]),
        ivesk_test_hosts=Texts([sns]),
    )
    serve_app(create_app(settings, opened, lambda _ids: None), port=0, ready=lambda url: print(url, flush=True))
    opened.close()
    return 0


@contextmanager
def _receiver(inbox: str, sns: str) -> Iterator[int]:
    command = [sys.executable, "-m", "benchmarks.webhooks", "--inbox", inbox, "--receive", sns]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline().rpartition(":")[2])
        finally:
            process.terminate()


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


if __name__ == "__main__":
    sys.exit(main())
