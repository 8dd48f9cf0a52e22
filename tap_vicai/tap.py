"""Settings and streams of `tap-vicai`, and the guard against another company's state."""

from __future__ import annotations

import functools

from singer_sdk import Stream
from singer_sdk import typing as th

from ap_http.errors import Stop
from ap_http.limits import RateLimit
from ap_http.payload import Record, text
from ap_singer.settings import REQUEST_TIMEOUT, USER_AGENT, documents_dir
from ap_singer.tap import ExactTap
from tap_vicai import streams
from vicai import contract
from vicai.client import REGIONS, VicaiClient

_STATES = contract.component("InvoiceState")["enum"]


class TapVicai(ExactTap):
    """Invoices, payments and master data of Vic.ai, exact to the last digit."""

    name = "tap-vicai"

    config_jsonschema = th.PropertiesList(
        th.Property(
            "client_id",
            th.StringType,
            required=True,
            title="Client id",
            description="Client id of the company's integration; Vic.ai gives it out on request.",
        ),
        th.Property(
            "client_secret",
            th.StringType,
            required=True,
            secret=True,
            title="Client secret",
            description="The secret that belongs to client_id.",
        ),
        th.Property(
            "region",
            th.StringType,
            allowed_values=list(REGIONS),
            title="Region",
            description="Where the company is: us or no. Needed unless api_url is set.",
        ),
        th.Property(
            "api_url",
            th.StringType,
            title="API address",
            description="Address of the API, for staging or the sandbox; wins over region. Ends in /v0.",
            examples=["https://api.us.stage.vic.ai/v0", "http://127.0.0.1:8722/vicai/v0"],
        ),
        th.Property(
            "start_date",
            th.DateTimeType,
            title="Start date",
            description="Where the first run begins: what has not changed since is left out. "
            "Without it: from the very first.",
            examples=["2026-01-01", "2026-01-01T00:00:00Z"],
        ),
        th.Property(
            "invoice_states",
            th.ArrayType(th.StringType(allowed_values=[*_STATES, "ALL"])),
            default=["POSTED"],
            title="Invoice states",
            description='States of the invoices to read; ["ALL"] for every state.',
            examples=[["ALL"], ["POSTED", "TRANSFERRED"]],
        ),
        documents_dir("the invoices' documents", ["output/documents", "s3://bucket/vicai"]),
        th.Property(
            "max_concurrency",
            th.IntegerType(minimum=1, maximum=100),
            default=8,
            title="Requests at once",
            description="Requests under way at once, for line items and documents.",
        ),
        th.Property(
            "rate_limit",
            th.ObjectType(
                th.Property("requests", th.IntegerType(minimum=1), default=500),
                th.Property("seconds", th.NumberType(minimum=1), default=10),
            ),
            default={"requests": 500, "seconds": 10},
            title="Rate limit",
            description="Requests that may be sent in a time; the default is what the service allows a client id.",
            examples=[{"requests": 250, "seconds": 10}],
        ),
        REQUEST_TIMEOUT,
        USER_AGENT,
    ).to_dict()

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
        region = self.config.get("region")
        api_url = self.config.get("api_url") or REGIONS.get(region or "")
        if not api_url:
            raise Stop("region is missing: set it to us or no, where the company is, or set api_url.")
        rate = {"requests": 500, "seconds": 10} | (self.config.get("rate_limit") or {})
        workers = self.config.get("max_concurrency") or 8
        return VicaiClient(
            self.config["client_id"],
            self.config["client_secret"],
            api_url,
            timeout=self.timeout,
            user_agent=self.user_agent,
            connections=workers,
            limit=RateLimit(rate["requests"], rate["seconds"]),
        )
