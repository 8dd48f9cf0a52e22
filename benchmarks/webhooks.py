"""`ap-webhooks`: answer times under load; a delivery that is lost or refused is a loss.

Deliveries of both services are sent at a steady pace, whatever the answers take.
"""

from __future__ import annotations

import http.client
import json
import os
import resource
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from urllib3.fields import RequestField
from urllib3.filepost import encode_multipart_formdata

from ap_connectors.webhooks.inbox import Inbox
from benchmarks.contestants import has_postgresql
from benchmarks.processes import HERE, FailedError
from benchmarks.results import Results, Row, progress
from benchmarks.services import empty_folder
from tests import postgresql
from tests.webhooks.sns_double import TOPIC, SnsDouble

DELIVERIES, PACE = 2_000, 100.0
"""How many, and how many a second."""
MOST_MS = 1000.0
_TOKEN, _SECRET = "benchmark-token", "benchmark-secret"
_WARM_UP, _SENDERS = 20, 32
_PDF = b"%PDF-1.4\n" + bytes(range(256)) * 600


class Delivery(NamedTuple):
    """One delivery, ready to be sent; `kind` names it in the figures."""

    kind: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Answer(NamedTuple):
    """What came back: `seconds` from when the delivery was due; status 0 = nothing came."""

    kind: str
    status: int
    seconds: float


def speed(results: Results) -> None:
    """Measure with an inbox in SQLite, and in PostgreSQL where it is installed."""
    _inbox("SQLite", "", results)
    if has_postgresql():
        _inbox("PostgreSQL", postgresql.empty_database("bench"), results)
    else:
        results.absent.append("PostgreSQL")


def _inbox(database: str, url: str, results: Results) -> None:
    count = results.order.records or DELIVERIES
    progress(f"{count:,} deliveries, {database}")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with empty_folder() as folder, closing(SnsDouble()) as sns:
        inbox = url or str(folder / "webhooks.db")
        with _receiver(folder, inbox, sns.place) as port:
            send(port, deliveries(_WARM_UP, sns), _WARM_UP)
            answers = send(port, deliveries(count, sns), PACE)
        with closing(Inbox(inbox)) as opened:
            stored = opened.count() - _WARM_UP
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    taken = sum(200 <= answer.status < 300 for answer in answers)
    kinds = ("all", *dict.fromkeys(answer.kind for answer in answers))
    rows = [_row(kind, [answer for answer in answers if kind in {"all", answer.kind}]) for kind in kinds]
    title = f"{count:,} deliveries, {PACE:g} a second, into {database}; {taken:,} answered 2XX, {stored:,} stored"
    table = results.table(database.lower(), title, ("count", "p50_ms", "p99_ms", "longest_ms"), rows)
    # Whatever else this machine does makes the answers slower.
    table.notes.append(f"receiver: {cpu:.1f} s of CPU; load average {os.getloadavg()[0]:.1f}")
    p99 = rows[0]["p99_ms"]
    results.aim(p99 < MOST_MS, f"99 of 100 answered within {p99:.0f} ms, {database}; aim < {MOST_MS:.0f}")
    if not taken == stored == count:
        results.losses.append(f"{database}: of {count:,} deliveries {taken:,} answered 2XX, {stored:,} stored")


def _row(kind: str, answers: Sequence[Answer]) -> Row:
    found = sorted(answer.seconds * 1000 for answer in answers)
    p50, p99 = found[len(found) // 2], found[min(len(found) - 1, len(found) * 99 // 100)]
    return Row(kind, {"count": len(found), "p50_ms": p50, "p99_ms": p99, "longest_ms": found[-1]})


@contextmanager
def _receiver(folder: Path, inbox: str, sns: str) -> Iterator[int]:
    """Run `ap-webhooks serve`; give its port. `sns` is where certificates come from."""
    settings = {"port": 0, "inbox": inbox, "vicai_token": _TOKEN, "ivesk_secret": [_SECRET]}
    settings |= {"ivesk_topics": [TOPIC], "ivesk_test_hosts": [sns]}
    config = folder / "webhooks.yml"
    config.touch(0o600)
    config.write_text(json.dumps(settings), encoding="utf-8")
    command = [HERE, "-m", "ap_connectors.webhooks", "serve", "--config", str(config)]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log) as process:
        assert process.stdout is not None
        try:
            if not (line := process.stdout.readline().decode().strip()):
                raise FailedError(f"ap-webhooks did not start: {(folder / 'log').read_text(encoding='utf-8')}")
            yield int(line.rpartition(":")[2])
        finally:
            process.terminate()


def send(port: int, requests: Sequence[Delivery], pace: float) -> list[Answer]:
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


def deliveries(count: int, sns: SnsDouble) -> list[Delivery]:
    """Make so many: six of ten are clicks on Export, and one of ten an invoice with 150 kB of PDF."""
    makers: list[Callable[[], Delivery]] = [*[partial(_export, sns)] * 6, *[_batch] * 2, _sync, _invoice]
    return [makers[number % len(makers)]() for number in range(count)]


def _export(sns: SnsDouble) -> Delivery:
    headers = {"Content-Type": "text/plain; charset=UTF-8"}
    return Delivery("ivesk", f"/ivesk?secret={_SECRET}", headers, json.dumps(sns.notification()).encode())


def _of_vic(kind: str, body: Any, media: str = "application/json") -> Delivery:
    headers = {"Authorization": f"Bearer {_TOKEN}", "X-Request-Id": str(uuid.uuid4()), "Content-Type": media}
    return Delivery(kind, f"/vicai/{kind}", headers, body if isinstance(body, bytes) else json.dumps(body).encode())


def _batch() -> Delivery:
    payments = [{"id": str(uuid.uuid4()), "amount": "200.00", "currencyId": "USD"} for _ in range(20)]
    data = {"id": str(uuid.uuid4()), "payments": payments}
    return _of_vic("events", {"event": "payment_batch_processed", "data": data})


def _sync() -> Delivery:
    return _of_vic("syncRequest", {"requestId": str(uuid.uuid4())})


def _invoice() -> Delivery:
    invoice = json.dumps({"internalId": str(uuid.uuid4()), "totalAmount": "121.00"})
    data = RequestField("invoiceData", invoice)
    data.make_multipart(content_type="application/json")
    parts = [data, RequestField.from_tuples("invoiceDocument", ("a.pdf", _PDF, "application/pdf"))]
    return _of_vic("invoicePost", *encode_multipart_formdata(parts))
