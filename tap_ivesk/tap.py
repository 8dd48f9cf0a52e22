"""Settings and streams of `tap-ivesk`."""

from __future__ import annotations

import functools

from singer_sdk import Stream
from singer_sdk import typing as th

from ap_connectors.ivesk import doctypes
from ap_connectors.ivesk.client import IveskClient
from ap_connectors.ivesk.settings import client, connected, fingerprint
from ap_connectors.singer import decimals
from ap_connectors.singer.settings import REQUEST_TIMEOUT, USER_AGENT, documents_dir, start_date
from ap_connectors.singer.tap import ExactTap
from tap_ivesk import streams


class TapIvesk(ExactTap):
    """Digitised and exported documents of Įvesk (Virtualus Apskaitininkas), exact to the last digit."""

    name = "tap-ivesk"

    config_jsonschema = connected(
        th.PropertiesList(
            start_date(
                "documents exported (or digitised) before are left out", ["2026-01-01", "2026-01-01T00:00:00.000Z"]
            ),
            th.Property(
                "doctype",
                th.CustomType(doctypes.SCHEMA),
                title="Kinds of documents",
                description="Read only documents of this kind, or of these kinds: one or a list. With invoice alone no "
                "credit notes come.",
                examples=[["invoice", "debitnote", "creditnote"], "creditnote"],
            ),
            th.Property(
                "company_codes",
                th.ArrayType(th.StringType),
                default=[],
                title="Companies",
                description="Registration codes of the companies whose documents are wanted; empty means all.",
                examples=[["302320404"]],
            ),
            decimals.setting("number"),
            documents_dir("the documents' files", ["output/documents", "s3://bucket/ivesk"]),
            th.Property(
                "columns",
                th.ArrayType(
                    th.ObjectType(
                        th.Property("company_code", th.StringType, required=True),
                        th.Property("column", th.StringType, required=True),
                    )
                ),
                default=[],
                title="Master-data columns",
                description="Master-data columns to read, each by company and name.",
                examples=[[{"company_code": "302320404", "column": "department"}]],
            ),
            REQUEST_TIMEOUT,
            USER_AGENT,
        ).to_dict()
    )

    def discover_streams(self) -> list[Stream]:
        """Return the six streams."""
        return [stream(self) for stream in streams.ALL]

    @property
    def streams(self) -> dict[str, Stream]:
        """The streams by name; the files hang on the queues that are read anyway, and on the advised one otherwise."""
        known = self._streams is not None
        found = super().streams
        if not known:
            streams.attach_files(found)
        return found

    @functools.cached_property
    def account(self) -> str:
        """The fingerprint of the key."""
        return fingerprint(self.config)

    @functools.cached_property
    def client(self) -> IveskClient:
        """The one client that all streams share."""
        return client(self.config, timeout=self.timeout, user_agent=self.user_agent)
