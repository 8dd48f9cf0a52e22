"""Settings and streams of `tap-vicai`, and the check that the state is the company's own."""

from __future__ import annotations

import functools

from singer_sdk import Stream
from singer_sdk import typing as th

from ap_connectors.core.companies import same_spelling
from ap_connectors.core.errors import Stop
from ap_connectors.core.exact import counted
from ap_connectors.core.raw_json import Record, text
from ap_connectors.singer import decimals
from ap_connectors.singer.settings import (
    RATE_LIMIT,
    REQUEST_TIMEOUT,
    USER_AGENT,
    auto_concurrency,
    documents_dir,
    start_date,
)
from ap_connectors.singer.tap import ExactTap
from ap_connectors.vicai import contract
from ap_connectors.vicai.client import RIGHT_STATE, VicaiClient, require_company
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
            decimals.setting("singer"),
            th.Property(
                "company_ids",
                th.ArrayType(th.StringType(min_length=1)),
                title="Companies",
                description="Ids of the companies whose invoices the stream company_invoices reads, as the stream "
                'companies shows them (id or legacy_id); ["ALL"] for all that the credentials see; none without it.',
                examples=[["ALL"], ["0b8f3a52-8a1d-4c4e-9d0e-3f0f3b2f6c11"]],
            ),
            th.Property(
                "missing_rights",
                th.StringType(allowed_values=["warn", "fail"]),
                default="warn",
                title="Missing rights",
                description="warn: a stream that the company has no right to is left out, with a warning. "
                "fail: the run reads the others, and ends with status 1.",
            ),
            th.Property(
                "expected_company",
                th.StringType(min_length=1),
                title="Expected company",
                description="Name of the company as the health check says it (the stream company shows it). With the "
                "credentials of another one nothing is read.",
                examples=["Fjordlys Regnskap AS"],
            ),
            documents_dir("the invoices' documents", ["output/documents", "s3://bucket/vicai"]),
            auto_concurrency("for line items and documents"),
            RATE_LIMIT,
            REQUEST_TIMEOUT,
            USER_AGENT,
        ).to_dict()
    )

    def discover_streams(self) -> list[Stream]:
        """Return all streams."""
        return [stream(self) for stream in streams.ALL]

    def before_sync(self) -> None:
        """Check that files can be stored, and that the state belongs to the company of the credentials."""
        super().before_sync()
        self._require_own_state()

    def check_access(self) -> str:
        """Check that the credentials are accepted, and those of the company that is expected; say whose they are."""
        self._require_own_state()
        own, version = text(self.company, "company"), text(self.company, "version")
        return f"the credentials are those of {own or 'a company without a name'}; Vic.ai {version or '(no version)'}"

    def after_sync(self) -> None:
        """Tell of the streams that the company has no right to.

        Raises:
            Stop: there are such streams, and `missing_rights` is `fail`.
        """
        lacking = [one.name for one in self.streams.values() if one.selected and getattr(one, "lacks_right", False)]
        if not lacking:
            return
        told = f"Rights are missing for {counted(len(lacking), 'stream')}: {', '.join(lacking)}"
        if self.config["missing_rights"] == "fail":
            raise Stop(f"{told}. Everything else was read. Deselect them, or ask Vic.ai for the rights.")
        self.logger.warning("%s. The run counts as done (missing_rights: warn).", told)

    def _require_own_state(self) -> None:
        """Stop before anything is read if the credentials or the state belong to another company.

        Meltano can mix up the states of two companies that run at once; one of them would then go on from the other's
        bookmarks, and never read what lies between.
        """
        own = text(self.company, "company")
        expected = (self.config.get("expected_company") or "").strip()
        if expected and not same_spelling(own or "", expected):
            said = f'are of "{own}"' if own else "are of a company that the health check does not name"
            raise Stop(
                f'The credentials {said}; expected_company is "{expected}". Nothing was read. Set the right '
                "credentials; if the company was merely renamed, change expected_company."
            )
        if not own:
            self.logger.warning("The health check does not name a company, so the state cannot be checked against it.")
            return
        bookmarks = self.state.setdefault("bookmarks", {})
        if bookmarks and "tenant" not in bookmarks.get("company", {}):
            self.logger.warning('The state does not say whose it is; from now on it is that of "%s".', own)
        kept = bookmarks.setdefault("company", {})
        require_company(
            own,
            [kept.setdefault("tenant", own)],
            what="The state",
            remedy=f"Nothing was read. {RIGHT_STATE}",
        )

    @functools.cached_property
    def company(self) -> Record:
        """The company that the credentials belong to."""
        return self.client.company()

    @functools.cached_property
    def client(self) -> VicaiClient:
        """The one client that all streams share."""
        return client(self.config, timeout=self.timeout, user_agent=self.user_agent)
