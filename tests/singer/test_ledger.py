"""A ledger of what was sent: nothing goes out twice, and what may have arrived is left to a person."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ap_connectors.core.errors import Outage, Reject, Stop
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


# What it holds when it is damaged

LINE = '{"key":"key","at":"2026-01-01T00:00:00Z","owner":"owner","state":"sent","name":"a \\\\\\" b.pdf","id":null}'


def ledger(path: Path, content: bytes) -> Ledger:
    path.write_bytes(content)
    return Ledger(str(path), "owner")


@pytest.mark.parametrize(
    "content",
    [
        b"\0" * 4096,
        LINE.encode() + b"\n" + b"\0" * 4096,
        LINE[:60].encode() + b"\0" * 20,
        b"notes of somebody",
        LINE.encode() + b"\nnotes of somebody",
        LINE.encode() + LINE.encode()[:40],
        LINE.encode() + LINE.encode(),
        b"\xff\xfe" + LINE.encode("utf-16-le"),
        (LINE + "\n").encode("utf-16"),
        LINE.encode().replace(b",", b",\r", 3)[:60],
        b'{"key": "pretty printed',
        b'{"key":"' + b"x" * 70_000,
        b"[1, 2",
        b"{}",
        b"null",
        b"42",
    ],
    ids=lambda content: repr(content[:20]),
)
def test_a_damaged_ledger_stops_before_anything_is_sent(path: Path, content: bytes) -> None:
    """It does not count as empty, and is not cut."""
    uses: list[Callable[[Ledger], object]] = [
        lambda book: book.find("key"),
        lambda book: book.begin("key", "a"),
        lambda book: book.unfinished(),
        lambda book: book.end("key", "sent"),
    ]
    for use in uses:
        with pytest.raises(Stop, match=r"ledger_path: line \d of .* is damaged .* nothing is sent"):
            use(ledger(path, content))
        assert path.read_bytes() == content
        assert [one.name for one in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("length", range(1, len(LINE)))
def test_a_line_that_a_kill_left_unfinished_is_taken_out_and_a_copy_kept(path: Path, length: int) -> None:
    before = LINE.replace('"key":"key"', '"key":"other"').encode() + b"\n" + LINE.encode()[:length]
    book = ledger(path, before)
    assert book.find("key") is None
    assert path.read_bytes() == before, "looking cuts nothing"
    assert book.begin("key", "a") is None
    assert [entry["key"] for entry in map(json.loads, path.read_text().splitlines())] == ["other", "key"]
    copies = [one for one in path.parent.iterdir() if one != path]
    assert [one.read_bytes() for one in copies] == [before]
    assert copies[0].stat().st_mode & 0o777 == 0o600
    assert book.begin("key2", "a") is None
    assert len(list(path.parent.iterdir())) == 2, "one copy"


def test_each_cut_keeps_a_copy_of_its_own(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(3):
        content = (path.read_bytes() if path.exists() else b"") + b'{"key":"'
        ledger(path, content).begin(f"key {number}", "a")
    assert len(list(path.parent.iterdir())) == 4
    assert [text for text in caplog.messages if "ledger-copy_3.jsonl" in text]


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n", "\n  ", " \r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_what_an_editor_does_to_it_changes_nothing(path: Path, start: str, end: str) -> None:
    book = ledger(path, (start + LINE + end).encode())
    assert (book.find("key") or pytest.fail("not found")).state == "sent"
    book.begin("other", "b")
    again = Ledger(str(path), "owner")
    assert [(again.find(key) or pytest.fail(key)).state for key in ("key", "other")] == ["sent", "sending"]
    assert list(path.parent.iterdir()) == [path], "nothing was cut, so no copy"


def test_the_company_stands_in_every_line(path: Path) -> None:
    book = Ledger(str(path), "owner", "Fjordlys AS")
    SendOnce(book, "Vic.ai").send("key", "a.pdf", lambda _: "id")
    assert {json.loads(text)["company"] for text in path.read_text().splitlines()} == {"Fjordlys AS"}
    assert ledger(path, LINE.encode() + b"\n").find("key"), "as earlier versions wrote it, without"
