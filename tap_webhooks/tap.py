"""Settings and stream of `tap-webhooks`."""

from __future__ import annotations

from functools import cached_property

from singer_sdk import Stream
from singer_sdk import typing as th

from ap_connectors.core.errors import Stop
from ap_connectors.singer.settings import documents_dir
from ap_connectors.singer.tap import ExactTap
from ap_connectors.vicai.client import VicaiClient
from ap_connectors.vicai.settings import CONNECTION, REQUIRED, client
from ap_connectors.webhooks.inbox import Inbox
from ap_connectors.webhooks.inbox_url import address, file_of
from tap_webhooks.streams import WebhookEvents


class TapWebhooks(ExactTap):
    """The inbox of `ap-webhooks`: every event that a service sent, in the order of arrival."""

    name = "tap-webhooks"

    config_jsonschema = th.PropertiesList(
        th.Property(
            "inbox",
            th.StringType(min_length=1),
            required=True,
            title="Inbox",
            description="File or URL of the inbox, as in the settings of ap-webhooks. A password belongs into "
            "PGPASSWORD or ~/.pgpass.",
            examples=["webhooks.db", "postgresql://ap@db.example.com/ap"],
            secret=True,
        ),
        th.Property(
            "services",
            th.ArrayType(th.StringType(allowed_values=["vicai", "ivesk"])),
            title="Services",
            description="Only events of these: vicai, ivesk; empty = all.",
        ),
        th.Property(
            "kinds",
            th.ArrayType(th.StringType),
            title="Kinds",
            description="Only events of these kinds, such as invoice_post; empty = all. invoicePost, invoiceTransfer "
            "mean the events that have taken their place, too.",
            examples=[["invoice_post", "invoice_transfer"]],
        ),
        documents_dir("the documents of invoices", ["invoices", "s3://bucket/invoices"]),
        *(
            th.Property(
                f"vicai_{name}" if name != "allow_http" else name,
                th.CustomType({"type": schema["type"]}),
                title=schema["title"] if name == "allow_http" else f"Vic.ai: {schema['title']}",
                description=f"{schema['description']} Needed for documents that events only link to."
                if name in REQUIRED
                else schema["description"],
                secret=schema.get("secret", False),
            )
            for name, schema in CONNECTION.items()
        ),
    ).to_dict()

    @cached_property
    def vicai(self) -> VicaiClient | None:
        """The client for documents that events only link to; None without credentials.

        Raises:
            Stop: the credentials cannot be right.
        """
        given = {name.removeprefix("vicai_"): value for name, value in self.config.items()}
        if not all(given.get(name) for name in REQUIRED):
            return None
        return client(given, timeout=60, user_agent=self.user_agent)

    @cached_property
    def inbox(self) -> Inbox:
        """The opened inbox.

        Raises:
            Stop: it does not exist, or cannot be opened.
        """
        url = self.config["inbox"]
        file = file_of(address(url))
        # Opening it would create an empty one.
        if file is not None and not file.is_file():
            raise Stop(f"inbox: there is no file {file}. Set it to the inbox of ap-webhooks (its setting inbox).")
        return Inbox(url)

    def before_sync(self) -> None:
        """Check that inbox and folder exist before anything is read."""
        super().before_sync()
        _ = self.inbox
        if self.config.get("documents_dir"):
            _ = self.files

    def discover_streams(self) -> list[Stream]:
        """Return the one stream."""
        return [WebhookEvents(self)]
