"""Įvesk's webhooks: subscriptions that must be confirmed, signed messages, retries, and what is never called."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.exceptions import HTTPException

from ap_connectors.sandbox.options import Options
from ap_connectors.sandbox.process import SandboxError, SandboxProcess
from ap_connectors.sandbox.webhooks import sender, signer
from ap_connectors.sandbox.webhooks.dispatcher import Delivery, Dispatcher, RetryPolicy
from ap_connectors.sandbox.webhooks.sender import OutgoingRequest, WithheldError
from ap_connectors.sandbox.webhooks.sns import Topics
from tests.sandbox.emulated import DECODER, call
from tests.sandbox.receiver import Receiver, verified


def subscribe(sandbox: SandboxProcess, target: str, event: str = "on_exported") -> requests.Response:
    return call(sandbox, "POST", "/pub/subscriptions", json={"name": "ERP", "eventType": event, "target": target})


def confirmed(sandbox: SandboxProcess, receiver: Receiver, event: str = "on_exported", query: str = "") -> None:
    """Subscribe, confirm, and forget what came for it."""
    assert subscribe(sandbox, f"{receiver.url}/ivesk{query}", event).status_code == 200
    sandbox.control.wait_for_webhooks()
    assert requests.get(receiver.deliveries[-1].json["SubscribeURL"], timeout=10).status_code == 200
    receiver.deliveries.clear()


def documents_of(sandbox: SandboxProcess, count: int) -> dict[str, list[str]]:
    """New documents that were not exported yet, by company."""
    codes = [company["code"] for company in sandbox.control.ivesk(sums=False)["companies"]]
    return {code: sandbox.control.add(1, company=code, export=False) for code in codes[:count]}


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_receiver_is_asked_to_confirm_and_then_told_of_each_company_once(
    sandbox: SandboxProcess, receiver: Receiver, version: str
) -> None:
    sandbox.control.options(signature_version=version)
    assert subscribe(sandbox, f"{receiver.url}/ivesk?secret=s3cret").status_code == 200
    sandbox.control.export(count=3)
    sandbox.control.wait_for_webhooks()
    [asked] = receiver.deliveries  # nothing before it is confirmed
    message = verified(asked)
    assert (asked.path, message["Type"]) == ("/ivesk?secret=s3cret", "SubscriptionConfirmation")
    assert message["SignatureVersion"] == version
    url = urlsplit(message["SubscribeURL"])
    assert (f"{url.scheme}://{url.netloc}", url.path) == (sandbox.url, "/sns/")
    query = {"Action": ["ConfirmSubscription"], "TopicArn": [message["TopicArn"]], "Token": [message["Token"]]}
    assert parse_qs(url.query) == query
    age = datetime.now(timezone.utc) - datetime.fromisoformat(message["Timestamp"].replace("Z", "+00:00"))
    assert abs(age) < timedelta(minutes=1)

    with pytest.raises(SandboxError, match="not confirmed"):
        sandbox.control.wait_until_confirmed(0.05)
    answer = requests.get(message["SubscribeURL"], timeout=10)
    sandbox.control.wait_until_confirmed()
    [subscription] = sandbox.control.webhook_subscriptions()
    assert f"<SubscriptionArn>{subscription['arn']}</SubscriptionArn>" in answer.text
    assert subscription["target"] == f"{receiver.url}/ivesk?secret=***"

    new = documents_of(sandbox, 3)
    sandbox.control.export([*new.popitem()[1], *new.popitem()[1]])
    sandbox.control.add(5, company=next(iter(new)))
    attempts = sandbox.control.wait_for_webhooks()
    told = [verified(delivery) for delivery in receiver.deliveries[1:]]
    assert len({json.loads(one["Message"])["companyCode"] for one in told}) == 3
    assert [list(json.loads(one["Message"])) for one in told] == [["companyCode"]] * 3
    assert {one["TopicArn"] for one in told} == {message["TopicArn"]}
    assert len({one["MessageId"] for one in told}) == 3
    assert {delivery.headers["x-amz-sns-subscription-arn"] for delivery in receiver.deliveries[1:]} == {
        subscription["arn"]
    }
    assert [one["id"] for one in attempts] == [message["MessageId"], *(one["MessageId"] for one in told)]
    assert {(one["outcome"], one["status"], one["attempt"]) for one in attempts} == {("delivered", 200, 1)}
    assert "s3cret" not in str(attempts)


def test_a_digitized_document_comes_whole_and_exact(sandbox: SandboxProcess, receiver: Receiver) -> None:
    confirmed(sandbox, receiver, "on_digitized")
    given = {"total": Decimal("1234567890123456.789"), "sellername": "„Ąžuolas“, UAB"}
    [made] = sandbox.control.add(1, export=False, overrides=given)
    sandbox.control.wait_for_webhooks()
    [delivery] = receiver.deliveries
    told = DECODER.decode(verified(delivery)["Message"])
    [held] = [one for one in sandbox.control.documents("digitized") if one["id"] == made]
    assert requests.get(told.pop("url"), timeout=10).content.startswith(b"%PDF")
    assert told == held
    assert (told["total"], told["sellername"]) == tuple(given.values())


def test_only_its_own_token_confirms_a_subscription(sandbox: SandboxProcess, receiver: Receiver) -> None:
    subscribe(sandbox, receiver.url)
    sandbox.control.wait_for_webhooks()
    url = receiver.deliveries[0].json["SubscribeURL"]
    wrong = (url[:-1] + "x", url.replace("onexport", "ondigitize"), url.replace("Confirm", "Refuse"), url[:-128])
    for one in wrong:
        assert requests.get(one, timeout=10).status_code == 400
    assert sandbox.control.webhook_subscriptions()[0]["state"] == "pending"
    assert requests.get(f"{sandbox.url}/sns/other.pem", timeout=10).status_code == 404


def test_subscribing_again_asks_again_and_doubles_nothing(sandbox: SandboxProcess, receiver: Receiver) -> None:
    subscribe(sandbox, f"{receiver.url}/ivesk")
    confirmed(sandbox, receiver)
    subscribe(sandbox, f"{receiver.url}/ivesk")
    sandbox.control.add(1)
    sandbox.control.wait_for_webhooks()
    assert [delivery.json["Type"] for delivery in receiver.deliveries] == ["Notification"]


def test_who_unsubscribes_is_told_so_and_then_nothing(sandbox: SandboxProcess, receiver: Receiver) -> None:
    confirmed(sandbox, receiver)
    sandbox.control.add(1)
    sandbox.control.wait_for_webhooks()
    assert requests.get(receiver.deliveries[0].json["UnsubscribeURL"], timeout=10).status_code == 200
    sandbox.control.add(1)
    sandbox.control.wait_for_webhooks()
    last = verified(receiver.deliveries[-1])
    assert [one.json["Type"] for one in receiver.deliveries] == ["Notification", "UnsubscribeConfirmation"]
    assert requests.get(last["SubscribeURL"], timeout=10).status_code == 200  # second thoughts
    sandbox.control.add(1)
    sandbox.control.wait_for_webhooks()
    assert receiver.deliveries[-1].json["Type"] == "Notification"


def test_a_retry_is_the_same_message_to_the_byte(sandbox: SandboxProcess, receiver: Receiver) -> None:
    sandbox.control.options(webhook_retry_seconds=0.01)
    confirmed(sandbox, receiver)
    receiver.answer(503, 500, 302, 429, 204)
    sandbox.control.add(1)
    attempts = sandbox.control.wait_for_webhooks()[1:]
    assert [one["status"] for one in attempts] == [503, 500, 302, 429, 204]
    assert [one["attempt"] for one in attempts] == [1, 2, 3, 4, 5]
    assert [one["outcome"] for one in attempts] == ["failed"] * 4 + ["delivered"]
    assert len({delivery.body for delivery in receiver.deliveries}) == 1
    assert len(receiver.deliveries) == 5


def test_a_message_is_given_up_after_ten_retries_and_never_after_a_refusal(
    sandbox: SandboxProcess, receiver: Receiver
) -> None:
    sandbox.control.options(webhook_retry_seconds=0.001)
    confirmed(sandbox, receiver)
    receiver.answer(500)
    sandbox.control.add(1)
    attempts = sandbox.control.wait_for_webhooks()[1:]
    assert [one["attempt"] for one in attempts] == list(range(1, 12))
    assert [one["outcome"] for one in attempts] == ["failed"] * 10 + ["given up"]
    receiver.answer(403)
    sandbox.control.add(1)
    assert sandbox.control.wait_for_webhooks()[12:][0]["outcome"] == "refused"
    assert len(receiver.deliveries) == 12


def test_pauses_double_up_to_thirty_times_the_first() -> None:
    policy = RetryPolicy(15, 10, 20, 600, frozenset())
    assert [policy.pause(attempt) for attempt in range(1, 11)] == [20, 40, 80, 160, 320] + [600] * 5


def test_a_receiver_that_is_down_gets_all_of_it_when_it_is_back(sandbox: SandboxProcess, receiver: Receiver) -> None:
    sandbox.control.options(webhook_retry_seconds=0.1)
    confirmed(sandbox, receiver)
    receiver.answers = lambda _: (_ for _ in ()).throw(ConnectionResetError)  # closes without an answer
    new = documents_of(sandbox, 8)
    for ids in new.values():
        sandbox.control.export(ids)
    with pytest.raises(SandboxError, match="8 webhooks still wait"):
        sandbox.control.wait_for_webhooks(0.1)
    receiver.answer(200)
    attempts = sandbox.control.wait_for_webhooks()
    delivered = [one["id"] for one in attempts if one["event"] == "on_exported" and one["outcome"] == "delivered"]
    assert len(delivered) == len(set(delivered)) == 8
    broken = {one["why"] for one in attempts if one["outcome"] == "failed"}
    assert broken == {"the connection was closed without an answer"}


def test_first_attempts_keep_their_order(sandbox: SandboxProcess, receiver: Receiver) -> None:
    confirmed(sandbox, receiver)
    new = documents_of(sandbox, 10)
    for ids in new.values():
        sandbox.control.export(ids)
    sandbox.control.wait_for_webhooks()
    assert [json.loads(one.json["Message"])["companyCode"] for one in receiver.deliveries] == list(new)


def test_a_slow_receiver_does_not_hold_up_the_others(sandbox: SandboxProcess, receiver: Receiver) -> None:
    other = Receiver()
    try:
        confirmed(sandbox, receiver)
        confirmed(sandbox, other)
        sandbox.control.options(webhook_patience=0.02, webhook_retry_seconds=0)
        receiver.slow = 1.0
        began = time.monotonic()
        sandbox.control.add(1)
        while not (other.deliveries and receiver.deliveries) and time.monotonic() - began < 10:
            time.sleep(0.01)
        assert len(other.deliveries) == 1
        time.sleep(0.05)
        slow = [one for one in sandbox.control.webhooks() if receiver.url in one["url"]][-1]
        assert slow["outcome"] in ("under way", "failed")
        receiver.slow = 0
        attempts = sandbox.control.wait_for_webhooks()
        assert "no answer within 0.3 s" in {one["why"] for one in attempts}
        assert len({one.json["MessageId"] for one in (*receiver.deliveries, *other.deliveries)}) == 1
    finally:
        other.close()


def test_nothing_but_this_machine_is_called(sandbox: SandboxProcess) -> None:
    assert subscribe(sandbox, "https://hooks.example/ivesk?secret=s3cret").status_code == 200
    [attempt] = sandbox.control.wait_for_webhooks()
    assert (attempt["outcome"], attempt["status"]) == ("withheld", None)
    assert "this machine only" in attempt["why"]
    assert attempt["url"] == "https://hooks.example/ivesk?secret=***"


@pytest.mark.parametrize(
    ("url", "acceptable", "local"),
    [
        ("https://example.org/a", True, False),
        ("http://127.0.0.1:80", True, True),
        ("http://localhost/a", True, True),
        ("https://[::1]:8443/a", True, True),
        ("http://127.0.0.1.example.org", False, False),
        ("http://localhost@example.org", False, False),
        ("https://localhost@example.org", True, False),
        ("http://127.0.0.1:99999", False, False),
        ("http://10.0.0.1", False, False),
        ("ftp://127.0.0.1", False, False),
        ("https://", False, False),
        ("http://[", False, False),
    ],
)
def test_where_webhooks_may_go(url: str, acceptable: bool, local: bool) -> None:
    assert (sender.acceptable(url), sender.local(url)) == (acceptable, local)


def test_a_receiver_on_this_machine_may_have_a_certificate_of_its_own(sandbox: SandboxProcess, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path / "receiver.pem"))
    receiver = Receiver(context)
    try:
        confirmed(sandbox, receiver)
        sandbox.control.add(1)
        assert sandbox.control.wait_for_webhooks()[-1]["outcome"] == "delivered"
    finally:
        receiver.close()


def self_signed(path: Path) -> Path:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(timezone.utc)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "receiver")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    certificate = builder.not_valid_before(now).not_valid_after(now + timedelta(1)).sign(key, hashes.SHA256())
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    private = key.private_bytes(encoding, form, serialization.NoEncryption())
    path.write_bytes(private + certificate.public_bytes(encoding))
    return path


def test_without_cryptography_a_subscription_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signer, "available", lambda: False)
    topics = Topics(Dispatcher(), signer.Signer(), "a", Options)
    with pytest.raises(HTTPException) as refused:
        topics.subscribe("on_exported", "a", "http://127.0.0.1:9", "http://127.0.0.1:8")
    assert (refused.value.status_code, "pip install" in refused.value.detail) == (501, True)
    assert topics.subscriptions == []


def test_only_a_webhook_needs_cryptography() -> None:
    code = "import sys, ap_connectors.sandbox.cli; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_the_start_page_shows_webhooks_without_secrets(sandbox: SandboxProcess, receiver: Receiver) -> None:
    confirmed(sandbox, receiver, query="?secret=s3cret")
    sandbox.control.add(1)
    sandbox.control.wait_for_webhooks()
    page = requests.get(f"{sandbox.url}/?view=webhooks", timeout=10).text
    assert page.count("on_exported") >= 2
    assert "delivered" in page
    assert "s3cret" not in page


def test_a_reset_in_the_middle_of_a_delivery_leaves_none_waiting() -> None:
    """Its answer may come with the cancellation, and is then counted no more."""

    async def delivered() -> tuple[int, bool]:
        dispatcher, asked = Dispatcher(), asyncio.Event()

        async def request() -> OutgoingRequest:
            dispatcher.clear()
            asked.set()
            raise WithheldError("not sent")

        policy = RetryPolicy(1.0, 0, 0.0, 0.0, frozenset())
        dispatcher.send("a", Delivery("ivesk", "on_exported", "1", "http://127.0.0.1:9", request, policy))
        await asked.wait()
        await asyncio.sleep(0)
        return dispatcher.waiting, await dispatcher.idle(5)

    assert asyncio.run(delivered()) == (0, True)


def test_a_reset_forgets_deliveries_and_keeps_the_certificate(sandbox: SandboxProcess, receiver: Receiver) -> None:
    confirmed(sandbox, receiver)
    receiver.answer(500)
    sandbox.control.add(1)
    sandbox.control.reset(documents=10)
    assert sandbox.control.wait_for_webhooks() == []
    assert sandbox.control.webhook_subscriptions() == []
    receiver.deliveries.clear()
    receiver.answer(200)
    confirmed(sandbox, receiver)
    sandbox.control.add(1)
    sandbox.control.wait_for_webhooks()
    verified(receiver.deliveries[-1])


def test_it_stops_at_once_whatever_waits(receiver: Receiver) -> None:
    receiver.slow = 30
    with SandboxProcess(0, webhook_senders=2) as sandbox:
        subscribe(sandbox, receiver.url)
        while not receiver.deliveries:
            time.sleep(0.01)
        began = time.monotonic()
    assert time.monotonic() - began < 4


def test_a_burst_is_delivered_whole(sandbox: SandboxProcess, receiver: Receiver) -> None:
    sandbox.control.options(webhook_senders=8)
    confirmed(sandbox, receiver, "on_digitized")
    made: list[Any] = sandbox.control.add(200, export=False)
    sandbox.control.wait_for_webhooks(60)
    assert sorted(json.loads(one.json["Message"])["id"] for one in receiver.deliveries) == sorted(made)
