"""A record as a sink has read it, and the reject of one without a key."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import msgspec

from ap_connectors.core.errors import Reject
from ap_connectors.core.instants import UTC
from ap_connectors.core.raw_json import JsonObject
from ap_connectors.singer.coercion import quoted
from ap_connectors.singer.worker_pool import Parent
from target_vicai.approval import Work


class Item(msgspec.Struct, frozen=True):
    """A record in the contract's names and types. There is one for each: a dataclass takes ten times as long to make.

    Args:
        key: its natural key, as messages show it.
        order_key: the object that it is about; equal for all records about it, so that they stay in order.
        body: what goes into the body of a call.
        extras: what else it says: references by natural keys, documents, ids.
        deleted: it says that the object is to be deleted.
        rejected: what an earlier run said when it set the record aside, if one did.
        provides: what records of other streams may wait for, and have once this one is loaded.
        works: what a plan notes of it; two records may have one key, so the key does not tell.
    """

    key: str
    order_key: Hashable
    body: JsonObject
    extras: JsonObject = msgspec.field(default_factory=dict)
    deleted: bool = False
    rejected: Mapping[str, Any] | None = None
    provides: Parent | None = None
    works: list[Work] = msgspec.field(default_factory=list)

    @property
    def replayed(self) -> str | None:
        """When an earlier run set it aside, the first of several, if one did (an instant, UTC)."""
        mark = self.rejected
        return None if mark is None else str(mark.get("first_at") or mark.get("at") or "")


def changed_since_reject(item: Item, present: JsonObject) -> bool | None:
    """Return whether Vic's record changed after ours was set aside; None if it never was, or that is not known."""
    then, now = item.replayed, present.get("internalUpdatedAt")
    if not then or not now or not UTC.knows(then) or not UTC.knows(now):
        return None
    return UTC.milliseconds(now) > UTC.milliseconds(then)


def check_not_newer(item: Item, present: JsonObject, what: str) -> None:
    """Check that a record which was set aside overwrites nothing newer.

    Args:
        item: the record.
        present: what Vic has.
        what: it is, as messages call it.

    Raises:
        Reject: that changed after the record was set aside.
    """
    if changed_since_reject(item, present):
        raise Reject(
            f"{what} {item.key} changed at Vic.ai on {present['internalUpdatedAt']}, after this record was set aside "
            f"on {item.replayed}. Send it afresh, or remove `rejected` from its line to load it all the same.",
            "changed_at_vicai",
            changed=present["internalUpdatedAt"],
            set_aside=item.replayed,
        )


def missing_key(*fields: str) -> Reject:
    """Return the reject of a record without a key; any one of the fields would do."""
    if len(fields) == 1:
        message = f"{fields[0]} is missing: it is the record's key."
    else:
        message = f"{' and '.join(fields)} are missing: one of them is needed as the record's key."
    return Reject(message, "missing_key", fields=list(fields))


def as_param(value: Any) -> str:
    """Return a field's value as a parameter of a reject: text as it is, a number with all its digits."""
    return value if isinstance(value, str) else quoted(value)
