"""Vic.ai's webhooks: what people click and what happens to payments goes to the one subscription's callback URL."""

from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from ap_connectors.sandbox import clock
from ap_connectors.sandbox.vicai import documents, times
from ap_connectors.sandbox.vicai.event_log import Event
from ap_connectors.sandbox.vicai.new_records import NewRecords
from ap_connectors.sandbox.vicai.resources import DECODER, ENCODER, Entry, Record
from ap_connectors.sandbox.vicai.store import File, Store, names
from ap_connectors.sandbox.webhooks.dispatcher import Delivery, Dispatcher, RetryPolicy
from ap_connectors.sandbox.webhooks.sender import Answer, OutgoingRequest, WithheldError
from ap_connectors.vicai import contract

BATCH_PROCESSED = "payment_batch_processed"
EVENTS_SECONDS, CALLBACK_SECONDS = 15.0, 5.0
RETRIES = 5
LIVE_RETRIES = 4
"""After the first attempt: today's service makes five in all."""
# What a click makes of an invoice, and what of it the receiver's 201 then makes.
_CLICKED = {"invoicePost": ("READY_FOR_POST", "POSTED"), "invoiceTransfer": ("READY_FOR_TRANSFER", "TRANSFERRED")}
_EVENTS = {"invoicePost": "invoice_post", "invoiceTransfer": "invoice_transfer"}
CLICKABLE = ("NOT_READY", "IN_APPROVALS", "APPROVED", "READY_FOR_POST", "READY_FOR_TRANSFER")
CLICKS = (*_CLICKED, "vendorNew", "syncRequest")


class ClickError(Exception):
    """Nothing with this id can be clicked, or it lacks this button; the text says which."""


class _Message(NamedTuple):
    """A body, its media type, and what is told a receiver's 2XX."""

    media: str
    body: bytes
    answered: Callable[[Answer], None] | None


class Callbacks:
    """The company's webhooks.

    Args:
        store: the state, its subscription included.
        dispatcher: delivers them.
    """

    def __init__(self, store: Store, dispatcher: Dispatcher) -> None:
        self._store, self._dispatcher = store, dispatcher
        store.events.deliver = self._deliver

    def click(self, kind: str, id_: str | None, request_id: str | None) -> Record:
        """Click a button in Vic: post or transfer an invoice, add a vendor, ask for a sync.

        Args:
            kind: one of `CLICKS`.
            id_: the invoice or vendor by Vic's id; without it the first that has the button, or a new vendor.
            request_id: the delivery's X-Request-Id, or a sync's requestId, if not a new one.

        Returns:
            id of the invoice or vendor, request_id, and in `sent` whether a subscription wants to know.

        Raises:
            ClickError: the invoice, vendor or button does not exist.
        """
        request_id = request_id or str(uuid.uuid4())
        if kind in _CLICKED:
            entry = self._ready(kind, id_)
            sent = self._tell_invoice(kind, entry)
            if self._why_not(kind, self._store.subscription) is None:
                self._store.events.happened(kind, self._store.record(entry), send=False, id_=request_id)
                self._send(
                    kind, request_id, *_form(self._store, entry), lambda answer: self._done(kind, entry.id, answer)
                )
                sent = True
            return {"id": entry.id, "request_id": request_id, "sent": sent}
        if kind == "vendorNew":
            entry = self._vendor(id_)
            shown = _callback(self._store.record(entry))
            self._store.events.happened(kind, shown, send=False, id_=request_id)
            sent = self._send(
                kind,
                request_id,
                "application/json",
                ENCODER.encode(shown),
                lambda answer: self._known(entry.id, answer),
            )
            return {"id": entry.id, "request_id": request_id, "sent": sent}
        if kind != "syncRequest":
            raise ClickError(f"kind must be one of {', '.join(CLICKS)}.")
        self._store.events.happened(kind, {"requestId": request_id}, send=False, id_=request_id)
        sent = self._send(kind, request_id, "application/json", ENCODER.encode({"requestId": request_id}))
        return {"id": None, "request_id": request_id, "sent": sent}

    def _tell_invoice(self, kind: str, entry: Entry) -> bool:
        """Tell of a click by the event that the live service has for it: with a link to the document, without bytes."""
        link = f"{self._store.base}/vicai/v0/invoices/{entry.id}/document?useSystem=INTERNAL"
        data = {**self._store.record(entry), "documentUrl": link}
        return self._store.events.happened(_EVENTS[kind], data) is not None

    def processed(self, batch: Record) -> None:
        """Tell that a payment batch went to the payment processor, with its approved payments and credits only."""
        parts = {
            name: [one for one in batch.get(name) or () if str(one.get("status")).lower() == "approved"]
            for name in ("payments", "credits")
        }
        data = {**batch, **parts}
        if self._store.age == "live":
            self._store.events.happened(BATCH_PROCESSED, data)
            return
        body = ENCODER.encode({"event": BATCH_PROCESSED, "data": data})
        self._send(BATCH_PROCESSED, str(uuid.uuid4()), "application/json", body)

    def _deliver(self, event: Event) -> None:
        self._send(event.kind, event.id, "application/json", ENCODER.encode(event.envelope))

    def _send(
        self, kind: str, request_id: str, media: str, body: bytes, answered: Callable[[Answer], None] | None = None
    ) -> bool:
        """Send to everyone who is subscribed; false without subscribers."""
        held = [one for one in (self._store.subscription, *self._store.subscriptions_v2) if one is not None]
        wanted = [one for one in held if self._why_not(kind, one) is None]
        for subscription in wanted:
            self._send_to(subscription, kind, request_id, _Message(media, body, answered))
        return bool(wanted)

    def _send_to(self, subscription: Record, kind: str, request_id: str, message: _Message) -> None:
        options, store = self._store.options, self._store
        to_events = kind not in CLICKS
        path = "/events" if to_events else f"/{kind}"
        live = store.age == "live"
        id_ = subscription.get("id")

        async def request() -> OutgoingRequest:
            # Looked up for each attempt: a token that was renewed meanwhile serves the retry.
            several = (one for one in store.subscriptions_v2 if one is subscription)
            held = store.subscription if id_ is None else next(several, None)
            if (why := self._why_not(kind, held)) or held is None:
                raise WithheldError(f"not sent: {why}")
            headers = {
                "Authorization": _authorization(held),
                "Content-Type": message.media,
                "Accept": "application/json",
                # A sync's id is in its body, and the contract knows no header beside it.
                **({} if kind == "syncRequest" else {"X-Request-Id": request_id}),
            }
            return OutgoingRequest(_url(held) + path, headers, message.body)

        retries = LIVE_RETRIES if live else RETRIES
        policy = RetryPolicy(
            seconds=(EVENTS_SECONDS if to_events else CALLBACK_SECONDS) * options.webhook_patience,
            retries=retries if to_events or options.callbacks_retried else 0,
            first=options.webhook_retry_seconds,
            longest=options.webhook_retry_seconds * 2**RETRIES,
            again=frozenset({401, 403, 429} if live else {401, 403}),
        )
        delivery = Delivery(
            "vicai",
            kind,
            request_id,
            _url(subscription) + path,
            request,
            policy,
            message.answered,
            lambda: store.events.received(request_id),
        )
        self._dispatcher.send("vicai" if id_ is None else f"vicai {id_}", delivery, options.webhook_senders)

    def _why_not(self, kind: str, subscription: Record | None) -> str | None:
        """Return why an event is not sent to a subscriber; None if it is."""
        if subscription is None:
            return "there is no subscription"
        if self._store.age == "live":
            return None if names(subscription, kind) else f"the subscription is not for {kind}"
        if not {"all", kind} & {*(subscription.get("events") or ())}:
            return f"the subscription is not for {kind}"
        if times.read_utc(subscription["expiresAt"]) <= clock.now() * 1_000_000:
            return f"the subscription expired at {subscription['expiresAt']}"
        return None

    def _ready(self, kind: str, id_: str | None) -> Entry:
        store = self._store
        if id_ is None:
            entry = next((one for one in store["invoices"].sorted("internal") if one.filter_value in CLICKABLE), None)
        else:
            entry = store.find("invoices", "internal", id_)
        if entry is None:
            raise ClickError("There is no invoice to click on." if id_ is None else f"There is no invoice {id_}.")
        if entry.filter_value not in CLICKABLE:
            raise ClickError(f"Invoice {entry.id} is {entry.filter_value}: there is no {kind} to click on.")
        return store.save("invoices", {**store.record(entry), "status": _CLICKED[kind][0]}, over=entry)

    def _vendor(self, id_: str | None) -> Entry:
        if id_ is not None:
            if (found := self._store.find("vendors", "internal", id_)) is None:
                raise ClickError(f"Vendor {id_} does not exist.")
            return found
        new: Record = {
            "externalId": None,
            "externalUpdatedAt": None,
            "state": "UNCONFIRMED",
            "confirmedAt": None,
            "errors": [],
        }
        [made] = NewRecords(self._store).add("vendors", 1, None, new)
        return made

    def _done(self, kind: str, id_: str, answer: Answer) -> None:
        """Take a 201 as confirmation; 202 announces one by another call."""
        waiting, done = _CLICKED[kind]
        entry = self._store.find("invoices", "internal", id_)
        if answer.status != 201 or entry is None or entry.filter_value != waiting:
            return
        told = self._told(answer, "invoices", entry, ("externalId", "externalUpdatedAt", "postingError"))
        if told is not None or kind == "invoiceTransfer":  # whose 201 says just "OK"
            self._store.save("invoices", {**self._store.record(entry), **(told or {}), "status": done}, over=entry)

    def _known(self, id_: str, answer: Answer) -> None:
        entry = self._store.find("vendors", "internal", id_)
        if answer.status != 201 or entry is None:
            return
        if told := self._told(answer, "vendors", entry, ("externalId", "externalUpdatedAt")):
            confirmed = {"state": "CONFIRMED", "confirmedAt": self._store.written(self._store.tick())}
            self._store.save("vendors", {**self._store.record(entry), **told, **confirmed}, over=entry)

    def _told(self, answer: Answer, resource: str, entry: Entry, names: tuple[str, ...]) -> Record | None:
        """Read a confirmation; None if it is invalid, or names another record's external id."""
        try:
            body = DECODER.decode(answer.body)
        except (ValueError, msgspec.DecodeError):
            return None
        if not isinstance(body, dict) or not all(isinstance(body.get(name), str) for name in names[:2]):
            return None
        if self._store.find(resource, "external", body["externalId"]) not in (None, entry):
            return None
        return {name: body[name] for name in names if isinstance(body.get(name), str)}


def _url(subscription: Record) -> str:
    url: str = subscription.get("callbackUrl") or subscription["callback_url"]
    return url.rstrip("/")


def _authorization(subscription: Record) -> str:
    token = subscription.get("accessToken") or subscription.get("access_token")
    if subscription.get("auth_method") != "basic":
        return f"Bearer {token}"
    return "Basic " + base64.b64encode(f"{subscription.get('username')}:{token}".encode()).decode()


def _callback(vendor: Mapping[str, Any]) -> Record:
    """Return what of a vendor a receiver is shown."""
    component = contract.component("VendorCallback")
    shown = {name: vendor[name] for name in component["properties"] if name in vendor}
    return {**dict.fromkeys(component["required"]), **shown}


def _form(store: Store, entry: Entry) -> tuple[str, bytes]:
    """Return content type and body of an invoice's two parts; one that has no document lacks the second."""
    boundary = f"sandbox-{secrets.token_hex(16)}"
    pieces = [_part(boundary, 'name="invoiceData"', "application/json", entry.body)]
    file: File | None = documents.file_of(store, "invoices", entry) if store.options.documents_in_callbacks else None
    if file is not None:
        name = f'name="invoiceDocument"; filename="{entry.id}.pdf"'
        pieces.append(_part(boundary, name, file.media, file.data))
    return f"multipart/form-data; boundary={boundary}", b"".join([*pieces, f"--{boundary}--\r\n".encode()])


def _part(boundary: str, name: str, media: str, data: bytes) -> bytes:
    head = f"--{boundary}\r\nContent-Disposition: form-data; {name}\r\nContent-Type: {media}\r\n\r\n"
    return b"".join((head.encode(), data, b"\r\n"))
