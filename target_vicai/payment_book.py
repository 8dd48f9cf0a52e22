"""Payments and credits of a company by id: the service shows them in their batches only."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from ap_connectors.core.raw_json import JsonObject
from ap_connectors.vicai.client import VicaiClient

_FRESH_SECONDS = 10.0
_exact = msgspec.json.Decoder(JsonObject, float_hook=Decimal)


class PaymentBook:
    """All payments or credits of a company by id, as its batches show them; read when one is first asked for.

    Args:
        client: reads.
        part: `payments` or `credits`.
    """

    def __init__(self, client: VicaiClient, part: str) -> None:
        self._client, self._part = client, part
        self._lock = threading.Lock()
        self._known: dict[str, JsonObject] = {}
        self._batches: dict[str, str] = {}
        self._read_at: float | None = None

    def find(self, id_: str) -> JsonObject | None:
        """Return one as it is shown; the list is read again for one that it did not have a while ago."""
        with self._lock:
            is_old = self._read_at is None or time.monotonic() - self._read_at > _FRESH_SECONDS
            if id_ not in self._known and is_old:
                for page in self._client.raw_pages("listPaymentBatches", status="all"):
                    for batch in page:
                        self._learn(_exact.decode(batch))
                self._read_at = time.monotonic()
            return self._known.get(id_)

    def read_again(self, ids: Sequence[str]) -> None:
        """Read the batches of some payments or credits again."""
        with self._lock:
            for batch in dict.fromkeys(self._batches[id_] for id_ in ids):
                if (found := self._client.found("getPaymentBatch", id=batch)) is not None:
                    self._learn(found)

    def told(self, id_: str, body: Mapping[str, Any]) -> None:
        """Note what was written."""
        with self._lock:
            self._known[id_] = {**self._known.get(id_, {}), **body}

    def _learn(self, batch: JsonObject) -> None:
        for one in batch.get(self._part) or ():
            if id_ := one.get("id"):
                self._known[str(id_)], self._batches[str(id_)] = one, str(batch.get("id"))
