"""Settings and streams of `tap-saft`."""

from __future__ import annotations

from singer_sdk import Stream
from singer_sdk import typing as th

from ap_connectors.singer import decimals
from ap_connectors.singer.tap import ExactTap
from tap_saft import streams


class TapSaft(ExactTap):
    """SAF-T Financial files (XML), exact to the last digit; master data also in the names that target-vicai takes."""

    name = "tap-saft"

    config_jsonschema = th.PropertiesList(
        th.Property(
            "path",
            th.StringType(min_length=1),
            required=True,
            title="Files",
            description="SAF-T file, folder or pattern, also as an fsspec URL; .xml, or .zip with .xml in it.",
            examples=["exports/saft.xml", "exports", "exports/*_912345678_*.zip", "s3://bucket/saft/*.xml"],
        ),
        th.Property(
            "company_id",
            th.StringType,
            title="Company",
            description="Registration number of the company whose files are wanted, with or without blanks, country "
            "and MVA; without it all.",
            examples=["912345678"],
        ),
        th.Property(
            "control_totals",
            th.StringType(allowed_values=["refuse", "warn"]),
            default="refuse",
            title="Control totals",
            description="What to do with a file whose NumberOfEntries, TotalDebit or TotalCredit is not what it, or "
            "the export that it is a part of, holds.",
        ),
        decimals.setting("number"),
    ).to_dict()

    def discover_streams(self) -> list[Stream]:
        """Return the streams."""
        return [stream(self) for stream in streams.ALL]
