"""What anybody may send, or make the receiver wait for: it stays small, it answers, and commands still run."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tests.webhooks.receiver_process import TOKEN, ReceiverProcess
from tests.webhooks.serve_process import Webhooks, rule
from tests.webhooks.sns_double import TOPIC, SnsDouble

REQUEST = b"POST /vicai/events HTTP/1.1\r\nHost: x\r\n"
BEARER = b"Authorization: Bearer " + TOKEN.encode() + b"\r\n"
CHUNKED = REQUEST + BEARER + b"Transfer-Encoding: chunked\r\n\r\n" + b"2\r\n{}\r\n0\r\n"


@pytest.fixture(scope="module")
def receiver(sns: SnsDouble, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceiverProcess]:
    folder = tmp_path_factory.mktemp("attacks")
    with ReceiverProcess(folder, ivesk_test_hosts=[sns.place], ivesk_topics=[TOPIC]) as process:
        yield process


def flooded(receiver: ReceiverProcess, begin: bytes, piece: bytes, most: int = 40_000_000) -> tuple[int, bytes]:
    """Send pieces without end; return how many bytes were taken before the receiver hung up, and what it said."""
    with closing(socket.create_connection(("127.0.0.1", receiver.port), timeout=10)) as connection:
        sent, found = len(begin), b""
        try:
            connection.sendall(begin)
            while sent < most:
                connection.sendall(piece)
                sent += len(piece)
        except OSError:
            pass
        try:
            while more := connection.recv(65536):
                found += more
        except OSError:
            pass
        return sent, found


def memory(receiver: ReceiverProcess) -> int:
    status = Path(f"/proc/{receiver.process.pid}/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (REQUEST, b"X-%d: " % 1 + b"a" * 8000 + b"\r\n"),
        (REQUEST + b"X: ", b"a" * 65536),
        (REQUEST, b"a" * 65536),
        (b"POST /", b"a" * 65536),
        (b"POST /vicai/events?secret=", b"a" * 65536),
        (CHUNKED, b"X: " + b"a" * 8000 + b"\r\n"),
        (CHUNKED + b"X: ", b"a" * 65536),
        (CHUNKED[:-3] + b"1;", b"a" * 65536),
    ],
    ids=["many", "one value", "one name", "path", "query", "trailers", "one trailer", "chunk extension"],
)
def test_headers_without_end(receiver: ReceiverProcess, begin: bytes, piece: bytes) -> None:
    before = memory(receiver)
    sent, said = flooded(receiver, begin, piece)
    # Much may lie in the buffers of the connection; none of it in the receiver.
    assert sent < 20_000_000
    assert memory(receiver) - before < 5_000_000
    assert said.startswith(b"HTTP/1.1 4") or said == b""
    assert receiver.http.get(f"{receiver.url}/healthz", timeout=5).status_code == 200
    assert receiver.events() == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"".join(b"X-%d: a\r\n" % n for n in range(97)), b"200"),
        (b"".join(b"X-%d: a\r\n" % n for n in range(98)), b"431"),
        (b"X: " + b"a" * 60_000 + b"\r\n", b"200"),
        (b"X: " + b"a" * 66_000 + b"\r\n", b"431"),
        (b"X: " + b"a" * 33_000 + b"\r\nY: " + b"a" * 33_000 + b"\r\n", b"431"),
    ],
    ids=["100", "101", "60 KB", "66 KB", "two of 33 KB"],
)
def test_the_border_of_headers(receiver: ReceiverProcess, headers: bytes, status: bytes) -> None:
    body = b'{"event":"border","data":{"id":"%d"}}' % len(headers)
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    answer = receiver.raw(REQUEST + BEARER + headers + length, body)
    assert answer.startswith(b"HTTP/1.1 " + status), answer
    if status == b"431":
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == 431


def test_a_long_body_in_small_chunks_is_no_header(receiver: ReceiverProcess) -> None:
    text = b'{"event":"chunks","data":"' + b"x" * 300_000 + b'"}'
    chunks = b"".join(b"10\r\n%b\r\n" % text[at : at + 16].ljust(16) for at in range(0, len(text), 16))
    begin = REQUEST + BEARER + b"Transfer-Encoding: chunked\r\n\r\n"
    assert receiver.raw(begin, chunks, b"0\r\n\r\n").startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("events", b'{"event":"a","data":{"companyId":"\xff"}}'),
        ("events", b'{"event":"\xc3\x28"}'),
        ("events", b'{"event":"\xed\xa0\x80"}'),
        ("events", b'{"\xff":1}'),
        ("events", '{"event":"a"}'.encode("utf-16")),
        ("vendorNew", b'{"internalId":"\xf0\x82\x82\xac"}'),
        ("syncRequest", b'{"requestId":"\xff"}'),
    ],
)
def test_what_is_not_utf_8_is_the_senders_fault(receiver: ReceiverProcess, path: str, body: bytes) -> None:
    before = len(receiver.events())
    assert receiver.vicai(path, data=body).status_code == 400
    assert len(receiver.events()) == before


@pytest.mark.parametrize(
    "body", [b'{"Type":"Notification","Message":"\xff"}', b'{"\xff":""}', b"\xff\xfe", b'{"Type":"\\udc00"}']
)
def test_a_message_of_sns_that_is_not_utf_8(receiver: ReceiverProcess, body: bytes) -> None:
    assert receiver.ivesk(body).status_code == 400


def test_numbers_and_names_that_are_too_long_for_anything(receiver: ReceiverProcess) -> None:
    before = len(receiver.events())
    digits = "9" * 6000
    fields = {"companyId": "Į" * 70_000, "requestId": "r" * 70_000}
    assert receiver.vicai("events", json={"event": "Ž" * 70_000, "data": fields}).status_code == 200
    assert receiver.vicai("syncRequest", json=fields).status_code == 200
    for name in ("companyId", "id", "internalId", "requestId"):
        text = f'{{"event":"n","{name}":{digits},"data":{{"{name}":{digits}}}}}'
        assert receiver.vicai("events", data=text, headers={"X-Request-Id": "long"}).status_code in {200, 400}
    for row in receiver.events()[before:]:
        for field in ("kind", "company", "request_id", "dedup_key", "document_name", "document_type"):
            assert len(row[field] or "") <= 400
    first, second, *_ = receiver.events()[before:]
    # Cut, it would be another company; without one, the rules for some companies see it.
    assert (first["company"], second["company"]) == (None, None)
    assert first["body"] == json.dumps({"event": "Ž" * 70_000, "data": fields}).encode()


@pytest.mark.long
def test_a_company_of_70000_letters_does_not_stop_its_rule(tmp_path: Path) -> None:
    told = 'echo "$AP_WEBHOOKS_EVENT_COUNT $AP_WEBHOOKS_COMPANIES ${PGPASSWORD-none}" >> done.txt'
    with Webhooks(tmp_path, rules=[rule(told, retries=0, max_wait="300ms")]).serve() as hooks:
        assert hooks.post("events", {"event": "a", "data": {"id": 1, "companyId": "Į" * 70_000}}) == 200
        hooks.wait_for(lambda: hooks.statuses() == ["done"])
        assert hooks.lines() == ["1  none"]
        # Many that are short: all of them or none, because a part would pass for all.
        for number in range(250):
            hooks.post("events", {"event": "a", "data": {"id": number, "companyId": f"{number:04}" + "ą" * 240}})
        hooks.wait_for(lambda: set(hooks.statuses()) == {"done"} and len(hooks.rows("run_events")) == 251)
        for line in hooks.lines():
            count, _, companies = line.removesuffix(" none").partition(" ")
            assert companies == "" or len(companies.split(",")) == int(count)


class SlowCertificates:
    """Takes connections, and sends a certificate a byte at a time, or nothing at all."""

    def __init__(self, begin: bytes) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.place = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._begin = begin
        self.taken: list[socket.socket] = []
        self._ended = threading.Event()
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.taken.append(connection)
            threading.Thread(target=self._trickle, args=(connection,), daemon=True).start()

    def _trickle(self, connection: socket.socket) -> None:
        try:
            connection.sendall(self._begin)
            while self._begin and not self._ended.wait(0.5):
                connection.sendall(b"a")
        except OSError:
            pass

    def close(self) -> None:
        self._ended.set()
        self._listener.close()
        for connection in self.taken:
            connection.close()


BEGINNINGS = (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: ")


@pytest.mark.long
def test_certificates_that_do_not_come_hold_up_no_other_delivery(sns: SnsDouble, tmp_path: Path) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(closing(SlowCertificates(begin))) for begin in BEGINNINGS]
        hosts = [sns.place, *(one.place for one in slow)]
        receiver = stack.enter_context(ReceiverProcess(tmp_path, ivesk_test_hosts=hosts, ivesk_topics=[TOPIC]))
        statuses: list[int] = []

        def send(number: int) -> None:
            url = f"http://{slow[number % 3].place}/{number % 12}.pem"
            statuses.append(receiver.ivesk(json.dumps(sns.notification(SigningCertURL=url))).status_code)

        senders = [threading.Thread(target=send, args=(number,)) for number in range(60)]
        for sender in senders:
            sender.start()
        until = time.monotonic() + 20
        while sum(len(one.taken) for one in slow) < 12 and time.monotonic() < until:
            time.sleep(0.02)
        # While they wait, all else is answered; each certificate is asked for twice at most, whoever waits for it.
        assert receiver.http.get(f"{receiver.url}/healthz", timeout=3).status_code == 200
        assert receiver.ivesk(json.dumps(sns.notification())).status_code == 200
        assert receiver.vicai("events", json={"event": "a"}).status_code == 200
        assert 12 <= sum(len(one.taken) for one in slow) <= 24
        for sender in senders:
            sender.join(30)
        assert statuses == [503] * 60
        assert len(receiver.events()) == 2
        assert receiver.stop() == 0


SIGNED: list[tuple[str, Any]] = [
    ("MessageId", "a"),
    ("MessageId", "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324\n"),
    ("MessageId", "22B80B92-FDEA-4C2C-8F9D-BDFB0C7BF324"),
    ("MessageId", " 22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324"),
    ("Subject", "a\nTimestamp\nb"),
    ("Subject", "a\rb"),
    ("Subject", "a\u2028b"),
    ("Subject", "a" * 101),
    ("Timestamp", "2026-10-02"),
    ("Timestamp", "2026-10-02T10:11:12.123+00:00"),
    ("Timestamp", "2026-10-02T10:11:12Z"),
    ("Timestamp", "2026-10-02T10:11:12.123Z\n"),
    ("Timestamp", "２026-10-02T10:11:12.123Z"),
    ("TopicArn", TOPIC + "\n"),
    ("TopicArn", TOPIC.replace("000000000001", "1")),
    ("TopicArn", TOPIC.replace("eu-west-1", "eu-west")),
    ("TopicArn", TOPIC.replace("arn:aws:", "arn:example:")),
    ("TopicArn", TOPIC + ":sub"),
    ("Type", "Notification\n"),
]


@pytest.mark.parametrize(("field", "value"), SIGNED)
def test_a_signed_field_that_sns_would_not_write(
    receiver: ReceiverProcess, sns: SnsDouble, field: str, value: str
) -> None:
    before = len(receiver.events())
    changed: dict[str, Any] = {field: value}
    message = sns.notification() | changed if field == "Type" else sns.notification(**changed)
    answer = receiver.ivesk(json.dumps(message))
    assert (answer.status_code, field in answer.json()["message"]) == (400, True)
    assert len(receiver.events()) == before


@pytest.mark.parametrize("field", ["Token", "SubscribeURL"])
def test_a_confirmation_with_a_line_break(receiver: ReceiverProcess, sns: SnsDouble, field: str) -> None:
    sns.asked.clear()
    message = sns.confirmation()
    signed = sns.signer.sign(message | {field: message[field] + "\n"})
    answer = receiver.ivesk(json.dumps(signed))
    assert (answer.status_code, field in answer.json()["message"]) == (400, True)
    assert sns.asked == []


@pytest.mark.parametrize(
    "host",
    [
        "sns.us-east-1.amazonaws.com",
        "sns.eu-west-1.amazonaws.com.cn",
        "SNS.eu-west-1.amazonaws.com",
        "sns.eu-west-1.amazonaws.com:443",
        "sns.eu-west-1.amazonaws.com.",
        "sns.eu-west-1.api.amazonaws.com",
        "sns-fips.eu-west-1.amazonaws.com",
        "sns.eu-west-11.amazonaws.com",
    ],
)
def test_a_certificate_of_another_region(receiver: ReceiverProcess, sns: SnsDouble, host: str) -> None:
    url = f"https://{host}/SimpleNotificationService-0.pem"
    answer = receiver.ivesk(json.dumps(sns.notification(SigningCertURL=url)))
    assert (answer.status_code, "region of the topic" in answer.json()["message"]) == (403, True)
