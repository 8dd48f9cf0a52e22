"""How the ERP paid an invoice, told again from a reject file after the ERP has told more."""

from __future__ import annotations

from tests.target_vicai.conftest import Record, Target, load
from tests.target_vicai.scene import Scene

STREAM = "invoice_payments"
BEFORE, AFTER = "2026-01-01T00:00:00.000Z", "2099-01-01T00:00:00.000Z"


def test_a_replay_overwrites_no_later_payment(scene: Scene, target: Target) -> None:
    """The first half was set aside; the ERP has told of the whole since. Where Vic knows of none, nothing is newer."""
    half = {"internalId": scene.waiting, "externalPaymentStatus": "unpaid", "externalPaymentTotalPaid": "500.00"}
    whole = half | {"externalPaymentStatus": "paid", "externalPaymentTotalPaid": "1000.00"}

    def replayed(given: Record, at: str) -> list[Record]:
        return [one | ({"rejected": {"at": at}} if "record" in one else {}) for one in load(STREAM, given)]

    assert target(replayed(half, BEFORE)).counts(STREAM)["updated"] == 1
    target(load(STREAM, whole))
    scene.store.look()
    given: list[Record] = replayed(half, BEFORE)
    # The file of that run is loaded as well, with a further mistake in between: the record is no newer for it.
    for amount, code in (("500.00", "changed_at_vicai"), ("5O0.00", "not_a_number"), ("500.00", "changed_at_vicai")):
        given = [
            one | ({"record": half | {"externalPaymentTotalPaid": amount}} if "record" in one else {}) for one in given
        ]
        run = target(given, expect=1)
        assert (run.rejects[0]["rejected"]["code"], run.writes) == (code, [])
        given = run.reject_lines
    assert target(replayed(whole, BEFORE)).counts(STREAM)["unchanged"] == 1
    scene.store.untouched()
    # Nothing has changed since, so whoever corrected the line means it; and so does one without `rejected`.
    assert target(replayed(half, AFTER)).counts(STREAM)["updated"] == 1
    assert target(load(STREAM, whole)).counts(STREAM)["updated"] == 1
