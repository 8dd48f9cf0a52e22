"""A plain singer-sdk target for vendors, as one writes it from the service's page in an hour: a `RecordSink`.

Nothing of the SDK is turned off. Where `rejects_path` is set, its author has thought of rows that the service refuses.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
from singer_sdk import RecordSink, Target
from singer_sdk import typing as th

from benchmarks.rivals.bare import open_session


class VendorSink(RecordSink):
    """Sends one vendor after another."""

    @functools.cached_property
    def _session(self) -> requests.Session:
        return open_session(self.config)

    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:  # noqa: ARG002
        """Send a vendor; set it aside if the service refuses it and `rejects_path` is set."""
        address = f"{self.config['api_url']}/vendors/{quote(record['externalId'], safe='')}"
        answer = self._session.put(address, json=record, timeout=60)
        rejects = self.config.get("rejects_path")
        if rejects and answer.status_code in {400, 422}:
            with Path(rejects).open("a", encoding="utf-8") as out:
                out.write(json.dumps({**record, "error": answer.text}) + "\n")
            return
        answer.raise_for_status()


class PlainTarget(Target):
    """Vendors into Vic.ai, the plain way."""

    name = "plain-target"
    default_sink_class = VendorSink
    config_jsonschema = th.PropertiesList(
        th.Property("client_id", th.StringType(), required=True),
        th.Property("client_secret", th.StringType(), required=True, secret=True),
        th.Property("api_url", th.StringType(), required=True),
        th.Property("rejects_path", th.StringType()),
    ).to_dict()


if __name__ == "__main__":
    PlainTarget.cli()
