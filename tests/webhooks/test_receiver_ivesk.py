"""What Įvesk sends by way of SNS: true messages are stored, forged, altered, old and foreign ones are not."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from ap_connectors.core.errors import Stop
from ap_connectors.webhooks.config_file import Texts
from ap_connectors.webhooks.settings import Settings
from tests.webhooks.receiver_process import SECRET, ReceiverProcess, new_events
from tests.webhooks.sns_double import TOPIC, Signer, SnsDouble, now

New = Callable[[], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def _process(sns: SnsDouble, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceiverProcess]:
    folder = tmp_path_factory.mktemp("ivesk")
    with ReceiverProcess(
        folder, ivesk_secret=["before", SECRET], ivesk_test_hosts=[sns.place], ivesk_topics=[TOPIC]
    ) as process:
        yield process


@pytest.fixture
def receiver(_process: ReceiverProcess, sns: SnsDouble) -> ReceiverProcess:
    sns.asked.clear()
    return _process


@pytest.fixture
def new(receiver: ReceiverProcess) -> Iterator[New]:
    yield from new_events(receiver)


def refusal(receiver: ReceiverProcess, message: dict[str, Any], status: int = 403) -> str:
    answer = receiver.ivesk(json.dumps(message))
    assert answer.status_code == status, answer.text
    said: str = answer.json()["message"]
    assert SECRET not in said
    return said


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_click_on_export(receiver: ReceiverProcess, sns: SnsDouble, new: New, version: str) -> None:
    message = sns.notification({"companyCode": "302320404"}, version=version)
    assert receiver.ivesk(json.dumps(message)).status_code == 200
    (row,) = new()
    assert (row["service"], row["kind"], row["company"]) == ("ivesk", "on_exported", "302320404")
    assert row["body"].decode() == message["Message"]
    assert row["dedup_key"] == message["MessageId"]
    # The envelope's other fields are not signed.
    assert b"UnsubscribeURL" not in row["body"]


def test_a_document(receiver: ReceiverProcess, sns: SnsDouble, new: New) -> None:
    text = (
        '{"id": "ą-1",\n "sellername": "UAB „Žirgas“ \\u0105", "total": 12345678901234567.89, "x": 1e999, "lines": []}'
    )
    assert receiver.ivesk(json.dumps(sns.notification(text, Subject="Nauja žinutė"))).status_code == 200
    (row,) = new()
    assert (row["kind"], row["body"].decode()) == ("on_digitized", text)


def test_a_message_that_is_no_json_is_kept(receiver: ReceiverProcess, sns: SnsDouble, new: New) -> None:
    assert receiver.ivesk(json.dumps(sns.notification("labas"))).status_code == 200
    assert [row["body"] for row in new()] == [b'"labas"']


def test_the_certificate_is_fetched_once(receiver: ReceiverProcess, sns: SnsDouble, new: New) -> None:
    url = sns.serve(sns.signer, "/once.pem")
    for _ in range(5):
        assert receiver.ivesk(json.dumps(sns.notification(SigningCertURL=url))).status_code == 200
    assert sns.asked == ["/once.pem"]
    assert len(new()) == 5


@pytest.mark.parametrize("field", ["Type", "MessageId", "TopicArn", "Message", "Timestamp", "Subject", "Signature"])
@pytest.mark.parametrize("version", ["1", "2"])
def test_altered_field_by_field(receiver: ReceiverProcess, sns: SnsDouble, new: New, field: str, version: str) -> None:
    message = sns.notification(version=version, Subject="a")
    changes = {
        "Type": "UnsubscribeConfirmation",
        "MessageId": str(uuid.uuid4()),
        "TopicArn": TOPIC + "2",
        "Message": message["Message"].replace("302320404", "302320405"),
        "Timestamp": now(1),
        "Subject": "b",
        "Signature": message["Signature"].replace(
            message["Signature"][5], "A" if message["Signature"][5] != "A" else "B", 1
        ),
    }
    said = refusal(receiver, message | {field: changes[field]}, 400 if field == "Type" else 403)
    assert "signature" in said or field in {"Type", "TopicArn"}
    assert new() == []


def test_a_subject_added_or_taken(receiver: ReceiverProcess, sns: SnsDouble, new: New) -> None:
    refusal(receiver, sns.notification() | {"Subject": "added"})
    message = sns.notification(Subject="taken")
    del message["Subject"]
    refusal(receiver, message)
    assert new() == []


@pytest.mark.parametrize("signature", ["", "x", "not base64 at all!", "QUFB"])
def test_no_signature(receiver: ReceiverProcess, sns: SnsDouble, new: New, signature: str) -> None:
    refusal(receiver, sns.notification() | {"Signature": signature})
    assert new() == []


@pytest.mark.parametrize("version", ["0", "3", "", "2"])
def test_another_signature_version(receiver: ReceiverProcess, sns: SnsDouble, new: New, version: str) -> None:
    refusal(receiver, sns.notification(version="1") | {"SignatureVersion": version})
    assert new() == []


def test_signed_with_another_key(receiver: ReceiverProcess, sns: SnsDouble, new: New) -> None:
    forger = Signer()
    assert "signature" in refusal(receiver, sns.notification(signer=forger))
    # A certificate that SNS does not serve is as good as none.
    url = sns.serve(forger, "/forger.pem").replace(sns.place, "127.0.0.1:9")
    assert "SNS" in refusal(receiver, sns.notification(signer=forger, SigningCertURL=url))
    assert new() == []


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("other-owner", {"owner": "example.com"}),
        ("looks-like", {"owner": "sns.amazonaws.com.example.com"}),
        ("expired", {"days": (-30, -1)}),
        ("not-yet", {"days": (1, 30)}),
        ("short-key", {"bits": 1024}),
    ],
)
def test_a_certificate_that_is_not_right(
    receiver: ReceiverProcess, sns: SnsDouble, new: New, name: str, made: dict[str, Any]
) -> None:
    signer = Signer(**made)
    url = sns.serve(signer, f"/{name}.pem")
    for _ in range(3):
        assert "certificate" in refusal(receiver, sns.notification(signer=signer, SigningCertURL=url))
    # Such messages cannot make us ask SNS again and again.
    assert sns.asked == [f"/{name}.pem"]
    assert new() == []


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem",
        "https://sns.eu-west-1.amazonaws.com.example.com/a.pem",
        "https://example.com/sns.eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com@127.0.0.1/a.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/a.pem",
        "https://sns.eu-west-1.amazonaws.com\\@127.0.0.1/a.pem",
        "https://sns.eu-west-1.amazonaws.com#@127.0.0.1/a.pem",
        "https://bucket.s3.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com/a.html",
        "https://sns.eu-west-1.amazonaws.com/a?b=c.pem",
        "https://sns.eu-west-1.amazonaws.com/../a.pem",
        "https://snsaeu-west-1.amazonaws.com/a.pem",
        "file:///etc/ssl/cert.pem",
        "http://169.254.169.254/latest/a.pem",
        "http://localhost/a.pem",
        "https://[::1/a.pem",
        "",
    ],
)
def test_a_certificate_from_elsewhere_is_not_even_fetched(
    receiver: ReceiverProcess, sns: SnsDouble, new: New, url: str
) -> None:
    assert "SigningCertURL" in refusal(receiver, sns.notification(SigningCertURL=url))
    assert sns.asked == []
    assert new() == []


def test_redirects_are_not_followed(receiver: ReceiverProcess, sns: SnsDouble, new: New) -> None:
    sns.pages["/moved.pem"] = (302, {"Location": f"{sns.url}/cert.pem"}, b"")
    refusal(receiver, sns.notification(SigningCertURL=f"{sns.url}/moved.pem"))
    assert sns.asked == ["/moved.pem"]
    assert new() == []


@pytest.mark.parametrize(
    "body", [b"", b"x" * 200_000, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_what_is_no_certificate(receiver: ReceiverProcess, sns: SnsDouble, new: New, body: bytes) -> None:
    path = f"/junk-{len(body)}.pem"
    sns.pages[path] = (200, {}, body)
    refusal(receiver, sns.notification(SigningCertURL=sns.url + path))
    assert new() == []


def test_a_certificate_that_cannot_be_had_now(receiver: ReceiverProcess, sns: SnsDouble, new: New) -> None:
    sns.pages["/later.pem"] = (503, {}, b"")
    message = sns.notification(SigningCertURL=f"{sns.url}/later.pem")
    answer = receiver.ivesk(json.dumps(message))
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    sns.serve(sns.signer, "/later.pem")
    assert receiver.ivesk(json.dumps(message)).status_code == 200
    assert [row["dedup_key"] for row in new()] == [message["MessageId"]]


@pytest.mark.parametrize("secret", [None, "", "wrong", SECRET + "x", SECRET[:-1], SECRET + "&secret=" + SECRET])
def test_a_wrong_secret(receiver: ReceiverProcess, sns: SnsDouble, new: New, secret: str | None) -> None:
    url = sns.serve(sns.signer, "/secret.pem")
    assert receiver.ivesk(json.dumps(sns.notification(SigningCertURL=url)), secret=secret).status_code == 401
    assert sns.asked == []
    assert new() == []


def test_the_secret_before(receiver: ReceiverProcess, sns: SnsDouble, new: New) -> None:
    assert receiver.ivesk(json.dumps(sns.notification()), secret="before").status_code == 200
    assert len(new()) == 1


@pytest.mark.parametrize("age", [-7300, -86400 * 365, 400])
def test_old_ones_and_those_from_the_future(receiver: ReceiverProcess, sns: SnsDouble, new: New, age: int) -> None:
    """It may be this machine's clock that is wrong: SNS sends again what it gets a 5XX for, and nothing else."""
    refusal(receiver, sns.notification(Timestamp=now(age)), status=503)
    assert new() == []


@pytest.mark.parametrize("age", [-7100, 200])
def test_late_ones_count(receiver: ReceiverProcess, sns: SnsDouble, new: New, age: int) -> None:
    assert receiver.ivesk(json.dumps(sns.notification(Timestamp=now(age)))).status_code == 200
    assert len(new()) == 1


def test_a_replay_is_stored_once(receiver: ReceiverProcess, sns: SnsDouble, new: New) -> None:
    body = json.dumps(sns.notification())
    assert [receiver.ivesk(body).status_code for _ in range(3)] == [200] * 3
    assert [row["deliveries"] for row in new()] == [3]


def test_another_topic(receiver: ReceiverProcess, sns: SnsDouble, new: New) -> None:
    topic = TOPIC.replace("onexport", "other")
    url = sns.serve(sns.signer, "/topic.pem")
    assert "topic" in refusal(receiver, sns.notification(TopicArn=topic, SigningCertURL=url))
    assert "topic" in refusal(receiver, sns.confirmation(topic=topic, SigningCertURL=url))
    assert sns.asked == []
    assert new() == []


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '{"Type":"Notification"}', '{"Type":1}', "\u0000", "labas"])
def test_what_is_no_message(receiver: ReceiverProcess, new: New, body: str) -> None:
    assert receiver.ivesk(body).status_code == 400
    assert new() == []


def test_a_subscription_is_confirmed(receiver: ReceiverProcess, sns: SnsDouble, new: New) -> None:
    message = sns.confirmation()
    assert receiver.ivesk(json.dumps(message)).status_code == 200
    (asked,) = [path for path in sns.asked if "Action" in path]
    assert "Action=ConfirmSubscription" in asked
    assert f"Token={message['Token']}" in asked
    assert new() == []
    assert message["Token"] not in receiver.log
    assert SECRET not in receiver.log


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/?Action=ConfirmSubscription&TopicArn={topic}&Token={token}",
        "https://169.254.169.254/?Action=ConfirmSubscription&TopicArn={topic}&Token={token}",
        "https://example.com/?Action=ConfirmSubscription&TopicArn={topic}&Token={token}",
        "http://localhost/?Action=ConfirmSubscription&TopicArn={topic}&Token={token}",
        "https://sns.eu-west-1.amazonaws.com@169.254.169.254/?Action=ConfirmSubscription&TopicArn={topic}&Token={token}",
        "{double}/?Action=DeleteTopic&TopicArn={topic}&Token={token}",
        "{double}/?Action=ConfirmSubscription&Action=DeleteTopic&TopicArn={topic}&Token={token}",
        "{double}/?Action=ConfirmSubscription&TopicArn={topic}x&Token={token}",
        "{double}/?Action=ConfirmSubscription&TopicArn={topic}&Token=other",
        "{double}/?Action=ConfirmSubscription&TopicArn={topic}&Token={token}&AuthenticateOnUnsubscribe=true",
        "{double}@169.254.169.254/?Action=ConfirmSubscription&TopicArn={topic}&Token={token}",
        "",
    ],
)
def test_a_confirmation_that_leads_elsewhere(receiver: ReceiverProcess, sns: SnsDouble, new: New, url: str) -> None:
    given = url.format(double=sns.url, topic=TOPIC, token="2336412f37fb687f5d51e6e2")
    assert "SubscribeURL" in refusal(receiver, sns.confirmation(SubscribeURL=given), 403 if given else 400)
    assert sns.asked == []
    assert new() == []


def test_a_forged_confirmation_is_not_visited(receiver: ReceiverProcess, sns: SnsDouble) -> None:
    refusal(receiver, sns.confirmation(signer=Signer()))
    refusal(receiver, sns.confirmation(Timestamp=now(-8000)), status=503)
    assert [path for path in sns.asked if "Action" in path] == []


def test_a_confirmation_that_fails_comes_again(receiver: ReceiverProcess, sns: SnsDouble) -> None:
    body = json.dumps(sns.confirmation())
    try:
        for status in (500, 302, 404):
            sns.confirm_with = status
            assert receiver.ivesk(body).status_code == 503
    finally:
        sns.confirm_with = 200
    assert receiver.ivesk(body).status_code == 200


def test_a_farewell_is_told(receiver: ReceiverProcess, sns: SnsDouble, new: New) -> None:
    message = sns.confirmation(Type="UnsubscribeConfirmation")
    assert receiver.ivesk(json.dumps(message)).status_code == 200
    assert "ended the subscription" in receiver.log
    assert [path for path in sns.asked if "Action" in path] == []
    assert new() == []


@pytest.mark.long
def test_topics_are_pinned_when_none_is_named(sns: SnsDouble, tmp_path: Path) -> None:
    other = TOPIC.replace("onexport", "ondigitize")
    foreign = TOPIC.replace("000000000001", "000000000666")

    def status(receiver: ReceiverProcess, message: dict[str, Any]) -> int:
        return receiver.ivesk(json.dumps(message)).status_code

    with ReceiverProcess(tmp_path, ivesk_test_hosts=[sns.place]) as receiver:
        assert status(receiver, sns.notification()) == 403
        assert status(receiver, sns.confirmation()) == 200
        assert status(receiver, sns.notification()) == 200
        # The second kind of event has a topic of its own, of the same account; anybody else's stays out.
        assert status(receiver, sns.notification(TopicArn=other)) == 403
        assert status(receiver, sns.confirmation(topic=other)) == 200
        assert status(receiver, sns.confirmation(topic=foreign)) == 403
        assert status(receiver, sns.notification(TopicArn=foreign)) == 403
    with ReceiverProcess(tmp_path, ivesk_test_hosts=[sns.place]) as receiver:
        assert status(receiver, sns.notification(TopicArn=other, content="{}")) == 200
        assert [row["kind"] for row in receiver.events()] == ["on_exported", "on_digitized"]


@pytest.mark.parametrize(
    "host", ["169.254.169.254:80", "sns.example.com:80", "0.0.0.0:80", "127.0.0.1", "localhost:80"]
)
def test_only_this_machine_stands_in_for_sns(host: str) -> None:
    with pytest.raises(Stop, match="ivesk_test_hosts"):
        Settings(ivesk_test_hosts=Texts((host,)))


@pytest.mark.parametrize("name", ["vicai_token", "ivesk_secret", "ivesk_topics"])
def test_an_empty_secret_is_refused(name: str) -> None:
    with pytest.raises(Stop, match=name):
        Settings(**cast(Any, {name: Texts(("good", " "))}))
