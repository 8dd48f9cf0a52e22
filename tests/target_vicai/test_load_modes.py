"""What settings change: merge or replace, compare or not, replays and newer data, the request id, the check before."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import pytest

from ap_connectors.sandbox.process import SandboxProcess
from tests.target_vicai.conftest import PREFIX, Target, load, record, state
from tests.target_vicai.scene import AT, LATER
from tests.target_vicai.store import Record, Store
from tests.target_vicai.test_load_deletes import owned
from tests.target_vicai.test_load_input import check_clear, good

REPLACED: dict[str, tuple[Record, set[str]]] = {
    # A kind's id is cleared by Vic when it is left out; the rest of the kind cannot be null.
    "dimensions": (
        {
            "externalId": "PRJ-1",
            "externalUpdatedAt": AT,
            "name": "Tiltas",
            "type": "PROJECT",
            "typeName": "Projektas",
            "typeExternalId": "PRJ",
            "shortName": "1",
            "externalData": {"vadovas": "Šarūnė"},
        },
        {"externalData", "typeExternalId"},
    ),
    "vat_codes": (
        {
            "externalId": "PVM9",
            "externalUpdatedAt": AT,
            "code": "PVM9",
            "description": "Sena",
            "rate": Decimal("9.00"),
            "vatDebitAccount": "2441",
            "remoteData": {"šalis": "LT"},
        },
        set(),
    ),
    "payment_terms": (
        {"name": "30 d.", "daysToPay": 30, "description": "Trisdešimt", "discountDays": 5, "discountPercentage": "2"},
        {"description", "discountDays", "discountPercentage"},
    ),
}
"""By stream, a record, and what of it goes when another has no more than `KEPT`."""
KEPT = {"externalId", "externalUpdatedAt", "name", "code", "daysToPay"}


@pytest.fixture
def rich(store: Store) -> Record:
    """A vendor of whom Vic knows much."""
    return next(
        vendor
        for vendor in store.all("vendors")
        if vendor.get("externalId") and vendor["email"] and vendor["phone"] and vendor["vendorGroupId"]
    )


def solid(value: Any) -> Any:
    """The value without members that are null, however deep: they say no more than absent ones."""
    if isinstance(value, dict):
        return {name: solid(item) for name, item in value.items() if item is not None}
    return [solid(item) for item in value] if isinstance(value, list) else value


def differing(before: Record, after: Record) -> set[str]:
    """The members that are not the same any more."""
    names = before.keys() | after.keys()
    return {name for name in names if solid(before.get(name)) != solid(after.get(name))}


def part_of(vendor: Record, **fields: Any) -> Record:
    return {"externalId": vendor["externalId"], "externalUpdatedAt": LATER, "name": vendor["name"]} | fields


def test_a_field_that_a_record_lacks_keeps_its_value(store: Store, target: Target, rich: Record) -> None:
    """Vic nulls what a PUT leaves out; a load that brings a phone number brings nothing else."""
    target([*load("vendors", part_of(rich, phone="+370 5 1")), state(1)])
    ((before, after),) = store.change().only(vendors=(0, 1, 0)).changed("vendors")
    assert differing(before, after) == {"phone", "externalUpdatedAt", "internalUpdatedAt"}


def test_nested_fields_keep_their_values_too(store: Store, target: Target, rich: Record) -> None:
    target(load("vendors", part_of(rich, taxInfo={"orgNumber": "300"}, default_payment_info={"bankCode": "7"})))
    ((before, after),) = store.change().only(vendors=(0, 1, 0)).changed("vendors")
    assert solid(after["taxInfo"]) == solid(before["taxInfo"] | {"orgNumber": "300"})
    assert solid(after["defaultPaymentInfo"]) == solid(before["defaultPaymentInfo"] | {"bankCode": "7"})


def test_a_new_account_does_not_keep_the_bank_of_the_old_one(store: Store, target: Target, rich: Record) -> None:
    def pays(**account: str) -> Record:
        return part_of(rich, defaultPaymentInfo={"internationalBankAccount": account})

    target(load("vendors", pays(iban="LT121000011101001000", bic="HABALT22")))
    target(load("vendors", pays(iban="LT121000011101001000") | {"phone": "+370 5 2"}))
    store.look()
    target(load("vendors", pays(iban="LT601010012345678901")))
    ((before, after),) = store.change().only(vendors=(0, 1, 0)).changed("vendors")
    assert solid(before["defaultPaymentInfo"]["internationalBankAccount"])["bic"] == "HABALT22"
    assert solid(after["defaultPaymentInfo"]["internationalBankAccount"]) == {"iban": "LT601010012345678901"}


def test_null_clears(store: Store, target: Target, rich: Record) -> None:
    """A record that says null means it."""
    target(load("vendors", part_of(rich, email=None, vendorGroupId=None)))
    ((before, after),) = store.change().only(vendors=(0, 1, 0)).changed("vendors")
    assert after["email"] is None
    assert after["vendorGroupId"] is None
    assert after["phone"] == before["phone"]


def test_replace_clears_what_a_record_lacks(store: Store, target: Target, rich: Record) -> None:
    target(load("vendors", part_of(rich, phone="+370 5 1")), update_mode="replace")
    ((_, after),) = store.change().only(vendors=(0, 1, 0)).changed("vendors")
    assert after["phone"] == "+370 5 1"
    assert after["email"] is after["addressCity"] is after["vendorGroupId"] is None
    assert target(load("vendors", part_of(rich, phone="+370 5 1")), update_mode="replace").writes == []
    store.untouched()


@pytest.mark.parametrize("stream", ["dimensions", "vat_codes", "payment_terms"])
def test_replace_clears_what_can_be_null_and_what_vic_clears(store: Store, target: Target, stream: str) -> None:
    """Elsewhere Vic keeps what a body lacks; nothing is written for the sake of that, in this run or in any other."""
    whole, cleared = REPLACED[stream]
    bare = {name: whole[name] for name in whole if name in KEPT}
    resource = {"vat_codes": "vatCodes", "payment_terms": "paymentTerms"}.get(stream, stream)
    target(load(stream, whole))
    (before,) = store.change().only(**{resource: (1, 0, 0)}).added(resource)
    run = target([*load(stream, bare), state(1)], update_mode="replace")
    if not cleared:
        assert run.writes == []
        store.untouched()
        bare["description"] = "Nauja"
        target(load(stream, bare), update_mode="replace")
    ((_, after),) = store.change().only(**{resource: (0, 1, 0)}).changed(resource)
    assert differing(before, after) - {"internalUpdatedAt"} == (cleared or {"description"})
    assert all(after.get(name) is None for name in cleared)
    assert target(load(stream, bare), update_mode="replace").writes == []


def test_a_vendor_is_cleared_of_what_cannot_be_null_too(store: Store, target: Target, rich: Record) -> None:
    target(load("vendors", part_of(rich, currency="NOK", taxInfo={"orgNumber": "300"})))
    store.look()
    target(load("vendors", part_of(rich)), update_mode="replace")
    ((before, after),) = store.change().only(vendors=(0, 1, 0)).changed("vendors")
    assert (before["currency"], before["taxInfo"]["orgNumber"]) == ("NOK", "300")
    assert not {"currency", "taxInfo"} & after.keys()


def test_without_comparison_everything_is_written(store: Store, target: Target) -> None:
    accounts = owned(store, "accounts")[:5]
    messages = [*load("accounts", *accounts), state(1)]
    assert target(messages).writes == []
    run = target(messages, compare="none", update_mode="replace")
    assert len(run.writes) == 5
    assert [call for call in run.calls if call["method"] == "GET" and call["path"] == f"{PREFIX}/accounts"] == []
    change = store.change().only(accounts=(0, 5, 0))
    for before, after in change.changed("accounts"):
        assert before | {"internalUpdatedAt": ""} == after | {"internalUpdatedAt": ""}


def test_without_comparison_a_vendor_is_not_cleared_either(store: Store, target: Target, rich: Record) -> None:
    target(load("vendors", part_of(rich, phone="+370 5 1")), compare="none")
    ((before, after),) = store.change().only(vendors=(0, 1, 0)).changed("vendors")
    assert differing(before, after) == {"phone", "externalUpdatedAt", "internalUpdatedAt"}


def test_a_large_unchanged_load_reads_pages_and_writes_what_differs(
    vicai: SandboxProcess, store: Store, target: Target
) -> None:
    """600 vendors, 12 of them changed: a list read once, by hundreds, and 12 writes."""
    vicai.control.vicai.add("vendors", 560)
    store.look()
    vendors = owned(store, "vendors")
    for vendor in vendors[::48][:12]:
        vendor["phone"] = "+370 5 12"
    run = target([*load("vendors", *vendors), state(1)])
    assert len(run.writes) == 12
    reads = [call for call in run.calls if call["method"] == "GET" and call["path"].startswith(f"{PREFIX}/vendors")]
    # A few are asked for one by one, for most loads have no more; then come pages of a hundred.
    assert len([call for call in reads if call["path"] == f"{PREFIX}/vendors"]) <= 7
    assert len([call for call in reads if call["path"] != f"{PREFIX}/vendors"]) <= 16
    assert run.counts("vendors")["unchanged"] == len(vendors) - 12
    store.change().only(vendors=(0, 12, 0))


@pytest.mark.parametrize("compare", ["vic", "none"])
def test_a_replay_never_overwrites_newer_data(
    vicai: SandboxProcess, store: Store, target: Target, compare: str
) -> None:
    """A reject lay for a week; meanwhile a newer version of the thing came."""
    account = owned(store, "accounts")[0]
    old = account | {"externalUpdatedAt": "2026-03-01T08:00:00", "name": "Ą" * 300}
    run = target([*load("accounts", old), state(1)], expect=1, compare=compare)
    target(load("accounts", account | {"externalUpdatedAt": "2026-03-01T08:00:00.001", "name": "Naujausia"}))
    store.look()
    fixed = run.reject_lines
    fixed[1]["record"]["name"] = "Pasenusi"
    replay = target(fixed, compare=compare)
    assert replay.writes == []
    assert not replay.rejects
    assert (replay.counts("accounts")["unchanged"], replay.counts("accounts")["older"]) == (0, 1)
    assert account["externalId"] in replay.err, "says that it was left alone"
    store.untouched()


def test_a_record_older_than_vics_copy_is_left_alone(store: Store, target: Target) -> None:
    account = owned(store, "accounts")[0]
    run = target(load("accounts", account | {"externalUpdatedAt": "2001-01-01T00:00:00", "name": "Sena"}))
    assert run.writes == []
    store.untouched()


def test_the_request_id_goes_with_every_write(vicai: SandboxProcess, store: Store, target: Target) -> None:
    mine = str(uuid.uuid4())
    messages = [*load("accounts", good(1)), *load("tags", {"value": "Nauja"}), state(1)]
    run = target(messages, request_id=mine)
    sent = [
        call["request_id"] for call in run.calls if call["method"] in ("PUT", "POST") and "token" not in call["path"]
    ]
    assert sent == [mine, mine]


def test_the_report_counts(store: Store, target: Target) -> None:
    account = owned(store, "accounts")[0]
    records = [account, account | {"name": "Kita"}, good(1), good(2) | {"name": None}]
    run = target([*load("accounts", *records), *load("tags", {"value": "Nauja"}), state(1)], expect=1)
    counts = run.counts("accounts")
    told = {
        name: counts[name] for name in ("received", "created", "updated", "unchanged", "deleted", "rejected", "failed")
    }
    assert told == {
        "received": 4,
        "created": 1,
        "updated": 1,
        "unchanged": 1,
        "deleted": 0,
        "rejected": 1,
        "failed": 0,
    }
    assert counts["requests"] >= 4
    assert (counts["retries"], counts["throttled"]) == (0, 0)
    assert counts["seconds"] > 0
    (said,) = [text for text in run.err.splitlines() if "accounts: 4 received" in text]
    assert "1 created" in said
    assert "1 rejected" in said
    assert run.counts("tags")["created"] == 1


def test_the_report_is_written_when_the_load_fails(vicai: SandboxProcess, store: Store, target: Target) -> None:
    vicai.control.fault("status", status=503, path=f"{PREFIX}/accounts/KTO-9001", times=10_000)
    run = target([*load("accounts", good(1)), state(1)], expect=1)
    assert run.counts("accounts")["failed"] == 1
    assert run.counts("accounts")["retries"] >= 5


# The check before a load


def test_the_check_proves_credentials_and_writes_nothing(vicai: SandboxProcess, store: Store, target: Target) -> None:
    run = target([], "--test")
    assert run.writes == []
    assert any(call["path"] == f"{PREFIX}/healthCheck" for call in run.calls)
    assert "Fjordlys Regnskap AS" in run.out + run.err
    store.untouched()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"client_secret": "wrong-secret"}, "client_id and client_secret are not accepted"),
        ({"api_url": "http://127.0.0.1:9/v0"}, "refuses connections"),
    ],
)
def test_the_check_fails_with_words(target: Target, wrong: Record, said: str) -> None:
    run = target([], "--test", expect=1, **wrong)
    assert said in check_clear(run)
    assert "wrong-secret" not in run.err


def test_states_come_while_the_load_goes_on(vicai: SandboxProcess, store: Store, target: Target) -> None:
    """A checkpoint at incoming STATEs, in their order, the last one last."""
    messages = load("accounts", good(1))[:1]
    for number in range(40):
        messages += [record("accounts", **good(number)), state(number)]
    vicai.control.vicai.options(latency_ms=10)
    run = target(messages, max_concurrency=4)
    vicai.control.vicai.options(latency_ms=0)
    numbers = [value["n"] for value in run.states]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 39
    assert len(numbers) > 3


def test_names_in_lower_case_keys_of_another_kind(store: Store, target: Target) -> None:
    """A stream named as the tap names it, with a schema before its name, is not guessed at."""
    run = target([*load("public-accounts", good(1)), state(1)], expect=1)
    assert "accounts" in check_clear(run)
    assert AT not in run.err
    store.untouched()
