"""The service's own record of webhook events, and the deletions that it tells of (Vic.ai API 10.40.4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from ap_connectors.core import instants
from ap_connectors.core.bookmarks import key_of
from ap_connectors.core.instants import UTC
from ap_connectors.core.raw_json import NULL, Record, text
from ap_connectors.singer.stream import Batch, ExactStream
from ap_connectors.vicai.client import Refused
from tap_vicai.base import ChildStream, VicaiStream

if TYPE_CHECKING:
    from singer_sdk import Tap

_BEGINNING = "2024-01-01T00:00:00Z"
"""Where a full history begins: no event of the service is older."""
_WINDOW = timedelta(days=30) - timedelta(minutes=1)
"""The service takes 30 days; windows overlap, as it is not said whether their borders belong to them."""
_OVERLAP = timedelta(hours=1)
"""How long after an event it may be recorded: so much is asked for again, and told apart by ids."""
_AHEAD = timedelta(days=1)
"""How far this machine's clock may be behind the service's."""

_object = msgspec.json.Decoder(Record)
_string = msgspec.json.Decoder(str)


def _text(description: str) -> dict[str, Any]:
    return {"type": ["string", "null"], "description": description}


class WebhookEventLog(VicaiStream):
    """Webhook events as the service has recorded them, while a subscription named their kind (Webhook events)."""

    name, operation, component, key_fields = "webhook_event_log", "listWebhookEvents", "RecordedEvent", ("id",)
    instant_field = "occurred_at"

    def batches(self, context: Mapping[str, Any] | None) -> Iterator[Batch]:
        """Yield what was recorded since the bookmark; it moves when a window of 30 days was read to its end."""
        known = self.last_bookmark(context)
        latest, seen = known.get("replication_key_value"), dict(known.get("seen") or {})
        if latest not in seen.values():
            # It was set by hand: what follows it comes again.
            known, seen = {"replication_key_value": latest}, {}
        start, now = self._start(known), datetime.now(timezone.utc)
        end = now + _AHEAD
        while start < end:
            until = min(start + _WINDOW, end)
            try:
                for page in self.source.client.pages(self.operation, **self._asked(start, until)):
                    fresh = []
                    for event in page:
                        number, at = key_of(event, "id"), text(event, "occurred_at") or ""
                        if number in seen:
                            continue
                        fresh.append(event)
                        seen[number] = at if UTC.knows(at) else UTC.text(_milliseconds(until))
                        if UTC.knows(at) and (latest is None or UTC.milliseconds(at) > UTC.milliseconds(latest)):
                            latest = at
                    yield Batch(fresh)
            except Refused as refused:
                # How far back the record goes is not said.
                if start >= now - _WINDOW:
                    raise
                self.logger.warning("%s What is older than 30 days is left out.", refused)
                start = now - _WINDOW
                continue
            # So much comes again: in the next window, and in the next run. An event whose time has not come yet must
            # not hide what happens until then.
            reached = UTC.milliseconds(latest) if latest else 0
            settled = min(reached, _milliseconds(now))
            oldest = min(_milliseconds(until), settled) - _milliseconds_of(_OVERLAP)
            seen = {number: at for number, at in seen.items() if UTC.milliseconds(at) >= oldest}
            ahead = UTC.text(settled) if settled < reached else None
            yield Batch([], {"replication_key_value": latest, "seen": seen, "settled": ahead} if latest else {})
            start = until - _OVERLAP if until < end else end

    def _start(self, known: Mapping[str, Any]) -> datetime:
        latest = known.get("settled") or known.get("replication_key_value")
        given = instants.setting("start_date", self.config.get("start_date") or _BEGINNING)
        begin = max(given, UTC.milliseconds(_BEGINNING))
        if latest is not None:
            reached = instants.setting("bookmark in --state", str(latest))
            begin = max(begin, reached - _milliseconds_of(_OVERLAP))
        # Nothing is read from there on; and in UTC a time of the year 9999 may be of the year 10000.
        begin = min(begin, _milliseconds(datetime.now(timezone.utc) + _AHEAD))
        return datetime.fromtimestamp((begin - 1) / 1000, timezone.utc)

    def _asked(self, start: datetime, until: datetime) -> dict[str, str]:
        kinds = {kind for child in self.child_streams if child.selected for kind in getattr(child, "kinds", ())}
        only = {} if self.selected or not kinds else {"event_types": ",".join(sorted(kinds))}
        times = {"occurred_after": UTC.text(_milliseconds(start)), "occurred_before": UTC.text(_milliseconds(until))}
        return times | only


class _Deletions(ChildStream):
    """Records that are gone, by the events that tell of them; an event that lifts a deletion comes, too."""

    component, key_fields = "RecordedEvent", ("event_id",)
    parent_stream_type = WebhookEventLog
    kinds: ClassVar[tuple[str, ...]]
    """Kinds of events that it is made of."""
    of: ClassVar[str]
    """The stream whose records are gone (`x-deletes` of the SCHEMA)."""

    own_fields: ClassVar = {
        "event_id": {"type": ["string"], "description": "Id of the event."},
        "event": _text("What happened: a deletion, or that it was lifted."),
        "occurred_at": _text("When it happened.") | {"format": "date-time"},
        "internalId": _text("Vic's id of what is gone."),
        "externalId": _text("The ERP's id of what is gone."),
    }

    def __init__(self, tap: Tap) -> None:
        # Of the event itself nothing is shown.
        shown = {"type": "object", "properties": dict(self.own_fields), "additionalProperties": True}
        shown["x-deletes"] = {
            "stream": self.of,
            "keys": {"internalId": "internalId"},
            "at": "occurred_at",
            "lifted_by": {"event": [kind for kind in self.kinds if kind.endswith("_restored")]},
        }
        ExactStream.__init__(self, tap, shown)

    def derive(self, parents: list[Record]) -> Iterator[Record]:
        """Yield the deletions among some events; tell of one that does not say what is gone."""
        for event in parents:
            kind = (text(event, "type") or "").lower()
            if kind not in self.kinds:
                continue
            about = _about(event.get("body", NULL))
            if about.get("internalId", NULL) == NULL:
                number = text(event, "id")
                self.logger.warning("%s: event %s (%s) does not say what it is about.", self.name, number, kind)
            yield {
                "event_id": event["id"],
                # In the spelling that `lifted_by` has.
                "event": msgspec.Raw(msgspec.json.encode(kind)),
                "occurred_at": event.get("occurred_at", NULL),
                "internalId": about.get("internalId", NULL),
                "externalId": about.get("externalId", NULL),
            }


class InvoiceDeletions(_Deletions):
    """Invoices that were deleted, or restored, by the record of events (Webhook events)."""

    name, of, kinds = "invoice_deletions", "invoices", ("invoice_deleted", "invoice_restored")


class PurchaseOrderDeletions(_Deletions):
    """Purchase orders that were deleted, by the record of events (Webhook events)."""

    name, of, kinds = "purchase_order_deletions", "purchase_orders", ("purchase_order_deleted",)


def _about(body: msgspec.Raw) -> Record:
    """Return what an event is about: its body is the envelope that was delivered, or the data in it."""
    envelope = _read(body)
    return _read(envelope["data"]) if "data" in envelope else envelope


def _read(raw: msgspec.Raw) -> Record:
    """Return an object, also one that is kept as the text of its JSON; an empty one if it is something else."""
    try:
        content = bytes(raw)
        return _object.decode(_string.decode(content) if content[:1] == b'"' else content)
    except msgspec.DecodeError:
        return {}


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _milliseconds_of(span: timedelta) -> int:
    return int(span.total_seconds() * 1000)
