"""Įvesk's half of the control API, under `/_control/ivesk`: look inside, and make things happen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ap_connectors.sandbox import clock
from ap_connectors.sandbox.control import MOST_NEW, ControlCalls, Ordered, answer, change_options
from ap_connectors.sandbox.ivesk.queues import Queue
from ap_connectors.sandbox.ivesk.service import base_url
from ap_connectors.sandbox.ivesk.store import FILE_STATES, QUEUES, ColumnItem, Store, UnknownDocumentError, Variant

if TYPE_CHECKING:
    from ap_connectors.sandbox.tenants import Tenant


class NewDocuments(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An order for documents; `overrides` and `line_overrides` replace or add fields verbatim, `remove` takes away."""

    count: int = 1
    instant: str | None = None
    company: str | None = None
    export: bool = True
    overrides: dict[str, Any] = {}
    line_overrides: dict[str, Any] = {}
    remove: list[str] = []


class Exports(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which documents are exported: these, the `count` oldest exported ones, the `new` latest that never were."""

    ids: list[str] = []
    count: int = 0
    new: int = 0


class FileState(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a document's PDF is to be: `ok`, `gone`, `html` or `short`."""

    id: str
    state: str


class NewItem(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A column's value; without `modifiedat` it changes after all others."""

    code: str
    description: str | None = None
    modifiedat: str | None = None


class NewItems(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Values to add to a company's column, or to change there."""

    company: str
    column: str
    items: list[NewItem]


class IveskCalls(ControlCalls):
    """The handlers of the control calls; `handlers` has them by path and verb."""

    title = "Įvesk"

    def __init__(self, tenant: Tenant) -> None:
        super().__init__(tenant)
        self.handlers = {
            "/ivesk": {"GET": self.overview},
            "/ivesk/documents": {"GET": self.documents, "POST": Ordered(NewDocuments, self.add_documents)},
            "/ivesk/export": {"POST": Ordered(Exports, self.export)},
            "/ivesk/options": {"GET": self.options, "PATCH": Ordered(dict[str, Any], self.change_options)},
            "/ivesk/files": {"GET": self.file, "POST": Ordered(FileState, self.change_file)},
            "/ivesk/uploads": {"GET": self.uploads},
            "/ivesk/syncerrors": {"GET": self.sync_errors},
            "/ivesk/subscriptions": {"GET": self.subscriptions},
            "/columns": {"POST": Ordered(NewItems, self.change_columns)},
        }

    @property
    def _store(self) -> Store:
        return self._tenant.services.ivesk.store

    async def overview(self, request: Request) -> Response:
        """Tell counts, options and, without `?sums=false`, sums."""
        store = self._store
        value: dict[str, Any] = {
            "seed": store.seed,
            "documents": len(store),
            **{name: _span(store.queue(name)) for name in QUEUES},
            "companies": companies(store),
            "uploads": len(store.uploads),
            "syncerrors": len(store.sync_errors),
            "subscriptions": len(store.subscriptions),
            "options": store.options,
        }
        # Sums make every exported document once: leave them out when there are very many.
        if request.query_params.get("sums") != "false":
            value["sums"] = {
                currency: {name: entry if name == "documents" else str(entry) for name, entry in asdict(sums).items()}
                for currency, sums in sorted(store.sums().items())
            }
        return answer(value)

    async def documents(self, request: Request) -> Response:
        """Tell all documents of a `?queue=` (exported, digitized), one a line; `?with_url=true` with their links."""
        queue = request.query_params.get("queue", "exported")
        if queue not in QUEUES:
            raise HTTPException(400, f"queue must be one of {', '.join(QUEUES)}.")
        ivesk = self._tenant.services.ivesk
        with_url = request.query_params.get("with_url") == "true"
        base, numbers = base_url(request.scope), self._store.queue(queue).numbers[:]

        async def lines() -> AsyncIterator[bytes]:
            signer = ivesk.signer()
            for start in range(0, len(numbers), 200):
                some = numbers[start : start + 200]
                if with_url:
                    yield b"".join(ivesk.renderer.join(queue, (n,), base, signer) + b"\n" for n in some)
                else:
                    yield b"".join(document + b"\n" for document in ivesk.renderer.plain(queue, some))
                await asyncio.sleep(0)  # others are served in between

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    async def add_documents(self, order: NewDocuments) -> Response:
        """Make new documents."""
        if not 0 <= order.count <= MOST_NEW:
            raise HTTPException(400, f"count must be from 0 to {MOST_NEW}.")
        company = None
        if order.company is not None:
            codes = [party.code for party in self._store.parties.companies]
            if order.company not in codes:
                raise HTTPException(404, f"No company has the code {order.company}.")
            company = codes.index(order.company)
        instant = None if order.instant is None else _instant(order.instant)
        variant = Variant(order.overrides, order.line_overrides, frozenset(order.remove))
        numbers = self._store.add(order.count, company, instant, order.export, variant)
        self._tenant.services.document_events.digitized(numbers)
        if order.export:
            self._tenant.services.document_events.exported(numbers)
        return answer({"ids": [self._store.id_of(number) for number in numbers]})

    async def export(self, order: Exports) -> Response:
        """Export documents, as an accountant does."""
        numbers = [self._number(document_id) for document_id in order.ids]
        numbers += self._store.exported.numbers[: max(0, order.count)]
        waiting = (number for number in reversed(self._store.digitized.numbers) if not self._store.exported_at[number])
        numbers += [*islice(waiting, max(0, order.new))][::-1]
        self._store.export(numbers)
        self._tenant.services.document_events.exported(numbers)
        return answer({"ids": [self._store.id_of(number) for number in dict.fromkeys(numbers)]})

    async def options(self, _: Request) -> Response:
        """Tell the options."""
        return answer(self._store.options)

    async def change_options(self, patch: dict[str, Any]) -> Response:
        """Replace options, by the names that GET tells."""
        options = change_options(self._store.options, patch)
        self._tenant.services.ivesk.change_options(options)
        return answer(options)

    async def file(self, request: Request) -> Response:
        """Hand out the PDF of a document, `?id=`, without a link."""
        number = self._number(request.query_params.get("id", ""))
        return self._tenant.services.ivesk.storage.document(number)

    async def change_file(self, order: FileState) -> Response:
        """Spoil a document's PDF, or make it good again."""
        if order.state not in FILE_STATES:
            raise HTTPException(400, f"state must be one of {', '.join(FILE_STATES)}.")
        self._store.file_states[self._number(order.id)] = order.state
        return answer({})

    async def uploads(self, _: Request) -> Response:
        """Tell the upload locations and what was put there."""
        return answer([asdict(upload) for upload in self._store.uploads.values()])

    async def sync_errors(self, _: Request) -> Response:
        """Tell the sync errors that were reported."""
        return answer(self._store.sync_errors)

    async def subscriptions(self, _: Request) -> Response:
        """Tell the calls that subscribed to webhooks."""
        return answer(self._store.subscriptions)

    async def change_columns(self, order: NewItems) -> Response:
        """Add values to a company's column, or change them."""
        later = clock.advance(self._store.newest_column_change(), 1000)
        items = [
            ColumnItem(item.code, item.description, later if item.modifiedat is None else _instant(item.modifiedat))
            for item in order.items
        ]
        self._store.change_column(order.company, order.column, items)
        return answer({})

    def _number(self, document_id: str) -> int:
        try:
            return self._store.number_of(document_id)
        except UnknownDocumentError:
            raise HTTPException(404, f"Document {document_id} does not exist.") from None


def companies(store: Store) -> list[dict[str, Any]]:
    """Return each of the accountant's companies with its numbers of documents by queue."""
    parties = store.parties.companies
    counts = {name: [0] * len(parties) for name in QUEUES}
    for number, company in enumerate(store.company_of):
        counts["digitized"][company] += 1
        counts["exported"][company] += bool(store.exported_at[number])
    return [
        {"code": party.code, "name": party.name, "vat": party.vat} | {name: counts[name][place] for name in QUEUES}
        for place, party in enumerate(parties)
    ]


def _span(queue: Queue) -> dict[str, Any]:
    first, last = (queue.instants[0], queue.instants[-1]) if len(queue) else (None, None)
    written = [None if instant is None else clock.iso(instant) for instant in (first, last)]
    return {"count": len(queue), "first": written[0], "last": written[1]}


def _instant(text: str) -> int:
    try:
        return clock.milliseconds(text)
    except (ValueError, OverflowError) as error:
        raise HTTPException(400, str(error)) from None
