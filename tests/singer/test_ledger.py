"""A ledger of what was sent: nothing goes out twice, and what may have arrived is left to a person."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ap_connectors.core.errors import Outage, Reject
from ap_connectors.core.reject_codes import CODES
from ap_connectors.singer.ledger import DeliveryUnknown, Ledger, SendOnce


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


@pytest.fixture
def once(path: Path) -> SendOnce:
    return SendOnce(Ledger(str(path), "owner"), "Vic.ai")


def failing(error: Exception, happens: Callable[[DeliveryUnknown], None] = lambda _: None) -> Callable[..., None]:
    def call(delivery: DeliveryUnknown) -> None:
        happens(delivery)
        raise error

    return call


def test_a_thing_is_sent_once_in_any_number_of_runs(path: Path, once: SendOnce) -> None:
    sent: list[str] = []
    for run in (once, SendOnce(Ledger(str(path), "owner"), "Vic.ai")):
        run.send("key", "a.pdf", lambda _: sent.append("a.pdf"))
    assert sent == ["a.pdf"]
    assert once.known("key", "a.pdf")
    assert SendOnce(Ledger(str(path), "another owner"), "Vic.ai").known("key", "a.pdf") is None


def test_what_may_have_arrived_is_not_sent_again(path: Path, once: SendOnce) -> None:
    with pytest.raises(Outage):
        once.send("key", "a.pdf", failing(Outage("down"), DeliveryUnknown.note))
    with pytest.raises(Reject) as caught:
        once.send("key", "a.pdf", lambda _: None)
    reject = caught.value
    assert reject.code == "delivery_unknown"
    assert reject.code in CODES
    assert {name: reject.params[name] for name in ("name", "service", "ledger", "key")} == {
        "name": "a.pdf",
        "service": "Vic.ai",
        "ledger": str(path),
        "key": "key",
    }
    assert f"it was sent ({reject.params['at']})" in str(reject)


def test_a_refusal_after_an_unknown_delivery_is_not_final(once: SendOnce) -> None:
    with pytest.raises(Reject) as caught:
        once.send("key", "a.pdf", failing(Reject("too large", "document_too_large"), DeliveryUnknown.note))
    assert caught.value.code == "delivery_unknown"


def test_what_surely_did_not_arrive_is_sent_again(once: SendOnce) -> None:
    with pytest.raises(Outage):
        once.send("key", "a.pdf", failing(Outage("down")))
    with pytest.raises(Reject, match="too large"):
        once.send("key", "a.pdf", failing(Reject("too large", "document_too_large")))
    assert once.send("key", "a.pdf", lambda _: "id").effect == "created"
