"""The Vic half of the control API, under `/_control/vicai`: look inside, and make things happen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ap_connectors.core.exact import EXACT
from ap_connectors.sandbox.control import MOST_NEW, ControlCalls, Ordered, answer, change_options
from ap_connectors.sandbox.vicai import documents, times
from ap_connectors.sandbox.vicai.new_records import NewRecords
from ap_connectors.sandbox.vicai.resources import ENCODER, RESOURCES, Entry, Record
from ap_connectors.sandbox.vicai.seed import payment_batches
from ap_connectors.sandbox.vicai.store import FILE_STATES, Store
from ap_connectors.sandbox.webhooks.callbacks import ClickError

if TYPE_CHECKING:
    from ap_connectors.sandbox.tenants import Tenant


class _Amount(msgspec.Struct):
    currency: str | None = None
    totalAmount: str | None = None  # noqa: N815 - the contract's name


def sums(store: Store) -> dict[str, tuple[int, Decimal]]:
    """Return (number, total) of all invoices, whatever their state, by currency."""
    decoder = msgspec.json.Decoder(_Amount)
    found: dict[str, tuple[int, Decimal]] = {}
    for entry in store["invoices"].by_id.values():
        amount = decoder.decode(entry.body)
        count, total = found.get(amount.currency or "", (0, Decimal(0)))
        found[amount.currency or ""] = (count + 1, EXACT.add(total, Decimal(amount.totalAmount or 0)))
    return dict(sorted(found.items()))


class _OfResource(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    resource: str


class Touch(_OfResource, kw_only=True):
    """Which records change (these, or the first `count`), what in them, and when."""

    ids: list[str] | None = None
    count: int = 0
    at: str | None = None
    changes: dict[str, Any] = {}


class Add(_OfResource, kw_only=True):
    """How many new records, what is different in them, and when they came."""

    count: int = 1
    at: str | None = None
    overrides: dict[str, Any] = {}


class Delete(_OfResource, kw_only=True):
    """Which records go."""

    ids: list[str]


class DocumentState(_OfResource, kw_only=True):
    """What a record's document is to be: `ok`, `gone`, `html` or `short`."""

    id: str
    state: str


class BatchEvent(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What happens to a payment batch, or to one payment of it, and when."""

    id: str
    event: str
    payment_id: str | None = None
    at: str | None = None


class Click(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which button is clicked, on which invoice or vendor, and the request id if it is not to be a new one."""

    kind: str
    id: str | None = None
    request_id: str | None = None


class EventOrder(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Events of the live age: their kind, about which records, when, and whether they are sent or only recorded."""

    kind: str
    ids: list[str] | None = None
    count: int = 1
    data: dict[str, Any] | None = None
    at: str | None = None
    send: bool = True


class AttachmentState(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What an attachment's id tells from now on; what is left out is as usual."""

    id: str
    status: str | msgspec.UnsetType = msgspec.UNSET
    error_code: str | msgspec.UnsetType | None = msgspec.UNSET
    error_message: str | msgspec.UnsetType | None = msgspec.UNSET
    invoice_ids: list[str] | msgspec.UnsetType = msgspec.UNSET


class VicaiCalls(ControlCalls):
    """The handlers of the control calls; `handlers` has them by path and verb."""

    title = "Vic.ai"

    def __init__(self, tenant: Tenant) -> None:
        super().__init__(tenant)
        self.handlers = {
            "/vicai": {"GET": self.overview},
            "/vicai/records": {"GET": self.all_records},
            "/vicai/records/{resource}": {"GET": self.records},
            "/vicai/lines/{id}": {"GET": self.lines},
            "/vicai/touch": {"POST": Ordered(Touch, self.touch)},
            "/vicai/add": {"POST": Ordered(Add, self.add)},
            "/vicai/delete": {"POST": Ordered(Delete, self.delete)},
            "/vicai/batch": {"POST": Ordered(BatchEvent, self.batch_event)},
            "/vicai/click": {"POST": Ordered(Click, self.click)},
            "/vicai/event": {"POST": Ordered(EventOrder, self.event)},
            "/vicai/events": {"GET": self.events},
            "/vicai/attachment": {"POST": Ordered(AttachmentState, self.change_attachment)},
            "/vicai/reported": {"GET": self.reported},
            "/vicai/documents": {"GET": self.document, "POST": Ordered(DocumentState, self.change_document)},
            "/vicai/revoke": {"POST": self.revoke},
            "/vicai/options": {"GET": self.options, "PATCH": Ordered(dict[str, Any], self.change_options)},
        }

    @property
    def _store(self) -> Store:
        return self._tenant.services.vicai.store

    async def overview(self, request: Request) -> Response:
        """Tell counts, options, refusals by the rate limit and, without `?sums=false`, sums."""
        value: dict[str, Any] = {name: len(collection) for name, collection in self._store.collections.items()}
        value |= {
            "subscription": int(self._store.subscription is not None),
            "options": self._store.options,
            "throttled": self._tenant.services.vicai.limit.throttled,
        }
        if request.query_params.get("sums") != "false":
            value["sums"] = {
                currency: {"invoices": count, "totalAmount": str(total)}
                for currency, (count, total) in sums(self._store).items()
            }
        return answer(value)

    async def all_records(self, _: Request) -> Response:
        """Tell all records of all resources, by resource."""
        named = [b'"%s":[%s]' % (name.encode(), b",".join(self._bodies(name))) for name in (*RESOURCES, *_OTHERS)]
        return Response(b"{" + b",".join(named) + b"}", media_type="application/json")

    async def records(self, request: Request) -> Response:
        """Tell all records of a resource, one a line."""
        found = self._bodies(request.path_params["resource"])

        async def lines() -> AsyncIterator[bytes]:
            for start in range(0, len(found), 1000):
                yield b"".join(body + b"\n" for body in found[start : start + 1000])
                await asyncio.sleep(0)  # others are served in between

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    def _bodies(self, name: str) -> list[bytes]:
        """Return the JSON texts of a resource's records."""
        if name == "subscription":
            return [ENCODER.encode(record) for record in (self._store.subscription,) if record is not None]
        if name == "supportingAttachments":
            held = self._store.supporting.items()
            return [ENCODER.encode({**one, "invoiceId": id_}) for id_, all_ in held for one in all_.values()]
        if name == "dimensionDependencies":
            pairs = self._store.dependencies.items()
            return [
                ENCODER.encode({"id": " ".join(pair), "dimensionId": pair[0], "dependentId": pair[1], "active": active})
                for pair, active in pairs
            ]
        spec = RESOURCES[_known(name)]
        order = "internal" if spec.dated else spec.order
        return [entry.body for entry in self._store[name].sorted(order)]

    async def lines(self, request: Request) -> Response:
        """Tell an invoice's ungrouped line items."""
        return answer(self._store.line_items(self._entry("invoices", request.path_params["id"])))

    async def touch(self, order: Touch) -> Response:
        """Change records."""
        name, at = _known(order.resource), _instant(order.at)
        spec = RESOURCES[name]
        if order.ids is None:
            entries = self._store[name].sorted("internal" if spec.dated else spec.order)[: max(0, order.count)]
        else:
            entries = [self._entry(name, id_) for id_ in order.ids]
        for entry in list(entries):
            record = {**self._store.record(entry), **order.changes}
            self._store.save(name, record, over=entry, instant=at)
        return answer({"ids": [_id(name, entry) for entry in entries]})

    async def add(self, order: Add) -> Response:
        """Make records."""
        if not 0 <= order.count <= MOST_NEW:
            raise HTTPException(400, f"count must be from 0 to {MOST_NEW}.")
        name = _known(order.resource)
        new = NewRecords(self._store)
        made = new.add(name, order.count, _instant(order.at), order.overrides)
        return answer({"ids": [_id(name, entry) for entry in made]})

    async def delete(self, order: Delete) -> Response:
        """Delete records."""
        for entry in [self._entry(_known(order.resource), id_) for id_ in order.ids]:
            self._store.delete(order.resource, entry)
            if (kind := _DELETED.get(order.resource)) is not None:
                gone = {"internalId": entry.id, "externalId": entry.external_id}
                self._store.events.happened(kind, gone)
        return answer({})

    async def event(self, order: EventOrder) -> Response:
        """Let events happen: of these records, or of the first `count` of the kind's resource."""
        store = self._store
        resource = next((name for start, name in _ABOUT.items() if order.kind.startswith(start)), None)
        if order.data is not None or resource is None:
            about: list[Record] = [order.data or {}] * order.count
        else:
            entries = store[resource].sorted("internal" if RESOURCES[resource].dated else "id")
            chosen = entries[: order.count] if order.ids is None else [self._entry(resource, id_) for id_ in order.ids]
            about = [store.record(entry) for entry in chosen]
            if order.kind.endswith(("_deleted", "_restored")):
                about = [{"internalId": one["internalId"], "externalId": one.get("externalId")} for one in about]
        made = [store.events.happened(order.kind, data, at=_instant(order.at), send=order.send) for data in about]
        return answer({"ids": [event.id for event in made if event is not None]})

    async def events(self, _: Request) -> Response:
        """Tell the record of events, and which were received."""
        found = self._store.events.events
        return answer([event.recorded(data_only=False) | {"delivered": event.delivered} for event in found])

    async def change_attachment(self, order: AttachmentState) -> Response:
        """Say what becomes of an attachment."""
        told = msgspec.to_builtins(order)
        self._store.attachment_states[told.pop("id")] = told
        return answer({})

    async def reported(self, _: Request) -> Response:
        """Tell what was done to payments and credits, and which synchronisations were asked for, in this order."""
        return answer({"confirmations": self._store.confirmations, "synchronized": self._store.synchronized})

    async def batch_event(self, order: BatchEvent) -> Response:
        """Let something happen to a payment batch."""
        entry, at = self._entry("paymentBatches", order.id), _instant(order.at)
        instant = self._store.tick() if at is None else at
        batch: Record = self._store.record(entry)
        try:
            payment_batches.apply(batch, order.event, self._store.written(instant), order.payment_id)
        except payment_batches.UnknownPaymentError:
            raise HTTPException(404, f"The batch has no payment or credit {order.payment_id}.") from None
        except KeyError:
            raise HTTPException(400, f"event must be one of {', '.join(payment_batches.EVENTS)}.") from None
        self._store.save("paymentBatches", batch, over=entry, instant=instant)
        if order.event == "process" and order.payment_id is None:
            self._tenant.services.callbacks.processed(batch)
        if order.event in ("void", "fail") and order.payment_id is not None:
            for one, many in (("payment", "payments"), ("credit", "credits")):
                for told in (part for part in batch.get(many) or () if part.get("id") == order.payment_id):
                    self._store.events.happened(f"{one}_status_updated", told)
        return answer(batch)

    async def click(self, order: Click) -> Response:
        """Click a button, which sends a webhook."""
        try:
            return answer(self._tenant.services.callbacks.click(order.kind, order.id, order.request_id))
        except ClickError as error:
            raise HTTPException(400, str(error)) from None

    async def document(self, request: Request) -> Response:
        """Hand out the document of a record: `?resource=` (invoices, trainingInvoices) and `?id=`."""
        resource, id_ = request.query_params.get("resource", "invoices"), request.query_params.get("id", "")
        file = documents.file_of(self._store, resource, self._entry(_known(resource), id_))
        if file is None:
            raise HTTPException(404, f"{resource} {id_[:100]} has no document.")
        # A browser shows what was uploaded only where that cannot act on the sandbox's own pages.
        headers = {"X-Content-Type-Options": "nosniff"}
        if file.media in _SHOWN:
            return Response(file.data, headers={**headers, "Content-Type": file.media})
        headers |= {"Content-Type": "application/octet-stream", "Content-Disposition": "attachment"}
        return Response(file.data, headers=headers)

    async def change_document(self, order: DocumentState) -> Response:
        """Spoil a document, or make it good again."""
        if order.state not in FILE_STATES:
            raise HTTPException(400, f"state must be one of {', '.join(FILE_STATES)}.")
        entry = self._entry(_known(order.resource), order.id)
        self._store.file_states[order.resource, entry.id] = order.state
        return answer({})

    async def revoke(self, _: Request) -> Response:
        """Let all tokens expire."""
        self._tenant.services.vicai.tokens.revoke()
        return answer({})

    async def options(self, _: Request) -> Response:
        """Tell the options."""
        return answer(self._store.options)

    async def change_options(self, patch: dict[str, Any]) -> Response:
        """Replace options, by the names that GET tells."""
        options = change_options(self._store.options, patch)
        self._store.change_options(options)
        return answer(options)

    def _entry(self, resource: str, id_: str) -> Entry:
        system = "external" if RESOURCES[resource].key is None else "internal"
        if (entry := self._store.find(resource, system, id_)) is None:
            raise HTTPException(404, f"{resource} has no {id_}.")
        return entry


_SHOWN = ("application/pdf", "image/png", "image/jpeg")
# What has no collection of its own.
_OTHERS = ("supportingAttachments", "dimensionDependencies", "subscription")
_DELETED = {"invoices": "invoice_deleted", "purchaseOrders": "purchase_order_deleted"}
# What events are about, by the beginnings of their names.
_ABOUT = {"invoice_": "invoices", "purchase_order_": "purchaseOrders", "vendor_": "vendors"}


def _id(resource: str, entry: Entry) -> str:
    return (entry.external_id or "") if RESOURCES[resource].key is None else entry.id


def _known(resource: str) -> str:
    if resource not in RESOURCES:
        raise HTTPException(404, f"resource must be one of {', '.join(RESOURCES)}.")
    return resource


def _instant(text: str | None) -> int | None:
    try:
        return None if text is None else times.read_utc(text)
    except (ValueError, OverflowError) as error:
        raise HTTPException(400, str(error)) from None
