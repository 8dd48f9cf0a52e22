"""The pipelines, as data: which plugins, which streams, which settings they have unless told otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

TAP_IVESK_FOR_VIC = "tap-ivesk-for-vic"
"""Settings of tap-ivesk in the pipeline to Vic.ai; `meltano.yml` has a plugin of that name."""

_IVESK_DOCUMENTS = "{folder}/documents/{company}"


@dataclass(frozen=True)
class Pipeline:
    """What one `meltano run` of a job does.

    Args:
        name: of the pipeline; that of the job in `meltano.yml` where there is one.
        tap: command of the tap; a path runs a program that is installed elsewhere.
        target: command of the target.
        mapper: command of the mapper, if there is one between them.
        select: streams and fields, as `select` of Meltano: "invoices.*", "!invoices.lineItems"; empty: the tap decides.
        schema: of the warehouse.
        settings: by plugin, unless the file sets others.
        variant: under which name the tap has further settings.
    """

    name: str
    tap: str
    target: str
    mapper: str | None = None
    select: tuple[str, ...] = ()
    schema: str | None = None
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    variant: str | None = None

    @property
    def plugins(self) -> tuple[str, ...]:
        """The plugins in the order in which records go through them."""
        return (self.tap, *((self.mapper,) if self.mapper else ()), self.target)

    @property
    def to_warehouse(self) -> bool:
        """Whether the warehouse keeps the STATE."""
        return self.target == "target-warehouse"

    def names_of(self, plugin: str) -> Iterator[str]:
        """Yield the names under which a plugin's settings may be, general ones first."""
        yield plugin
        if plugin == self.tap and self.variant:
            yield self.variant


_VICAI_STREAMS = (
    "accounts companies company company_invoices credits dimensions invoice_deletions invoice_documents "
    "invoice_line_items invoices payment_batches payment_terms payments purchase_order_deletions "
    "purchase_order_line_items purchase_orders tags tax_codes training_invoices vat_codes vendor_groups vendor_tags "
    "vendors webhook_event_log"
)
_REJECTS = "{folder}/rejects/{company}/{pipeline}-{timestamp}.jsonl"
_TO_VIC = {"rejects_path": _REJECTS, "ledger_path": "{folder}/ledgers/{company}/target-vicai.jsonl"}
_TO_WAREHOUSE = {"rejects_path": "{folder}/rejects/{company}/warehouse/{pipeline}-{timestamp}.jsonl"}
_TO_IVESK = {
    "rejects_path": "{folder}/rejects/{company}/sync-errors/{timestamp}.jsonl",
    "ledger_path": "{folder}/ledgers/{company}/target-ivesk.jsonl",
}
_MAPPED = {"rejects_path": "{folder}/rejects/{company}/{pipeline}-mapper-{timestamp}.jsonl"}
FILES = {
    "target-warehouse": _TO_WAREHOUSE,
    "target-vicai": _TO_VIC,
    "target-ivesk": _TO_IVESK,
    "mapper-ivesk-vicai": _MAPPED,
}
"""Settings of plugins, in whatever pipeline, that keep the files of companies apart."""


def _streams(names: str) -> tuple[str, ...]:
    return tuple(f"{name}.*" for name in names.split())


ALL = (
    Pipeline(
        "vic-to-warehouse",
        "tap-vicai",
        "target-warehouse",
        # Parts are streams of their own.
        select=(
            *_streams(_VICAI_STREAMS),
            "!purchase_orders.lineItems",
            "!payment_batches.payments",
            "!payment_batches.credits",
        ),
        schema="vicai",
        settings={"target-warehouse": _TO_WAREHOUSE},
    ),
    Pipeline(
        "ivesk-to-warehouse",
        "tap-ivesk",
        "target-warehouse",
        select=(
            "exported_documents.*",
            "!exported_documents.lines",
            *_streams("exported_document_lines document_files columns"),
        ),
        schema="ivesk",
        settings={"target-warehouse": _TO_WAREHOUSE},
    ),
    Pipeline(
        "erp-to-vic",
        "tap-saft",
        "target-vicai",
        select=_streams("accounts dimensions vendors vat_codes"),
        settings={"target-vicai": _TO_VIC},
    ),
    Pipeline(
        "ivesk-to-vic",
        "tap-ivesk",
        "target-vicai",
        mapper="mapper-ivesk-vicai",
        select=_streams("exported_documents document_files"),
        variant=TAP_IVESK_FOR_VIC,
        settings={
            "tap-ivesk": {"documents_dir": _IVESK_DOCUMENTS},
            "mapper-ivesk-vicai": {**_MAPPED, "documents_from": [_IVESK_DOCUMENTS]},
            "target-vicai": {**_TO_VIC, "documents_from": [_IVESK_DOCUMENTS]},
        },
    ),
    Pipeline(
        "errors-to-ivesk",
        "tap-rejects",
        "target-ivesk",
        select=_streams("sync_errors"),
        settings={
            "tap-rejects": {"path": "{folder}/rejects/{company}/ivesk-to-vic-*.jsonl"},
            "target-ivesk": _TO_IVESK,
        },
    ),
)
BY_NAME = {pipeline.name: pipeline for pipeline in ALL}
