"""A plain singer-sdk tap for invoices and their lines, as one writes it from the service's page in an hour.

Nothing of the SDK is turned off and nothing is made slow: default writer, default type conformance, the same schemas
as `tap-vicai`, made once. Following `x-next` is complete here because nothing changes while it is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import OAuthAuthenticator, SingletonMeta
from singer_sdk.helpers._util import utc_now
from singer_sdk.pagination import SimpleHeaderPaginator

from ap_connectors.vicai import contract

if TYPE_CHECKING:
    from collections.abc import Mapping


class Token(OAuthAuthenticator, metaclass=SingletonMeta):
    """The SDK's OAuth, but asked for in JSON as this service wants it."""

    def update_access_token(self) -> None:
        """Obtain a token."""
        account = {"client_id": self.client_id, "client_secret": self.client_secret}
        answer = self._session.post(self.auth_endpoint, json=account, timeout=60)
        answer.raise_for_status()
        granted = answer.json()
        self.access_token, self.expires_in = granted["access_token"], granted["expires_in"]
        self.last_refreshed = utc_now()


class VicaiStream(RESTStream[str]):
    """What both streams share."""

    records_jsonpath = "$[*]"

    @property
    def url_base(self) -> str:
        """Address of the API."""
        return str(self.config["api_url"])

    @property
    def authenticator(self) -> Token:
        """One token for all."""
        return Token(
            auth_endpoint=f"{self.url_base}/token",
            client_id=self.config["client_id"],
            client_secret=self.config["client_secret"],
        )


class Invoices(VicaiStream):
    """Invoices of all states (Invoices)."""

    name = "invoices"
    path = "/invoices"
    primary_keys = ("internalId",)
    replication_key = "internalUpdatedAt"
    is_sorted = True
    schema: ClassVar[dict[str, Any]] = contract.singer_schema("Invoice")

    def get_new_paginator(self) -> SimpleHeaderPaginator:
        """The next cursor is a header."""
        return SimpleHeaderPaginator("x-next")

    def get_url_params(self, context: Mapping[str, Any] | None, next_page_token: str | None) -> dict[str, Any]:
        """Ask from the bookmark on, or where the last page ended."""
        query = {"state": "ALL", "useSystem": "INTERNAL", "limit": 100}
        if since := self.get_starting_replication_key_value(context):
            query["since"] = since
        if next_page_token:
            query["cursor"] = next_page_token
        return query

    def get_child_context(self, record: Mapping[str, Any], context: Mapping[str, Any] | None) -> dict[str, Any]:  # noqa: ARG002
        """Say whose lines are asked for."""
        return {"internalId": record["internalId"]}


class InvoiceLineItems(VicaiStream):
    """Lines of each invoice, one request each (Invoices)."""

    name = "invoice_line_items"
    path = "/invoices/{internalId}/lineItems"
    primary_keys = ("internalId", "index")
    parent_stream_type = Invoices
    state_partitioning_keys = ()
    _line = contract.singer_schema("InvoiceLineItem")
    schema: ClassVar[dict[str, Any]] = _line | {
        "properties": {"internalId": {"type": ["string", "null"]}} | _line["properties"]
    }

    def get_url_params(self, context: Mapping[str, Any] | None, next_page_token: str | None) -> dict[str, Any]:  # noqa: ARG002
        """Ids are Vic's own."""
        return {"useSystem": "INTERNAL"}


class PlainTap(Tap):
    """Invoices of Vic.ai, the plain way."""

    name = "plain-tap"
    config_jsonschema = th.PropertiesList(
        th.Property("client_id", th.StringType(), required=True),
        th.Property("client_secret", th.StringType(), required=True, secret=True),
        th.Property("api_url", th.StringType(), required=True),
        th.Property("lines", th.BooleanType(), default=False),
    ).to_dict()

    def discover_streams(self) -> list[VicaiStream]:
        """Return the invoices, and their lines where these are wanted."""
        return [Invoices(self), InvoiceLineItems(self)] if self.config["lines"] else [Invoices(self)]


if __name__ == "__main__":
    PlainTap.cli()
