"""Too large, too slow, cut off, killed, full: whatever got a 2XX is in the inbox, and nothing else is."""

from __future__ import annotations

import http.client
import shutil
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.webhooks.receiver_process import TOKEN, ReceiverProcess, events

AUTHORIZED = b"Authorization: Bearer " + TOKEN.encode() + b"\r\n"


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceiverProcess]:
    folder = tmp_path_factory.mktemp("limits")
    with ReceiverProcess(folder, max_body_mb=3, max_event_mb=1, body_seconds=1.5) as process:
        yield process


def head(path: str, *lines: bytes) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: x\r\n".encode()
        + AUTHORIZED
        + b"".join(line + b"\r\n" for line in lines)
        + b"\r\n"
    )


def test_too_large_with_a_length(receiver: ReceiverProcess) -> None:
    # Refused for what it says; nothing of the body has come yet.
    answer = receiver.raw(head("/vicai/events", b"Content-Length: 1000001"))
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"larger than 1 MB" in answer
    form = b"Content-Type: multipart/form-data; boundary=x"
    assert receiver.raw(head("/vicai/invoicePost", form, b"Content-Length: 3000001")).startswith(b"HTTP/1.1 413")
    assert receiver.raw(head("/ivesk?secret=wehwev67sadv56", b"Content-Length: 999999999999")).startswith(
        b"HTTP/1.1 413"
    )
    assert receiver.events() == []


def test_too_large_without_a_length(receiver: ReceiverProcess) -> None:
    chunk = b"10000\r\n" + b"[" * 0x10000 + b"\r\n"
    answer = receiver.raw(head("/vicai/events", b"Transfer-Encoding: chunked"), chunk * 17)
    assert answer.startswith(b"HTTP/1.1 413")
    assert receiver.events() == []


def test_too_large_and_sent_in_full(receiver: ReceiverProcess) -> None:
    # The sender sees why, although it continues to send.
    assert receiver.vicai("events", data=b'"' + b"x" * 1_500_000 + b'"').status_code == 413
    assert receiver.events() == []


def test_the_largest_that_is_taken(receiver: ReceiverProcess) -> None:
    body = b'{"event":"large","data":"' + b"x" * 999_973 + b'"}'
    assert len(body) == 1_000_000
    assert receiver.vicai("events", data=body).status_code == 200
    assert [len(row["body"]) for row in receiver.events()] == [1_000_000]
    with closing(sqlite3.connect(receiver.inbox)) as connection, connection:
        connection.execute("DELETE FROM events")


def test_unauthorized_bodies_are_not_taken_in(receiver: ReceiverProcess) -> None:
    lines = b"POST /vicai/events HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"
    began = time.monotonic()
    assert receiver.raw(lines + b"x").startswith(b"HTTP/1.1 401")
    assert time.monotonic() - began < 5


def test_a_slow_body(receiver: ReceiverProcess) -> None:
    answer = receiver.raw(head("/vicai/events", b"Content-Length: 100"), b'{"event"')
    # What gets a 4XX counts as delivered, and would not come again.
    assert answer.startswith(b"HTTP/1.1 503")
    assert receiver.events() == []


def test_a_body_that_breaks_off(receiver: ReceiverProcess) -> None:
    before = receiver.metric("ap_webhooks_deliveries_total", outcome="broken", route="events", service="vicai")
    connection = http.client.HTTPConnection("127.0.0.1", receiver.port)
    connection.connect()
    # What has come is JSON all by itself, and still not what was sent.
    connection.sock.sendall(head("/vicai/events", b"Content-Length: 100") + b'{"event":"half"}')
    connection.close()
    for _ in range(100):
        now = receiver.metric("ap_webhooks_deliveries_total", outcome="broken", route="events", service="vicai")
        if now > before:
            break
        time.sleep(0.05)
    assert now == before + 1
    assert receiver.events() == []


def test_chunks_that_break_off(receiver: ReceiverProcess) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", receiver.port)) as connection:
        connection.connect()
        connection.sock.sendall(head("/vicai/events", b"Transfer-Encoding: chunked") + b'10\r\n{"event":"half"}\r\n')
    time.sleep(0.3)
    assert receiver.events() == []


def test_what_is_no_http(receiver: ReceiverProcess) -> None:
    assert receiver.raw(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert receiver.events() == []


def test_too_much_at_once(tmp_path: Path) -> None:
    with ReceiverProcess(tmp_path, max_event_mb=1, max_waiting_mb=0.5) as receiver:
        answer = receiver.vicai("events", data=b'{"event":"' + b"x" * 600_000 + b'"}')
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "5"
        # What was held is given back.
        assert receiver.vicai("events", data=b'{"event":"' + b"x" * 400_000 + b'"}').status_code == 200
        assert receiver.vicai("events", data=b'{"event":"' + b"y" * 400_000 + b'"}').status_code == 200
        assert receiver.metric("ap_webhooks_held_bytes") == 0
        assert len(receiver.events()) == 2


def burst(receiver: ReceiverProcess, count: int, threads: int, statuses: dict[str, int]) -> list[threading.Thread]:
    """Send that many different events; note the status of each that is answered."""
    numbers = iter(range(count))
    lock = threading.Lock()

    def send() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=10)
        headers = {"Authorization": f"Bearer {TOKEN}".encode()}
        try:
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                name = f"r-{number}"
                connection.request(
                    "POST", "/vicai/vendorNew", b'{"internalId":"%d"}' % number, headers | {"X-Request-Id": name}
                )
                answer = connection.getresponse()
                statuses[name] = answer.status
                answer.read()
        except (OSError, http.client.HTTPException):
            return
        finally:
            connection.close()

    started = [threading.Thread(target=send) for _ in range(threads)]
    for thread in started:
        thread.start()
    return started


def test_killed_during_a_burst(tmp_path: Path) -> None:
    statuses: dict[str, int] = {}
    with ReceiverProcess(tmp_path) as receiver:
        threads = burst(receiver, 1000, 20, statuses)
        while len(statuses) < 300 and any(thread.is_alive() for thread in threads):
            time.sleep(0.005)
        receiver.kill()
        for thread in threads:
            thread.join()
        acknowledged = {name for name, status in statuses.items() if 200 <= status < 300}
        assert 300 <= len(acknowledged) < 1000
        there = [row["request_id"] for row in events(receiver.inbox)]
        assert acknowledged <= set(there)
        assert len(there) == len(set(there))
    # After the start, the services send again what was not answered: all of it is there once.
    with ReceiverProcess(tmp_path) as receiver:
        for thread in burst(receiver, 1000, 20, statuses):
            thread.join()
        rows = receiver.events()
        assert Counter(row["request_id"] for row in rows) == {f"r-{number}": 1 for number in range(1000)}
        assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)


def test_ended_during_a_burst_every_answer_is_true(tmp_path: Path) -> None:
    statuses: dict[str, int] = {}
    with ReceiverProcess(tmp_path) as receiver:
        threads = burst(receiver, 1000, 20, statuses)
        while len(statuses) < 200:
            time.sleep(0.005)
        assert receiver.stop() == 0
        for thread in threads:
            thread.join()
        assert receiver.process.stdout
        told = receiver.process.stdout.read().decode().replace("stored", "").split()
        # The runner is notified once of each new event, and only of stored ones.
        assert [int(number) for number in told] == [row["id"] for row in events(receiver.inbox)]
        assert {row["request_id"] for row in events(receiver.inbox)} >= set(statuses)
        assert set(statuses.values()) == {202}


def test_a_full_disk(tmp_path: Path) -> None:
    with ReceiverProcess(tmp_path, largest_file=400_000) as receiver:
        statuses = []
        for number in range(30):
            body = {"internalId": str(number), "name": "x" * 30_000}
            answer = receiver.vicai("vendorNew", json=body, headers={"X-Request-Id": f"r-{number}"})
            statuses.append((f"r-{number}", answer.status_code))
            if answer.status_code != 202:
                assert answer.headers["Retry-After"]
        assert {status for _, status in statuses} == {202, 503}
        assert [row["request_id"] for row in receiver.events()] == [name for name, status in statuses if status == 202]
        assert receiver.metric("ap_webhooks_commit_failures_total") > 0
    # With room again, what was refused comes again.
    with ReceiverProcess(tmp_path) as receiver:
        for number in range(30):
            body = {"internalId": str(number), "name": "x" * 30_000}
            assert receiver.vicai("vendorNew", json=body, headers={"X-Request-Id": f"r-{number}"}).status_code == 202
        assert len(receiver.events()) == 30


def test_an_inbox_that_another_process_has_locked(tmp_path: Path) -> None:
    with ReceiverProcess(tmp_path) as receiver:
        with closing(sqlite3.connect(receiver.inbox, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            answer = receiver.vicai("events", json={"event": "a"})
            # Vic waits five seconds for an invoice, and hangs up.
            assert time.monotonic() - began < 5
            assert answer.status_code == 503
            assert receiver.http.get(f"{receiver.url}/healthz", timeout=10).status_code == 503
            other.execute("ROLLBACK")
        assert receiver.vicai("events", json={"event": "a"}).status_code == 200
        assert receiver.http.get(f"{receiver.url}/healthz", timeout=10).status_code == 200
        assert len(receiver.events()) == 1


def test_an_inbox_that_was_taken_away(tmp_path: Path) -> None:
    folder = tmp_path / "inbox"
    folder.mkdir()
    with ReceiverProcess(tmp_path, inbox=str(folder / "a.db")) as receiver:
        receiver.inbox = folder / "a.db"
        assert receiver.vicai("events", json={"event": "a"}).status_code == 200
        shutil.rmtree(folder)
        # A file without a name would take anything.
        assert receiver.vicai("events", json={"event": "b"}).status_code == 503
        folder.mkdir()
        assert receiver.vicai("events", json={"event": "c"}).status_code == 200
        assert [row["kind"] for row in receiver.events()] == ["c"]
        assert "removed or replaced" in receiver.log
