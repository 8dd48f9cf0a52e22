"""v2: all companies that one pair of credentials may see, and their invoices (Vic.ai API 10.40.4, Companies)."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import msgspec

from ap_connectors.core.bookmarks import Bookmark, key_of
from ap_connectors.core.errors import Stop
from ap_connectors.core.raw_json import Record, text
from ap_connectors.singer.stream import Batch
from tap_vicai.base import BEGINNING, VicaiStream

ALL = "ALL"


class Companies(VicaiStream):
    """Companies that the credentials may see, with their ids in v0 and v2 (Companies)."""

    name, operation, component, key_fields = "companies", "listCompaniesV2", "CompanyV2", ("id",)

    def batches(self, context: Mapping[str, Any] | None) -> Iterator[Batch]:  # noqa: ARG002 - there are no partitions
        """Yield all companies."""
        for page in self.source.client.pages_v2(self.operation):
            for record in page:
                key_of(record, "id")
            yield Batch(page)


class CompanyInvoices(VicaiStream):
    """Invoices of several companies, as v2 shows them; read when `company_ids` is set (Invoices)."""

    name, operation, component = "company_invoices", "listInvoicesV2", "BillV2"
    read_with = "company_ids"
    key_fields = ("company_id", "id")
    instant_field = "updated_at"
    own_fields: ClassVar = {"company_id": {"type": ["string", "null"], "description": "Id of the company."}}

    def __init__(self, tap: Any) -> None:
        self.selected_by_default = bool(tap.config.get("company_ids"))
        super().__init__(tap)

    @property
    def partitions(self) -> list[dict[str, Any]]:
        """Each company has a bookmark, and each of several states, as with `invoices`."""
        states = list(dict.fromkeys(self.config.get("invoice_states") or ["POSTED"]))
        wanted = ["all"] if ALL in states else [state.lower() for state in states]
        return [{"company_id": company, "status": status} for company in self._companies for status in wanted]

    @functools.cached_property
    def _companies(self) -> list[str]:
        """The ids of the companies to read; none where the credentials may not ask for them.

        Raises:
            Stop: the credentials may not see one of them.
        """
        wanted = self.config.get("company_ids") or []
        if wanted:
            with self.leaving_out(None):
                pages = self.source.client.pages_v2("listCompaniesV2")
                return self._wanted(
                    wanted, {key_of(one, "id"): text(one, "legacy_id") for page in pages for one in page}
                )
        return []

    @staticmethod
    def _wanted(wanted: list[str], seen: Mapping[str, str | None]) -> list[str]:
        if ALL in wanted:
            return list(seen)
        by_name = {number: id_ for id_, number in seen.items() if number} | {id_.lower(): id_ for id_ in seen}
        found = {one: by_name.get(one.lower()) for one in wanted}
        if unknown := [one for one, id_ in found.items() if id_ is None]:
            raise Stop(
                f"company_ids: the credentials may not see {', '.join(unknown)}. Stream companies lists the ids that "
                'they may see; ["ALL"] reads them all.'
            )
        return list(dict.fromkeys(id_ for id_ in found.values() if id_ is not None))

    def batches(self, context: Mapping[str, Any] | None) -> Iterator[Batch]:
        """Yield what changed after a company's bookmark."""
        part = dict(context or {})
        since = Bookmark.from_state(self.last_bookmark(context), self.config.get("start_date"))
        pages = self.source.client.changes_v2(
            self.operation, since, key=_id, instant_field=str(self.instant_field), system="internal", **part
        )
        for page in pages:
            own = {"company_id": msgspec.Raw(msgspec.json.encode(part["company_id"]))}
            yield Batch([record | own for record in page.records], page.bookmark.to_state() or BEGINNING)


def _id(record: Record) -> str:
    return key_of(record, "id")
