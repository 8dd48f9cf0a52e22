"""The one stream of `tap-webhooks`: the events of the inbox."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import msgspec

from ap_connectors.core.errors import Reject, Retry, Stop
from ap_connectors.core.raw_json import NULL, Record, decode
from ap_connectors.singer.downloads import safe_part
from ap_connectors.singer.stream import Batch, ExactStream

if TYPE_CHECKING:
    from ap_connectors.webhooks.inbox import Event
    from tap_webhooks.tap import TapWebhooks

_PAGE = 200


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": ["string", "null"], "description": description, **more}


_SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": ["integer"], "description": "Number of arrival; grows, and is never given twice."},
        "service": _text("Who sent it: vicai or ivesk."),
        "kind": _text("What it is: syncRequest, invoicePost, on_exported, ..."),
        "company": _text("Registration code (ivesk) or Vic's id of the company; null where the event names none."),
        "request_id": _text("Goes as X-Request-Id into the calls that answer it."),
        "received_at": _text("When it came first; UTC.", format="date-time"),
        "deliveries": {"type": ["integer", "null"], "description": "How often it had come when it was read."},
        "body": {
            "type": ["object", "null"],
            "additionalProperties": True,
            "description": "What the service said, every digit kept; null where that is no JSON object.",
        },
        "body_text": _text("What it said where that is no JSON object."),
        "document_path": _text("Where the document is, beginning with documents_dir; null without one."),
        "document_bytes": {"type": ["integer", "null"], "description": "Its size in bytes."},
        "document_sha256": _text("SHA-256 of its bytes, hexadecimal."),
        "document_type": _text("Its media type."),
        "document_name": _text("Its file name as the service gave it."),
        "document_error": _text("Why it could not be stored; null when it was."),
    },
}

_encode = msgspec.json.Encoder().encode
_object = msgspec.json.Decoder(Record)


class WebhookEvents(ExactStream):
    """What came, in the order of arrival (ap-webhooks, inbox)."""

    name = "webhook_events"
    key_fields = ("id",)
    instant_field = "id"

    def __init__(self, tap: TapWebhooks) -> None:
        super().__init__(tap, _SCHEMA)

    @property
    def source(self) -> TapWebhooks:
        """The tap, for its inbox and its folder."""
        return cast("TapWebhooks", self.tap)

    def read(self, context: Mapping[str, Any] | None) -> Iterator[Batch]:
        """Yield the events behind the bookmark.

        Raises:
            Stop: the bookmark is none of this inbox.
        """
        inbox = self.source.inbox
        reached = self._reached(context)
        services, kinds = (frozenset(self.config.get(name) or ()) for name in ("services", "kinds"))
        while events := inbox.after(reached, _PAGE):
            reached = events[-1].id
            wanted = (
                event
                for event in events
                if (not services or event.service in services) and (not kinds or event.kind in kinds)
            )
            yield Batch([self._record(event) for event in wanted], {"replication_key_value": reached})

    def _reached(self, context: Mapping[str, Any] | None) -> int:
        value = self.last_bookmark(context).get("replication_key_value")
        if value is None:
            return 0
        if not str(value).isdecimal():
            raise Stop(f"replication_key_value in --state: {value!r} is no number of an event.")
        reached = int(value)
        if reached and not self.source.inbox.after(reached - 1, 1):
            raise Stop(
                f"The inbox does not hold event {reached}, which the bookmark says was read: it is another inbox, or "
                "an older copy. Point inbox at the right one, or begin with a state of its own."
            )
        return reached

    def _record(self, event: Event) -> Record:
        body, body_text = _body(event.body)
        told = {
            "id": event.id,
            "service": event.service,
            "kind": event.kind,
            "company": event.company,
            "request_id": event.request_id,
            "received_at": event.received_at,
            "deliveries": event.deliveries,
            "body_text": body_text,
            "document_type": event.document_type,
            "document_name": event.document_name,
            **self._document(event),
        }
        return {name: msgspec.Raw(_encode(told.get(name))) for name in _SCHEMA["properties"]} | {"body": body}

    def _document(self, event: Event) -> dict[str, Any]:
        """Store an event's document; what is said of it."""
        if event.document is None or not self.config.get("documents_dir"):
            return {}
        kind = event.document_type or "application/octet-stream"
        stem, dot, suffix = (event.document_name or "").rpartition(".")
        ending = f".{safe_part(suffix, longest=8)}" if dot and suffix else mimetypes.guess_extension(kind) or ".bin"
        name = f"{event.received_at[:7]}/{event.id}-{safe_part(stem or event.kind, longest=60)}{ending}"
        try:
            stored = self.source.files.write(name, [event.document], kind)
        except Reject as error:
            self.logger.warning("Event %d: %s", event.id, error)
            return {"document_error": str(error)}
        return {
            "document_path": stored.path,
            "document_bytes": stored.bytes,
            "document_sha256": stored.sha256,
        }


def _body(body: bytes) -> tuple[msgspec.Raw, str | None]:
    """A body as an object whose values are the bytes that came, or else as text."""
    try:
        return msgspec.Raw(_encode(decode(body, _object))), None
    except Retry:
        return NULL, body.decode(errors="replace")
