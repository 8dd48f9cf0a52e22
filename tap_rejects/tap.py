"""Settings and stream of `tap-rejects`."""

from __future__ import annotations

from singer_sdk import Stream
from singer_sdk import typing as th

from ap_connectors.singer.tap import ExactTap
from tap_rejects import source
from tap_rejects.streams import SyncErrors


class TapRejects(ExactTap):
    """What was refused of ivesk's documents, in words for the accountant: rejects become ivesk's sync errors."""

    name = "tap-rejects"

    config_jsonschema = th.PropertiesList(
        th.Property(
            "path",
            th.StringType(min_length=1),
            default=source.DEFAULT,
            title="Reject files",
            description="Reject files of target-vicai and mapper-ivesk-vicai: a file, a folder (its rejects-*.jsonl) "
            "or a glob.",
            examples=["output/rejects-*.jsonl", "output"],
        ),
        th.Property(
            "company_code",
            th.StringType(min_length=1),
            title="Company",
            description="Registration code of the company that the documents belong to, where a reject does not name "
            "it. Without it: the party of the document that the accountant works for.",
            examples=["302320404"],
        ),
        th.Property(
            "language",
            th.StringType(allowed_values=["lt", "en"]),
            default="lt",
            title="Language",
            description="Language of the messages: lt or en.",
        ),
    ).to_dict()

    def discover_streams(self) -> list[Stream]:
        """Return the one stream."""
        return [SyncErrors(self)]
