"""Settings and streams of `tap-vicai`, and the guard against another company's state."""

from __future__ import annotations

import functools

from singer_sdk import Stream
from singer_sdk import typing as th

from ap_connectors.core.errors import Stop
from ap_connectors.core.raw_json import Record, text
from ap_connectors.singer.settings import (
    RATE_LIMIT,
    REQUEST_TIMEOUT,
    USER_AGENT,
    documents_dir,
    max_concurrency,
    start_date,
)
from ap_connectors.singer.tap import ExactTap
from ap_connectors.vicai import contract
from ap_connectors.vicai.client import VicaiClient
from ap_connectors.vicai.settings import client, connected
from tap_vicai import streams

_STATES = contract.component("InvoiceState")["enum"]


class TapVicai(ExactTap):
    """Invoices, payments and master data of Vic.ai, exact to the last digit."""

    name = "tap-vicai"

    config_jsonschema = connected(
        th.PropertiesList(
            start_date("what has not changed since is left out", ["2026-01-01", "2026-01-01T00:00:00Z"]),
            th.Property(
                "invoice_states",
                th.ArrayType(th.StringType(allowed_values=[*_STATES, "ALL"])),
                default=["POSTED"],
                title="Invoice states",
                description='States of the invoices to read; ["ALL"] for every state.',
                examples=[["ALL"], ["POSTED", "TRANSFERRED"]],
            ),
            documents_dir("the invoices' documents", ["output/documents", "s3://bucket/vicai"]),
            max_concurrency("for line items and documents"),
            RATE_LIMIT,
            REQUEST_TIMEOUT,
            USER_AGENT,
        ).to_dict()
    )

    def discover_streams(self) -> list[Stream]:
        """Return the twenty streams."""
        return [stream(self) for stream in streams.ALL]

    def before_sync(self) -> None:
        """Look whether files can be stored, and whose state this is."""
        super().before_sync()
        self._guard_tenant()

    def _guard_tenant(self) -> None:
        """Stop before anything is read if the state is not of the company that the credentials belong to.

        Meltano can mix the states of two client companies without a word when they run at once; one of them would then
        go on from the other's bookmarks, and what lies between would never be read.
        """
        own = text(self.company, "company")
        if not own:
            self.logger.warning("The health check names no company, so nobody can tell whether the state is its own.")
            return
        bookmarks = self.state.setdefault("bookmarks", {})
        if bookmarks and "tenant" not in bookmarks.get("company", {}):
            self.logger.warning('The state does not say whose it is; from now on it is that of "%s".', own)
        kept = bookmarks.setdefault("company", {})
        known = kept.setdefault("tenant", own)
        if known != own:
            raise Stop(
                f'The state belongs to another company: it is of "{known}", the credentials are of "{own}". '
                "Nothing was read. Hand in the right state, or none to begin anew; if the company was merely renamed, "
                "change bookmarks.company.tenant in the state."
            )

    @functools.cached_property
    def company(self) -> Record:
        """The company that the credentials belong to."""
        return self.client.company()

    @functools.cached_property
    def client(self) -> VicaiClient:
        """The one client that all streams share."""
        return client(self.config, timeout=self.timeout, user_agent=self.user_agent)
