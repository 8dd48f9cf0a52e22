"""What people feed by mistake: told in a line or two, nothing lost, no secret shown; and values that stay exact."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.campaign import one_in
from tests.target_vicai.conftest import (
    Message,
    Record,
    Result,
    Target,
    line,
    load,
    record,
    schema,
    state,
)
from tests.target_vicai.scene import AT, LATER, LONG
from tests.target_vicai.store import Store, covers

TOKEN = re.compile(r"eyJ[\w-]{20,}")


def good(number: int = 1) -> Record:
    key = f"KTO-90{number:02}"
    return {"externalId": key, "externalUpdatedAt": AT, "number": f"90{number:02}", "name": f"Sąskaita {number}"}


def check_clear(run: Result) -> str:
    """The run ended with status 1 and said why in at most two lines, without a traceback."""
    assert run.status == 1
    assert 1 <= len(run.complaints) <= 2, run.err
    assert "Traceback" not in run.err
    # The longest names all streams.
    assert all(len(text) < 900 for text in run.complaints)
    return " ".join(run.complaints)


# Input that is not Singer messages: what came before it is finished, and its STATE is out


@one_in(3)
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("INFO tap_erp starting up", "is not JSON"),
        ('{"type": "RECORD", "stream": "accounts", "record": {"externalId"', "is not JSON|in the middle"),
        ('[{"type": "STATE"}]', "Line 4"),
        ("7", "Line 4"),
        ('{"stream": "accounts", "record": {}}', "type"),
        ('{"type": "RECRD", "stream": "accounts", "record": {}}', "RECRD"),
        ('{"type": "RECORD", "record": {"externalId": "1"}}', "stream"),
        ('{"type": "RECORD", "stream": "accounts"}', "record"),
        ('{"type": "RECORD", "stream": "accounts", "record": [1]}', "record"),
        ('{"type": "RECORD", "stream": "vendors", "record": {"externalId": "1"}}', "vendors"),
        ('{"type": "STATE"}', "STATE|value"),
        ('{"type": "BATCH", "stream": "accounts", "encoding": {}, "manifest": []}', "BATCH"),
        (b'{"type": "RECORD", "stream": "accounts", "record": {"name": "\xff\xfe"}}', "Line 4"),
        (b"\x1f\x8b\x08\x00\x00", "Line 4"),
    ],
)
def test_input_that_is_none_is_explained(store: Store, target: Target, wrong: Message, said: str) -> None:
    run = target([*load("accounts", good()), state(1), wrong, record("accounts", **good(2)), state(2)], expect=1)
    words = check_clear(run)
    assert re.search(said, words), words
    assert "ine 4" in words
    assert run.states == [{"n": 1}], "what came before is done, and what came after is not acknowledged"
    assert "KTO-9001" in {account["externalId"] for account in store.change().added("accounts")}


def test_an_unknown_stream_is_refused_with_the_names_there_are(store: Store, target: Target) -> None:
    messages = [*load("accounts", good()), state(1), *load("vendor", {"externalId": "1"}), state(2)]
    run = target(messages, expect=1)
    words = check_clear(run)
    assert "vendor" in words
    assert "vendors" in words
    assert "unknown_streams" in words
    assert run.states == [{"n": 1}]
    store.change().only(accounts=(1, 0, 0))


def test_an_unknown_stream_may_be_ignored(store: Store, target: Target) -> None:
    messages = [*load("kleckse", {"x": 1}, {"x": 2}), *load("accounts", good()), state(1)]
    run = target(messages, unknown_streams="ignore")
    assert run.states == [{"n": 1}]
    assert not run.rejects
    assert "kleckse" in run.err
    store.change().only(accounts=(1, 0, 0))


def test_nothing_at_all_is_well(store: Store, target: Target) -> None:
    assert target([]).out == ""
    assert target([b"", b"   ", state(5)]).states == [{"n": 5}]
    store.untouched()


def test_a_state_leaves_as_it_came(target: Target) -> None:
    text = '{"bookmarks":{"ąž":{"v":12345678901234567.890,"t":"2026-01-05T10:00:00","e":1e400,"n":null}}}'
    run = target(['{"type":"STATE","value":' + text + "}"])
    assert run.out.replace(" ", "") == text + "\n"


# Records that are no good: set aside, and the rest goes on

BAD: list[tuple[str, dict[str, Any], str]] = [
    ("accounts", {"externalId": None}, "externalId"),
    ("accounts", {"externalId": ""}, "externalId"),
    ("accounts", {"externalId": LONG}, "externalId.*255"),
    ("accounts", {"externalId": ["KTO"]}, "externalId"),
    ("accounts", {"name": LONG}, r"name.*255.*300"),
    ("accounts", {"name": {"lt": "Sąskaita"}}, "name"),
    ("accounts", {"name": True}, "name"),
    ("accounts", {"name": None}, "name"),
    ("accounts", {"number": None}, "number"),
    ("accounts", {"externalUpdatedAt": "2026-02-30T10:00:00"}, "externalUpdatedAt.*2026-02-30"),
    ("accounts", {"externalUpdatedAt": "01.03.2026"}, r"externalUpdatedAt.*01\.03\.2026"),
    ("accounts", {"externalUpdatedAt": 1767225600}, "externalUpdatedAt"),
    ("accounts", {"externalUpdatedAt": None}, "externalUpdatedAt"),
    ("accounts", {"externalData": "tekstas"}, "externalData"),
    ("vendors", {"taxInfo": "300001"}, "taxInfo"),
    ("vendors", {"taxInfo": {"is1099vendor": "galbūt"}}, r"taxInfo\.is1099vendor.*galbūt"),
    ("vendors", {"addressCity": LONG}, "addressCity.*255"),
    ("vendors", {"defaultPaymentInfo": {"paymentTerm": {"count": "x", "unit": "DAYS"}}}, r"paymentTerm\.count.*x"),
    ("vendors", {"defaultPaymentInfo": {"paymentTerm": {"count": Decimal("1.5"), "unit": "DAYS"}}}, r"count.*1\.5"),
    ("vendors", {"paymentTermId": "ne-uuid"}, "paymentTermId.*ne-uuid"),
    ("vendors", {"paymentTermId": "00000000-0000-4000-8000-000000000000"}, "paymentTermId"),
    ("vendors", {"countryCode": "LTU"}, "countryCode.*2"),
    ("vat_codes", {"rate": "12,50"}, "rate.*12,50"),
    ("vat_codes", {"rate": True}, "rate"),
    ("vat_codes", {"rate": "1e3"}, "rate.*1e3"),
    ("vat_codes", {"activeStartingAt": "2026-13-01T00:00:00"}, "activeStartingAt.*2026-13-01"),
    ("payment_terms", {"daysToPay": Decimal("30.5")}, r"daysToPay.*30\.5"),
    ("payment_terms", {"discountPercentage": "du"}, "discountPercentage.*du"),
    ("payment_terms", {"name": None}, "name"),
    ("tax_codes", {"code": None}, "code"),
    ("vendor_tags", {"tagValue": None}, "tag"),
]
WHOLE: dict[str, Callable[[], Record]] = {
    "accounts": good,
    "vendors": lambda: {"externalId": "T-1", "externalUpdatedAt": AT, "name": "UAB"},
    "vat_codes": lambda: {
        "externalId": "V-1",
        "externalUpdatedAt": AT,
        "code": "V1",
        "description": "PVM",
        "rate": Decimal(21),
    },
    "payment_terms": lambda: {"name": "Per mėnesį", "daysToPay": 30, "description": None, "discountDays": None},
    "tax_codes": lambda: {"code": "C-1", "description": "Mokestis", "rate": "0.210"},
    "vendor_tags": lambda: {"vendorExternalId": "50000", "tagValue": "EHF"},
}


def test_bad_records_are_set_aside_one_by_one(vicai: SandboxProcess, store: Store, target: Target) -> None:
    """All kinds of wrong in one load, good records between: each reason names the field; the good ones are in."""
    messages: list[Message] = []
    sent: list[Record] = []
    for number, (stream, wrong, _) in enumerate(BAD):
        bad = WHOLE[stream]() | wrong
        sent.append(bad)
        messages += [*load(stream, bad), *load("accounts", good(number + 10)), state(number)]
    run = target(messages, expect=1)
    assert "Traceback" not in run.err
    assert run.states[-1] == {"n": len(BAD) - 1}
    store.change().only(accounts=(len(BAD), 0, 0))
    rejects = {message["rejected"]["line"]: message for message in run.rejects}
    assert len(run.rejects) == len(rejects) == len(BAD)
    for number, (stream, _, said) in enumerate(BAD):
        rejected = rejects[5 * number + 2]
        assert rejected["stream"] == stream
        assert rejected["record"] == sent[number], "the record as it came"
        assert re.search(said, rejected["rejected"]["reason"], re.DOTALL), rejected["rejected"]["reason"]
        assert len(rejected["rejected"]["reason"]) < 600
    assert run.counts("vendors")["rejected"] == sum(stream == "vendors" for stream, _, _ in BAD)
    words = check_clear(run)
    assert str(len(BAD)) in words
    assert "rejects.jsonl" in words, "says where they are"


@one_in(3)
@pytest.mark.parametrize("missing", ["externalId", "externalUpdatedAt", "number", "name"])
def test_a_missing_field_is_named(store: Store, target: Target, missing: str) -> None:
    bad = {name: value for name, value in good().items() if name != missing}
    run = target([*load("accounts", bad), state(1)], expect=1)
    assert missing in run.reasons[0]
    assert run.states == [{"n": 1}]
    assert run.writes == []
    store.untouched()


def test_two_spellings_of_one_field_are_not_guessed_about(store: Store, target: Target) -> None:
    run = target(load("accounts", good() | {"NAME": "Kitaip"}), expect=1)
    assert re.search("name.*NAME|NAME.*name", run.reasons[0])
    store.untouched()


def test_as_many_rejects_as_allowed_are_no_failure(store: Store, target: Target) -> None:
    bad = [good(number) | {"name": LONG} for number in range(3)]
    messages = [*load("accounts", *bad, good(50)), state(1)]
    assert len(target(messages, max_rejects=3).rejects) == 3
    assert len(target(messages, max_rejects=2, expect=1).rejects) == 3
    store.change().only(accounts=(1, 0, 0))


def test_without_a_name_the_reject_file_gets_the_time(target: Target, tmp_path: Any) -> None:
    path = tmp_path / "atmesti" / "rejects-{timestamp}.jsonl"
    run = target([*load("accounts", good() | {"name": LONG}), state(1)], expect=1, rejects_path=str(path))
    (made,) = path.parent.iterdir()
    assert re.fullmatch(r"rejects-\d{8}T\d{6}Z\.jsonl", made.name)
    assert made.stat().st_mode & 0o077 == 0, "only for the one who ran it"
    assert made.name in run.err
    assert len(made.read_text().splitlines()) == 2


def test_a_reject_of_another_kind_of_input_still_replays(store: Store, target: Target) -> None:
    """A reject keeps every field and digit, also those that no contract knows; `_sdc_` members too."""
    odd = good() | {"name": LONG, "_sdc_sequence": 17, "Kaina": Decimal("12345678901234567.890"), "z": [{"ą": None}]}
    run = target([*load("accounts", odd), state(1)], expect=1)
    assert run.rejects[0]["record"] == odd
    assert '"Kaina":12345678901234567.890' in run.reject_text.replace(": ", ":")
    fixed = run.reject_lines
    fixed[1]["record"]["name"] = "Trumpai"
    again = target(fixed)
    assert not again.rejects
    ((shown),) = store.change().only(accounts=(1, 0, 0)).added("accounts")
    assert shown["name"] == "Trumpai"
    assert "Kaina" in again.err, "what Vic has no place for is told once"


def test_what_the_contract_does_not_know_is_left_out_and_told_once(store: Store, target: Target) -> None:
    records = [good(number) | {"costCentre": "7", "_sdc_batched_at": AT, "internalId": "5"} for number in range(20)]
    run = target([*load("accounts", *records), state(1)])
    store.change().only(accounts=(20, 0, 0))
    told = [text for text in run.err.splitlines() if "costCentre" in text]
    assert len(told) == 1
    assert "WARNING" in told[0]
    assert "_sdc_batched_at" not in run.err
    assert "internalId" not in run.err


# Values


def test_values_stay_exact(store: Store, target: Target) -> None:
    """Decimals keep all digits, times their text, letters their shape, whatever the tap's way to write JSON."""
    big = Decimal("12345678901234567.89")
    account = good(1) | {
        "name": "Ą čę\tė „į“ š–ų ū ž 😀",
        "externalUpdatedAt": "2026-03-29T03:30:00.1",
        "externalData": {"suma": big, "mažas": Decimal("0.1000"), "didelis": 2**70, "minus": Decimal("-0.0")},
    }
    vat = {
        "externalId": "V 9/ą?#%",
        "externalUpdatedAt": "2026-10-25T03:30:00",
        "code": "V9",
        "description": "PVM",
        "rate": Decimal("12.3456789012345678"),
        "activeStartingAt": "2026-01-01 00:00:00",
    }
    share = Decimal("12.34567890123456789")
    term = {"name": "Skaičiai", "daysToPay": "30", "discountDays": Decimal("3.0"), "discountPercentage": share}
    messages = [*load("accounts", account), *load("vat_codes", vat), *load("payment_terms", term), state(1)]
    target(messages)
    change = store.change().only(accounts=(1, 0, 0), vatCodes=(1, 0, 0), paymentTerms=(1, 0, 0))
    (shown,) = change.added("accounts")
    assert shown["name"] == account["name"]
    assert shown["externalUpdatedAt"] == "2026-03-29T03:30:00.1", "no zone, no other digits"
    assert covers(shown["externalData"], account["externalData"])
    (shown,) = change.added("vatCodes")
    assert shown["externalId"] == vat["externalId"]
    assert shown["externalUpdatedAt"] == "2026-10-25T03:30:00"
    assert shown["activeStartingAt"] == "2026-01-01 00:00:00"
    assert shown["rate"] == vat["rate"]
    (shown,) = change.added("paymentTerms")
    assert (shown["daysToPay"], shown["discountDays"]) == (30, 3)
    assert Decimal(shown["discountPercentage"]) == share
    # All of it reads as the same thing.
    assert target(messages).writes == []
    assert target([escaped(line(message).decode()) for message in messages]).writes == []
    store.untouched()


def escaped(text: str) -> str:
    """The same JSON, all letters beyond ASCII escaped."""
    return "".join(letter if letter.isascii() else json.dumps(letter)[1:-1] for letter in text)


def test_numbers_equal_by_value_are_no_change(store: Store, target: Target) -> None:
    """What a database makes of values on its way is no change: 21.0 is 21.00, a moment is a moment."""
    vat = WHOLE["vat_codes"]()
    target(load("vat_codes", vat | {"rate": Decimal("21.00")}))
    store.look()
    for same in (
        {"rate": 21},
        {"rate": "21.000"},
        {"rate": Decimal("21.0")},
        {"externalUpdatedAt": AT + "000"},
        {"externalUpdatedAt": AT.replace("T", " ")},
        {"activeEndingAt": None},
    ):
        assert target(load("vat_codes", vat | same)).writes == [], same
    store.untouched()


def test_a_time_with_a_zone_is_another_than_one_without(store: Store, target: Target) -> None:
    target(load("accounts", good()))
    store.look()
    run = target(load("accounts", good() | {"externalUpdatedAt": LATER + "Z"}))
    assert len(run.writes) == 1
    ((_, shown),) = store.change().only(accounts=(0, 1, 0)).changed("accounts")
    assert shown["externalUpdatedAt"] == LATER + "Z"


# Secrets


@pytest.mark.parametrize("level", ["info", "debug"])
def test_no_secret_is_ever_shown(vicai: SandboxProcess, target: Target, level: str) -> None:
    """Not in the log, a reject, the report; also when the input holds it, or Vic says it back."""
    secret = vicai.client_secret
    vicai.control.fault("status", path="/vicai/v0/vendors", status=503)
    vicai.control.vicai.revoke_tokens()
    messages = [
        *load("accounts", good() | {"name": secret + LONG}, good(2) | {"externalData": {"k": secret}, "number": None}),
        *load("vendors", WHOLE["vendors"]() | {"paymentTermId": secret}),
        state(1),
        f"log of a tap: client_secret={secret}",
    ]
    run = target(messages, "--log-level", level, expect=1)
    assert len(run.rejects) == 3
    for text in (run.out, run.err, run.reject_text, run.report_text):
        assert secret not in text
        assert not TOKEN.search(text), "a token"


@one_in(3)
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"client_secret": "wrong-secret"}, "client_id and client_secret are not accepted"),
        ({"client_secret": None}, "client_secret is missing"),
        ({"compare": "vik"}, "compare"),
        ({"update_mode": "mix"}, "update_mode"),
        ({"deletes": "all"}, "deletes"),
        ({"unknown_streams": "skip"}, "unknown_streams"),
        ({"max_delete_fraction": 2}, "max_delete_fraction"),
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"max_rejects": -1}, "max_rejects"),
        ({"request_id": "7"}, "request_id"),
        ({"dryrun": True}, "dryrun is not a setting; did you mean dry_run"),
        ({"api_url": "http://127.0.0.1:9/v0"}, "refuses connections"),
        ({"rejects_path": "/proc/none/rejects.jsonl"}, "rejects_path"),
    ],
)
def test_wrong_settings_are_explained(store: Store, target: Target, wrong: Record, said: str) -> None:
    run = target([*load("accounts", good()), state(1)], expect=1, **wrong)
    assert said in check_clear(run)
    assert run.states == []
    assert "wrong-secret" not in run.err
    store.untouched()


def test_fields_are_not_needed_in_the_schema(store: Store, target: Target) -> None:
    """Taps declare little: keys none, types none, fields fewer than they send."""
    bare = {"type": "SCHEMA", "stream": "accounts", "schema": {}, "key_properties": []}
    target([bare, record("accounts", **good()), schema("accounts", "x"), record("accounts", **good(2)), state(1)])
    store.change().only(accounts=(2, 0, 0))


@pytest.mark.parametrize("maps", [{"accounts": {}, "__else__": None}, {"ledgers": None}])
def test_a_stream_that_stream_maps_leaves_out_is_left_out(store: Store, target: Target, maps: Record) -> None:
    messages = [*load("ledgers", {"id": "1"}), *load("accounts", good()), state(1)]
    run = target(messages, stream_maps=maps)
    assert run.states == [{"n": 1}]
    assert store.change().only(accounts=(1, 0, 0)).added("accounts")
    assert list(run.report["streams"]) == ["accounts"]
