"""A plain singer-sdk tap for the exported queue, as one writes it from the service's page in an hour.

Nothing of the SDK is turned off and nothing is made slow: default writer, default type conformance, the same schema
as `tap-ivesk`. Following `next` as it is described is complete here because the sandbox's defaults are the kind ones
(`from` exclusive, no page border inside an instant).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import APIKeyAuthenticator

from ap_connectors.ivesk import contract

if TYPE_CHECKING:
    from collections.abc import Mapping


class ExportedDocuments(RESTStream[str]):
    """Documents that an accountant has exported (Įvesk REST API, Synchronize results)."""

    name = "exported_documents"
    path = "/pub/exported"
    primary_keys = ("id",)
    replication_key = "exportedat"
    is_sorted = True
    records_jsonpath = "$.documents[*]"
    next_page_token_jsonpath = "$.next"
    schema: ClassVar[dict[str, Any]] = contract.schema()

    @property
    def url_base(self) -> str:
        """Address of the API."""
        return str(self.config["api_url"])

    @property
    def authenticator(self) -> APIKeyAuthenticator:
        """The API key, as a header."""
        return APIKeyAuthenticator(key="x-api-key", value=self.config["api_key"], location="header")

    def get_url_params(self, context: Mapping[str, Any] | None, next_page_token: str | None) -> dict[str, Any]:
        """Ask from where the last page ended, or from the bookmark."""
        since = next_page_token or self.get_starting_replication_key_value(context)
        return {"from": since} if since else {}


class PlainTap(Tap):
    """Exported documents of Įvesk, the plain way."""

    name = "plain-tap"
    config_jsonschema = th.PropertiesList(
        th.Property("api_key", th.StringType(), required=True, secret=True),
        th.Property("api_url", th.StringType(), required=True),
    ).to_dict()

    def discover_streams(self) -> list[ExportedDocuments]:
        """Return the one stream."""
        return [ExportedDocuments(self)]


if __name__ == "__main__":
    PlainTap.cli()
