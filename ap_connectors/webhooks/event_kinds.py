"""The kinds of events: the services' own names for them."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping

from ap_connectors.vicai import contract

_IVESK = ("ivesk.on_exported", "ivesk.on_digitized", "ivesk.notification")

SYNC = "syncRequest"
BATCH = "payment_batch_processed"
POST, TRANSFER = "invoice_post", "invoice_transfer"
BEFORE = {POST: "invoicePost", TRANSFER: "invoiceTransfer"}
"""The callbacks whose place an event of Vic.ai has taken; whoever wants a callback wants its event, too."""


@functools.cache
def of_vicai() -> tuple[str, ...]:
    """Return Vic.ai's events by its own names; it may have more."""
    return tuple(kind for kind in contract.component("WebhookEventName")["enum"] if kind != "all")


@functools.cache
def events() -> tuple[str, ...]:
    """Return the events that are known, by the names that rules use: `vicai.invoice_post`."""
    return (*_IVESK, *(f"vicai.{kind}" for kind in of_vicai()), "vicai.unknown")


def is_wanted(service: str, kind: str, names: Collection[str]) -> bool:
    """Return whether an event is among these names of rules."""
    before = f"{service}.{BEFORE[kind]}" if kind in BEFORE else None
    return f"{service}.{kind}" in names or f"{service}.*" in names or before in names


def known_kind(event: str) -> str:
    """Return Vic.ai's spelling of an event's name, because it writes names in either letter case."""
    return _by_folded().get(event.lower(), event.replace("\0", ""))


@functools.cache
def _by_folded() -> Mapping[str, str]:
    # paymentBatchProcessed is payment_batch_processed; but invoicePost and invoice_post are two events.
    loosely = {kind.replace("_", "").lower(): kind for kind in of_vicai()}
    return loosely | {kind.lower(): kind for kind in of_vicai()}
