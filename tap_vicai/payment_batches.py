"""Finds out which payment batches have changed, although the service filters by completion only.

A pending batch has no time at all, an acknowledged payment has no time of its own, and a bank may report a time that
is long past. So a bookmark of times alone would lose events. The bookmark keeps a fingerprint of eight bytes of each
batch as it was sent, and all batches are listed in every run, a hundred per request.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from decimal import Decimal
from hashlib import blake2b
from typing import Any

import msgspec

from ap_connectors.core import instants
from ap_connectors.core.errors import Stop
from ap_connectors.core.raw_json import NULL, Record, text
from ap_connectors.vicai import contract

_SIZE = 8
_plain = msgspec.json.Decoder(float_hook=Decimal)
_canonical = msgspec.json.Encoder(order="deterministic", decimal_format="number")


class PaymentBatchReader:
    """Compares batches with those of the last run.

    Args:
        bookmark: what the last run left: ``replication_key_value``, the latest time of all; ``sent``, the fingerprints;
            ``whole``, whether the list was ever read to its end.
        start_date: batches on which nothing happened since are left out, until something does.
    """

    def __init__(self, bookmark: Mapping[str, Any], start_date: str | None) -> None:
        self._latest: str | None = bookmark.get("replication_key_value")
        self._sent = _read(bookmark.get("sent") or "")
        self._found: dict[str, bytes] = {}
        self._whole = bool(bookmark.get("whole"))
        # Once the whole list was read, every change is wanted, even if its time is old.
        self._not_before = instants.setting("start_date", start_date) if start_date and not self._whole else 0

    def changed(self, batches: list[Record]) -> Iterator[tuple[Record, msgspec.Raw]]:
        """Yield the batches that have changed, each with its latest time (null without one)."""
        for batch in batches:
            content = _plain.decode(msgspec.json.encode(batch))
            at = contract.latest_event(content)
            mark = blake2b(_canonical.encode(content), digest_size=_SIZE).digest()
            # If a page border moves meanwhile, a batch comes twice, perhaps changed: the last one counts.
            before = self._found.get(number := text(batch, "id") or mark.hex())
            self._found[number] = mark
            rests = at is not None and instants.milliseconds(at) < self._not_before
            known = mark in self._sent if before is None else mark == before
            if not known and not rests:
                self._note(at)
                yield batch, NULL if at is None else msgspec.Raw(msgspec.json.encode(at))

    def bookmark(self, *, whole: bool = False) -> dict[str, Any]:
        """Return what to keep; batches that are no longer listed are forgotten only once the `whole` list was read."""
        found = set(self._found.values())
        marks = found if whole else self._sent | found
        sent = base64.b64encode(b"".join(sorted(marks))).decode()
        return {"replication_key_value": self._latest, "sent": sent, "whole": self._whole or whole}

    def _note(self, at: str | None) -> None:
        if at and (not self._latest or instants.milliseconds(at) > instants.milliseconds(self._latest)):
            self._latest = at


def _read(sent: str) -> set[bytes]:
    try:
        marks = base64.b64decode(sent, validate=True)
    except (binascii.Error, ValueError):
        raise Stop("sent of payment_batches in --state: is not what this tap wrote there.") from None
    return {marks[place : place + _SIZE] for place in range(0, len(marks), _SIZE)}
