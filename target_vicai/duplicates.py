"""Duplicates at Vic.ai: an invoice of the same vendor, number, date and total, under another id."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from ap_connectors.core.errors import ApError, Reject
from ap_connectors.core.exact import NotAnAmountError, add, canonical
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.core.validate import spelled
from target_vicai.record_cache import Keys, RecordCache

_FIRST_MARGIN = datetime.timedelta(days=92)
"""Some invoices are dated ahead: the rent of next quarter."""

ReadSince = Callable[[datetime.date], Iterable[list[msgspec.Raw]]]


class Facts(NamedTuple):
    """What two copies of one invoice have in common, but for the vendor. Amounts and letter case do not tell apart."""

    number: str
    issued: str
    total: str
    currency: str
    type: str

    @classmethod
    def of(cls, invoice: JsonObject) -> Facts | None:
        """Return the facts of an invoice, as it is written or shown; None if one of them is missing."""
        return cls._of(invoice, str(invoice.get("totalAmount") or invoice.get("amountSum") or ""))

    @classmethod
    def of_training(cls, invoice: JsonObject) -> Facts | None:
        """Return the facts of a training invoice: Vic shows no total, so its lines' sum takes the place of that."""
        amounts = [line.get("amount") for line in invoice.get("lineItems") or []]
        known = [Decimal(str(amount)) for amount in amounts if amount is not None]
        return cls._of(invoice, format(add(*known), "f") if known else "")

    @classmethod
    def _of(cls, invoice: JsonObject, amount: str) -> Facts | None:
        number = spelled(str(invoice.get("refNumber") or ""))
        try:
            total = canonical(amount)
        except NotAnAmountError:
            return None
        issued = str(invoice.get("issueDate") or "")[:10]
        if not (number and issued and total):
            return None
        codes = (str(invoice.get(name) or "").upper() for name in ("currency", "transactionType"))
        return cls(number, issued, total, *codes)

    @property
    def key(self) -> str:
        """The facts as one text, but for the currency: an ERP may leave its own unsaid, which Vic.ai then fills in."""
        return "\n".join((self.number, self.issued, self.total, self.type))


class Duplicates:
    """Vic's invoices by their facts: read once, from a quarter before the oldest new invoice on, or before today.

    An invoice does not come to Vic.ai long before it is issued, so what was last changed before that is another one.

    Args:
        read_since: yields Vic's invoices that were changed since a day, by pages.
        facts_of: returns the facts of one, as it is written or shown.
    """

    def __init__(self, read_since: ReadSince, facts_of: Callable[[JsonObject], Facts | None] = Facts.of) -> None:
        self._read_since, self._facts_of = read_since, facts_of
        self._lock = threading.RLock()
        self._cache: RecordCache | None = None
        self._since = datetime.date.max
        self._margin = _FIRST_MARGIN
        # By facts and vendor: whose they are, and in which currency.
        self._claims: dict[tuple[str, str], dict[str, str]] = {}
        self._unnamed = itertools.count()

    @contextlib.contextmanager
    def claim(self, key: str, body: JsonObject) -> Iterator[None]:
        """Create an invoice inside; it is neither at Vic.ai under another id nor on its way there. Thread-safe.

        Args:
            key: the ERP's id of it.
            body: as it will be created, with its `vendor`.

        Raises:
            Reject: it is there, or on its way.
        """
        self._check(key, body)
        try:
            yield
        except ApError:
            self._release(key)
            raise

    def _check(self, key: str, body: JsonObject) -> None:
        facts, vendor = self._facts_of(body), _vendor(body)
        if facts is None or not vendor:
            return
        for known in self._present(facts, body):
            if not _is_of(vendor, known) or known.get("externalId") == key:
                continue
            theirs = str(known.get("currency") or "").upper()
            if _may_be_one(facts.currency, theirs):
                raise _reject(body, facts._replace(currency=facts.currency or theirs), _named(known))
        with self._lock:
            claims = self._claims.setdefault((facts.key, repr(sorted(vendor.items(), key=str))), {})
            same = ((other, theirs) for other, theirs in claims.items() if other != key)
            found = next(((other, theirs) for other, theirs in same if _may_be_one(facts.currency, theirs)), None)
            if found is None:
                claims[key] = facts.currency
        if found is not None:
            raise _reject(body, facts._replace(currency=facts.currency or found[1]), found[0])

    def _release(self, key: str) -> None:
        with self._lock:
            for owners in self._claims.values():
                owners.pop(key, None)

    def _present(self, facts: Facts, body: JsonObject) -> Iterator[JsonObject]:
        issued = _day(facts.issued)
        if issued is None:
            return
        # A date that is misread may be years ahead, and what Vic has was changed by today.
        known = min(filter(None, (issued, datetime.datetime.now(datetime.timezone.utc).date(), _changed(body))))
        with self._lock:
            if self._cache is None or known < self._since:
                since = _before(known, self._margin)
                # Old invoices may come one by one, each older than the one before.
                self._margin, self._since = 2 * self._margin, since
                self._cache = RecordCache(lambda: self._read_since(since), self._keys)
            found = self._cache.by_key(facts.key)
        yield from (reading.record for reading in found)

    def _keys(self, invoice: JsonObject) -> Keys:
        facts = self._facts_of(invoice)
        # Training invoices are shown without ids.
        id_ = invoice.get("internalId") or invoice.get("id") or f"unnamed-{next(self._unnamed)}"
        return Keys(str(id_), None if facts is None else facts.key)


def _may_be_one(currency: str, other: str) -> bool:
    return currency == other or not currency or not other


def _named(invoice: JsonObject) -> str:
    if invoice.get("externalId"):
        return str(invoice["externalId"])
    if invoice.get("internalId"):
        return f"{invoice['internalId']} (Vic.ai's id)"
    return f"a training invoice of {invoice.get('externalUpdatedAt')}"


def _day(written: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(written[:10])
    except ValueError:
        return None


def _changed(body: JsonObject) -> datetime.date | None:
    """Return the day of a training invoice's own time of change, by which Vic lists them."""
    return _day(str(body.get("externalUpdatedAt") or ""))


def _before(day: datetime.date, margin: datetime.timedelta) -> datetime.date:
    earliest = datetime.date(1970, 1, 1)
    return max(earliest, day - margin) if day > earliest else earliest


def _vendor(body: JsonObject) -> JsonObject:
    """Return how a body names its vendor."""
    id_ = body.get("vendorExternalId")
    return body.get("vendor") or ({"externalId": id_} if id_ else {})


def _is_of(vendor: JsonObject, invoice: JsonObject) -> bool:
    """Whether an invoice is of the vendor that a body names, in one of its ways."""
    shown: JsonObject = invoice.get("vendor") or {}
    held: dict[str, Any] = {
        "internalId": invoice.get("vendorInternalId") or shown.get("internalId"),
        "externalId": invoice.get("vendorExternalId") or shown.get("externalId"),
        "orgNumber": shown.get("orgNumber"),
        "name": shown.get("name"),
    }
    return any(vendor.get(name) == value for name, value in held.items() if value and vendor.get(name))


def _reject(body: JsonObject, facts: Facts, other: str) -> Reject:
    number, total = str(body.get("refNumber")), str(body.get("totalAmount") or facts.total)
    return Reject(
        f"Vic.ai has it already, as {other}: the same vendor, number, date and total ({number}, {facts.issued}, "
        f"{total} {facts.currency}). Delete one of them; if both are to be paid, set duplicates: allow.",
        "duplicate",
        docnum=number,
        date=facts.issued,
        total=total,
        currency=facts.currency,
        other=other,
    )
