"""What all loaders share: the client, how to load, Vic's copies, and what is on its way in this run."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from ap_connectors.core.errors import Reject
from ap_connectors.singer.ledger import Ledger
from ap_connectors.singer.worker_pool import Missing, Parent
from ap_connectors.vicai.client import Part, VicaiClient
from target_vicai.copy import Copy, Names, Plain

_SINGLY = 16
"""So many records are asked for one by one before their whole list is read: an hourly load has a handful of changes,
and the company may have a hundred thousand vendors."""


class Hands(Protocol):
    """What writes: the client, or for a plan somebody who only says what it would have done."""

    def send(
        self, operation: str, body: Any = None, *, find_done: Callable[[], Plain | None] | None = None, **arguments: str
    ) -> Plain:
        """Call an operation that writes (see `VicaiClient.send`)."""

    def upload(
        self,
        operation: str,
        parts: Callable[[], Sequence[Part]],
        *,
        find_done: Callable[[], Plain | None] | None = None,
        **arguments: str,
    ) -> Plain:
        """Call an operation that takes files (see `VicaiClient.upload`)."""


@dataclass(frozen=True)
class Ways:
    """How to load: the settings of the same names."""

    compare: bool = True
    merge: bool = True
    delete_records: bool = False
    mirror: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Kind:
    """A kind of objects that can be listed: how, and what each is found by."""

    lists: tuple[tuple[str, Mapping[str, str]], ...]
    names: Callable[[Plain], Names]
    get: str | None = None
    paged: bool = True


@dataclass
class Vic:
    """One company at Vic.ai, as the loaders see it.

    Args:
        client: reads.
        hands: write.
        ways: how to load.
        is_coming: whether work on an object of this run is still to be done.
        has_come: whether an object was written in this run.
        warn: tells the user something.
        check: called between the pages of long lists; may raise what ends the run (a signal).
        ledger: the book of what Vic cannot tell.
        mirrored: streams whose full load may delete what it no longer has.
    """

    client: VicaiClient
    hands: Hands
    ways: Ways
    is_coming: Callable[[Parent], bool]
    has_come: Callable[[Parent], bool]
    warn: Callable[[str], None]
    check: Callable[[], None]
    ledger: Ledger
    mirrored: Container[str] = ()
    _copies: dict[str, Copy] = field(default_factory=dict)
    _known: dict[tuple[str, str], tuple[Plain, float]] = field(default_factory=dict)
    _asked: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def copy(self, kind: str) -> Copy:
        """Return Vic's records of a kind (a key of `KINDS`); they are read when first asked for."""
        copy = self._copies.get(kind)
        return copy or self._copies.setdefault(kind, Copy(lambda: self._pages(KINDS[kind]), KINDS[kind].names))

    def asks_singly(self, kind: str) -> bool:
        """Whether the next record of a kind is asked for by itself."""
        return KINDS[kind].get is not None and not self.copy(kind).is_read and self._asked[kind] < _SINGLY

    def record(self, kind: str, key: str) -> Plain | None:
        """Return one record by its natural key; the whole list is not read for a few of them."""
        known = self._known.get((kind, key))
        if known is not None:
            return known[0]
        with self._lock:
            singly = self.asks_singly(kind)
            self._asked[kind] += 1
        return self.fresh(kind, key) if singly else next(iter(self.copy(kind).of(key)), None)

    def fresh(self, kind: str, key: str) -> Plain | None:
        """Ask for one record by its natural key, now."""
        operation = KINDS[kind].get
        if operation is None:
            raise NotImplementedError(f"{kind} cannot be asked for singly")
        found = self.client.found(operation, id=key, useSystem="EXTERNAL")
        if found is not None:
            self.learn(kind, found)
        return found

    def age(self, kind: str, record: Plain) -> float:
        """Seconds since a record was read or written."""
        known = self._known.get((kind, KINDS[kind].names(record)[1] or ""))
        return time.monotonic() - known[1] if known else self.copy(kind).age(KINDS[kind].names(record)[0])

    def only(self, kind: str, key: str) -> Plain | None:
        """Return the one record with a natural key.

        Raises:
            Reject: there are several.
        """
        if KINDS[kind].get is not None:
            return self.record(kind, key)
        found = self.copy(kind).of(key)
        if len(found) > 1:
            raise Reject(
                f"Vic.ai has {len(found)} {WORDS[kind]}s of the name {key}: give the id of one of them instead."
            )
        return found[0] if found else None

    def reread(self, kind: str) -> Copy:
        """Return what Vic has at this moment: whether a call was done whose answer was lost shows here only."""
        return Copy(lambda: self._pages(KINDS[kind]), KINDS[kind].names)

    def learn(self, kind: str, record: Plain, instead_of: Plain | None = None) -> None:
        """Take in what Vic answered to a write; in a plan the answer is made up, and so is its id."""
        if self.ways.dry_run and instead_of is not None:
            record = {**instead_of, **record, **{name: instead_of[name] for name in _IDS if name in instead_of}}
        copy, key = self.copy(kind), KINDS[kind].names(record)[1]
        if copy.is_read:
            copy.put(record)
        if key is not None and (not copy.is_read or (kind, key) in self._known):
            # While the list is being read it may show what was before.
            self._known[kind, key] = record, time.monotonic()

    def forget(self, kind: str, id_: str, key: str) -> None:
        """Take in that a record is gone."""
        self._known.pop((kind, key), None)
        copy = self.copy(kind)
        if copy.is_read:
            copy.remove(id_)

    def await_parents(self, parents: Iterable[tuple[str, str]]) -> None:
        """Let a record wait for those of its parents that are still being worked on.

        Raises:
            Missing: there are such.
        """
        coming = [parent for parent in parents if self.is_coming(parent)]
        if coming:
            raise missing(coming)

    def absent(self, parents: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return those parents that Vic does not have, each a kind and a natural key."""
        return [(kind, key) for kind, key in dict.fromkeys(parents) if self.record(kind, key) is None]

    def _pages(self, kind: Kind) -> Iterator[list[msgspec.Raw]]:
        for operation, query in kind.lists:
            if kind.paged:
                for page in self.client.raw_pages(operation, **query):
                    self.check()
                    yield page
            else:
                yield self.client.raw_list(operation, **query)


def _external(record: Plain) -> Names:
    return record["internalId"], record.get("externalId") or None, None


def _order(record: Plain) -> Names:
    return record["internalId"], record.get("externalId") or None, record.get("poNumber") or None


def _called(name: str) -> Callable[[Plain], Names]:
    return lambda record: (record["id"], record.get(name) or None, None)


def _vendor_tag(record: Plain) -> Names:
    return record["id"], f"{record['vendorId']} {record['tagId']}", None


_IDS = ("id", "internalId")
_INTERNAL = {"useSystem": "INTERNAL"}

KINDS: Mapping[str, Kind] = {
    # By Vic's own ids, so that what the ERP does not know yet is there, too.
    "accounts": Kind((("listAccounts", _INTERNAL),), _external, "getAccount"),
    "dimensions": Kind((("listDimensions", _INTERNAL),), _external, "getDimension"),
    "vendors": Kind((("listVendors", _INTERNAL),), _external, "getVendor"),
    "vat_codes": Kind((("listVatCodes", {}),), _external, "getVatCode"),
    "vendor_groups": Kind((("listVendorGroups", {}),), _called("name")),
    "tags": Kind((("listTags", {}),), _called("value"), paged=False),
    "payment_terms": Kind((("listPaymentTerms", {}),), _called("name"), paged=False),
    "tax_codes": Kind((("getTaxCodes", {}),), _called("code"), paged=False),
    "vendor_tags": Kind((("listVendorTags", {}),), _vendor_tag, paged=False),
    # Without a status only open orders are listed.
    "purchase_orders": Kind(
        (("listPurchaseOrders", {"status": "open"}), ("listPurchaseOrders", {"status": "closed"})), _order
    ),
}
"""Everything that can be listed, by the name of the stream that loads it."""

WORDS: Mapping[str, str] = {
    "accounts": "account",
    "dimensions": "dimension",
    "vendors": "vendor",
    "vat_codes": "VAT code",
    "vendor_groups": "vendor group",
    "tags": "tag",
    "payment_terms": "payment term",
    "tax_codes": "tax code",
    "vendor_tags": "vendor tag",
    "purchase_orders": "purchase order",
}
"""What messages call one of a kind."""


def missing(parents: Collection[tuple[str, str]], said: str = "") -> Missing:
    """Return the reject of a record that refers to something that Vic does not have.

    Args:
        parents: what it refers to, each by kind (a key of `KINDS`) and natural key.
        said: what Vic said, if it refused the record.
    """
    names = ", ".join(f"{WORDS[kind]} {key}" for kind, key in parents)
    message = f"Unknown to Vic.ai, and not loaded in this run: {names}.{said}"
    return Missing(message, parents, [{"kind": kind.removesuffix("s"), "key": key} for kind, key in parents])
