"""Accounts by number, as Vic would hold any number of them: made when they are asked for, and kept nowhere."""

from __future__ import annotations

_SENT = (
    b'{"externalId":"A%07d","externalUpdatedAt":"2026-01-05T10:00:00","number":"%d","name":"Account %d, \xc3\x98st",'
    b'"externalData":{"group":"%d"}}'
)
_HELD = (
    b'{"internalId":"%d","internalUpdatedAt":"2026-01-05T10:00:00.000Z",'
    b'"externalId":"A%07d","externalUpdatedAt":"2026-01-05T10:00:00","number":"%d","name":"Account %d, \xc3\x98st",'
    b'"externalData":{"group":"%d"}}'
)


def sent(number: int) -> bytes:
    """Return the JSON of what the ERP says of an account."""
    return _SENT % (number, 1_000_000 + number, number, number % 10)


def held(number: int) -> bytes:
    """Return the JSON of the same account as Vic shows it."""
    return _HELD % (number + 1, number, 1_000_000 + number, number, number % 10)


def number_of(external_id: str) -> int:
    """Return the number of an account by its id in the ERP.

    Raises:
        ValueError: it is nobody's.
    """
    return int(external_id.removeprefix("A"))
