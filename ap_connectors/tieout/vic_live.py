"""What is compared of the streams that Vic.ai has today only (10.40.4): events, deletions, attachments and the like."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import ClassVar

import msgspec

from ap_connectors.core.bookmarks import Bookmark
from ap_connectors.core.instants import UTC
from ap_connectors.core.raw_json import NULL, Record, text
from ap_connectors.http.concurrency import ordered
from ap_connectors.tieout.vic_streams import INTERNAL, StreamSpec, invoices
from ap_connectors.vicai.client import NotFound, VicaiClient

_BEGINNING = datetime(2024, 1, 1, tzinfo=timezone.utc)
_WINDOW, _OVERLAP = timedelta(days=29), timedelta(minutes=1)
"""The service takes 30 days at once, and does not say whether borders belong to them."""
_AT_ONCE = 8
_FILE = ("path", "bytes", "sha256", "content_type", "error")

_members = msgspec.json.Decoder(Record | None).decode


@dataclass(frozen=True)
class EventLog(StreamSpec):
    """The service's own record of events.

    Args:
        kinds: of events that are wanted; empty for all.
    """

    kinds: tuple[str, ...] = ()

    def read(self, client: VicaiClient, since: int | None) -> Iterator[Record]:
        """Yield events, each once."""
        only = {"event_types": ",".join(self.kinds)} if self.kinds else {}
        end, seen = datetime.now(timezone.utc) + timedelta(days=1), set()
        # Within it: a time of the year 1 or 9999 may have no date in UTC.
        begin = min(max(since or 0, _BEGINNING.timestamp() * 1000), end.timestamp() * 1000)
        start = datetime.fromtimestamp(begin / 1000, timezone.utc) - _OVERLAP
        while start < end:
            until = min(start + _WINDOW, end)
            times = {"occurred_after": _text(start), "occurred_before": _text(until)}
            for page in client.pages("listWebhookEvents", **times, **only):
                for event in page:
                    if (number := text(event, "id")) not in seen:
                        seen.add(number)
                        yield event
            start = until - _OVERLAP if until < end else end


@dataclass(frozen=True)
class Deletions(EventLog):
    """What events tell of deletions."""

    def read(self, client: VicaiClient, since: int | None) -> Iterator[Record]:
        """Yield deletions, and what lifted them."""
        for event in super().read(client, since):
            if text(event, "type") not in self.kinds:
                continue
            body = _members(event.get("body", NULL)) or {}
            about = (_members(body["data"]) or {}) if "data" in body else body
            yield {
                "event_id": event["id"],
                "event": event["type"],
                "occurred_at": event.get("occurred_at", NULL),
                "internalId": about.get("internalId", NULL),
                "externalId": about.get("externalId", NULL),
            }


@dataclass(frozen=True)
class DimensionDependencies(StreamSpec):
    """Which dimensions may be chosen together: a request for each dimension."""

    is_costly = True

    def read(self, client: VicaiClient, since: int | None) -> Iterator[Record]:  # noqa: ARG002 - they have no time
        """Yield the dependencies of all dimensions."""

        def of(dimension: Record) -> list[Record]:
            own = {"dimension_id": dimension["internalId"]}
            found = _list(client, "listDimensionDependencies", dimension)
            return [one | own | {"dependent_id": _dependent(one)} for one in found]

        for page in client.pages("listDimensions", **INTERNAL):
            for dependencies in ordered(of, page, workers=_AT_ONCE):
                yield from dependencies


@dataclass(frozen=True)
class SupportingAttachments(StreamSpec):
    """Files that support invoices: a request for each invoice.

    Args:
        states: of the invoices.
    """

    is_costly = True
    left_out: ClassVar[tuple[str, ...]] = ("downloadUrl", *_FILE)
    states: tuple[str, ...] = ()

    def read(self, client: VicaiClient, since: int | None) -> Iterator[Record]:
        """Yield the attachments of all invoices, each with its invoice's id and time of change."""

        def of(invoice: Record) -> list[Record]:
            own = {"invoice_id": invoice["internalId"], "invoice_updated_at": invoice.get("internalUpdatedAt", NULL)}
            return [one | own for one in _list(client, "listInvoiceSupportingAttachments", invoice)]

        for attachments in ordered(of, invoices(self.states).read(client, since), workers=_AT_ONCE):
            yield from attachments


@dataclass(frozen=True)
class Companies(StreamSpec):
    """Companies that the credentials may see."""

    def read(self, client: VicaiClient, since: int | None) -> Iterator[Record]:  # noqa: ARG002 - the list is whole
        """Yield all companies."""
        for page in client.pages_v2("listCompaniesV2"):
            yield from page


@dataclass(frozen=True)
class CompanyInvoices(StreamSpec):
    """Invoices of several companies, as v2 shows them.

    Args:
        states: of the invoices.
        companies: whose they are.
    """

    states: tuple[str, ...] = ()
    companies: tuple[str, ...] = ()

    def read(self, client: VicaiClient, since: int | None) -> Iterator[Record]:
        """Yield the invoices of the companies."""
        wanted = ["all"] if "ALL" in self.states else [state.lower() for state in self.states]
        for company in self.companies:
            own = {"company_id": msgspec.Raw(msgspec.json.encode(company))}
            for status in wanted:
                pages = client.changes_v2(
                    "listInvoicesV2",
                    Bookmark(not_before=since or 0),
                    key=lambda record: text(record, "id") or "",
                    instant_field="updated_at",
                    system="internal",
                    company_id=company,
                    status=status,
                )
                for page in pages:
                    yield from (record | own for record in page.records)


def live_streams(states: Iterable[str], companies: Iterable[str]) -> tuple[StreamSpec, ...]:
    """Return what is compared of them.

    Args:
        states: of invoices, the tap's setting.
        companies: ids of those whose invoices the warehouse has.
    """
    chosen = tuple(dict.fromkeys(states)) or ("POSTED",)
    return (
        EventLog("webhook_event_log", (), key=("id",), label="type", instant="occurred_at"),
        _deletions("invoice_deletions", "invoice_deleted", "invoice_restored"),
        _deletions("purchase_order_deletions", "purchase_order_deleted"),
        SupportingAttachments(
            "supporting_attachments", (), key=("id",), label="filename", instant="invoice_updated_at", states=chosen
        ),
        DimensionDependencies(
            "dimension_dependencies", (), key=("dimension_id", "dependent_id"), label="type", instant=None
        ),
        Companies("companies", (), key=("id",), label="name", instant=None),
        CompanyInvoices(
            "company_invoices",
            (),
            key=("company_id", "id"),
            label="ref_number",
            instant="updated_at",
            states=chosen,
            companies=tuple(companies),
        ),
    )


def _deletions(stream: str, *kinds: str) -> StreamSpec:
    return Deletions(stream, (), key=("event_id",), label="internalId", instant="occurred_at", kinds=kinds)


def _list(client: VicaiClient, operation: str, parent: Record) -> list[Record]:
    """Return a list of a parent; an empty one if the parent is gone."""
    try:
        return client.whole_list(operation, id=text(parent, "internalId") or "", **INTERNAL)
    except NotFound:
        if client.is_live:
            return []
        raise


def _dependent(dependency: Record) -> msgspec.Raw:
    if dependency.get("internalId", NULL) != NULL:
        return dependency["internalId"]
    return msgspec.Raw(msgspec.json.encode(f"{text(dependency, 'type')} {text(dependency, 'externalId')}"))


def _text(moment: datetime) -> str:
    return UTC.text(int(moment.timestamp() * 1000))
