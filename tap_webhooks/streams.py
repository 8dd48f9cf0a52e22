"""The one stream of `tap-webhooks`: the events of the inbox."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import msgspec
import requests

from ap_connectors.core.errors import Reject, Retry, Stop
from ap_connectors.core.raw_json import NULL, Record, decode
from ap_connectors.http.bodies import file_pieces
from ap_connectors.singer.downloads import StoredFile, safe_part
from ap_connectors.singer.stream import Batch, ExactStream
from ap_connectors.vicai.client import document_type
from ap_connectors.webhooks import documents
from ap_connectors.webhooks.event_kinds import BEFORE

if TYPE_CHECKING:
    from ap_connectors.webhooks.inbox import Event
    from tap_webhooks.tap import TapWebhooks

_PAGE = 200


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": ["string", "null"], "description": description, **more}


_SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": ["integer"], "description": "Number of arrival; it grows, and is never used again."},
        "service": _text("Who sent it: vicai or ivesk."),
        "kind": _text("What happened, by the service's own name: invoice_post, syncRequest, on_exported, ..."),
        "company": _text("Registration code (ivesk) or Vic's id of the company; null if the event has neither."),
        "request_id": _text("To be sent as X-Request-Id with the calls that answer it."),
        "received_at": _text("When it was first received; UTC.", format="date-time"),
        "deliveries": {"type": ["integer", "null"], "description": "How often it had been received when it was read."},
        "body": {
            "type": ["object", "null"],
            "additionalProperties": True,
            "description": "What the service sent, every digit kept; null if that is not a JSON object.",
        },
        "body_text": _text("What the service sent if that is not a JSON object."),
        "document_path": _text("Where the document is, starting with documents_dir; null without a document."),
        "document_bytes": {"type": ["integer", "null"], "description": "Its size in bytes."},
        "document_sha256": _text("SHA-256 of its bytes, hexadecimal."),
        "document_type": _text("Its media type."),
        "document_name": _text("Its file name at the service."),
        "document_error": _text("Why it could not be stored; null if it was."),
    },
}

_encode = msgspec.json.Encoder().encode
_object = msgspec.json.Decoder(Record)
_plain = msgspec.json.Decoder(float_hook=str)


class WebhookEvents(ExactStream):
    """Received events, in the order of arrival (ap-webhooks, inbox)."""

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
        """Yield the events after the bookmark.

        Raises:
            Stop: the bookmark does not belong to this inbox.
        """
        inbox = self.source.inbox
        reached = self._reached(context)
        services, kinds = (frozenset(self.config.get(name) or ()) for name in ("services", "kinds"))
        while events := inbox.after(reached, _PAGE):
            reached = events[-1].id
            wanted = (
                event
                for event in events
                if (not services or event.service in services)
                and (not kinds or event.kind in kinds or BEFORE.get(event.kind) in kinds)
            )
            yield Batch([self._record(event) for event in wanted], {"replication_key_value": reached})

    def _reached(self, context: Mapping[str, Any] | None) -> int:
        value = self.last_bookmark(context).get("replication_key_value")
        if value is None:
            return 0
        if not str(value).isdecimal():
            raise Stop(f"replication_key_value in --state: {value!r} is not the number of an event.")
        reached, inbox = int(value), self.source.inbox
        deleted, before = inbox.purged()
        if reached < deleted:
            self.logger.warning(
                "Events up to %d that were received before %s are deleted from the inbox (ap-webhooks purge, "
                "keep_events); those after %d were never read here.",
                deleted,
                before,
                reached,
            )
        # The newest event is never deleted.
        if reached > inbox.newest():
            raise Stop(
                f"The inbox does not have event {reached}, which was read according to the bookmark: it is another "
                "inbox, or an older copy. Set inbox to the right one, or start with a new state."
            )
        return reached

    def _record(self, event: Event) -> Record:
        body, body_text = _body(event.body)
        fields = {
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
        return {name: msgspec.Raw(_encode(fields.get(name))) for name in _SCHEMA["properties"]} | {"body": body}

    def _document(self, event: Event) -> dict[str, Any]:
        """Store an event's document; return the fields that describe it."""
        if not self.config.get("documents_dir"):
            return {}
        try:
            if event.document is not None:
                kind = event.document_type or "application/octet-stream"
                name = self._file_name(event, event.document_name or "", kind)
                return _facts(self.source.files.write(name, [event.document], kind))
            link = documents.link(content) if (content := _content(event.body)) else None
            return {} if link is None else self._linked(event, *link)
        except Reject as error:
            self.logger.warning("Event %d: %s", event.id, error)
            return {"document_error": str(error)}

    def _linked(self, event: Event, url: str, invoice: str) -> dict[str, Any]:
        """Fetch the document that an event links to."""
        vicai = self.source.vicai
        if vicai is None:
            problem = "the event only links to its document: set vicai_client_id and vicai_client_secret"
            raise Reject(problem, "document_unreadable", document=f"event {event.id}", problem=problem)

        def store(response: requests.Response) -> StoredFile:
            kind = document_type(response)
            name = self._file_name(event, f"{invoice}.pdf" if kind == "application/pdf" else invoice, kind)
            return self.source.files.write(name, file_pieces(response, f"document of event {event.id}"), kind)

        return _facts(documents.fetch(vicai, url, invoice, store))

    @staticmethod
    def _file_name(event: Event, own: str, kind: str) -> str:
        stem, dot, suffix = own.rpartition(".")
        ending = f".{safe_part(suffix, longest=8)}" if dot and suffix else mimetypes.guess_extension(kind) or ".bin"
        return f"{event.received_at[:7]}/{event.id}-{safe_part(stem or own or event.kind, longest=60)}{ending}"


def _facts(stored: StoredFile) -> dict[str, Any]:
    return {
        "document_path": stored.path,
        "document_bytes": stored.bytes,
        "document_sha256": stored.sha256,
        "document_type": stored.content_type,
    }


def _content(body: bytes) -> dict[str, Any]:
    try:
        found = decode(body, _plain)
    except Retry:
        return {}
    return found if isinstance(found, dict) else {}


def _body(body: bytes) -> tuple[msgspec.Raw, str | None]:
    """Return a body as an object whose values are the bytes received, or else as text."""
    try:
        return msgspec.Raw(_encode(decode(body, _object))), None
    except Retry:
        return NULL, body.decode(errors="replace")
