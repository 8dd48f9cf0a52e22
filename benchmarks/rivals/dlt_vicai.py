"""dlt as one installs it: Vic.ai's invoices or lines by its `rest_api` source, or vendors by a custom destination.

    python -m benchmarks.rivals.dlt_vicai read CONFIG FOLDER
    python -m benchmarks.rivals.dlt_vicai load CONFIG FOLDER < MESSAGES

Reading writes JSON lines to the folder. Loading is dlt's way of reverse ETL, with its own `requests` that repeats what
fails for a while; where `rejects_path` is set, the author has thought of rows that the service refuses. `dlt` in the
config says more: arguments of the `source`, and settings by the names of the `environment`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

INVOICES: dict[str, Any] = {
    "name": "invoices",
    "primary_key": "internalId",
    "write_disposition": "append",
    "endpoint": {
        "path": "invoices",
        "params": {"state": "ALL", "useSystem": "INTERNAL", "limit": 100},
        "incremental": {
            "cursor_path": "internalUpdatedAt",
            "start_param": "since",
            "initial_value": "2000-01-01T00:00:00Z",
        },
    },
}
LINES: dict[str, Any] = {
    "name": "invoice_line_items",
    "include_from_parent": ["internalId"],
    "write_disposition": "append",
    "endpoint": {
        "path": "invoices/{resources.invoices.internalId}/lineItems",
        "params": {"useSystem": "INTERNAL"},
        "paginator": "single_page",
    },
}


def main(what: str, config_file: str, folder: str) -> None:
    """Extract, normalise and load."""
    config = json.loads(Path(config_file).read_text(encoding="utf-8"))
    chosen = {"source": {}, "environment": {}} | config.get("dlt", {})
    os.environ |= {
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "DESTINATION__FILESYSTEM__BUCKET_URL": Path(folder).as_uri(),
        **chosen["environment"],
    }
    # Only now: what dlt reads from the environment, it reads early.
    import dlt  # noqa: PLC0415
    from dlt.sources.helpers import requests  # noqa: PLC0415

    # dlt's own OAuth sends a form; this service wants JSON.
    account = {name: config[name] for name in ("client_id", "client_secret")}
    token = requests.post(f"{config['api_url']}/token", json=account).json()["access_token"]
    if what == "read":
        source, destination = _invoices(config, token, chosen["source"]), "filesystem"
    else:
        # Else dlt makes an instant of it, in UTC, which it is not.
        columns = {"externalUpdatedAt": {"data_type": "text"}}
        source = dlt.resource(_vendors, primary_key="externalId", columns=columns)
        destination = dlt.destination(_sender(config, token))
    pipeline = dlt.pipeline(
        "benchmark", pipelines_dir=f"{folder}/pipelines", destination=destination, dataset_name="out"
    )
    # What has failed for good is raised.
    pipeline.run(source).raise_on_failed_jobs()


def _invoices(config: dict[str, Any], token: str, arguments: dict[str, Any]) -> Any:
    from dlt.sources.rest_api import rest_api_source  # noqa: PLC0415

    resources = [INVOICES, LINES] if config.get("lines") else [INVOICES]
    parallel = {"parallelized": arguments.get("parallelized", False)}
    client = {
        "base_url": config["api_url"],
        "auth": {"type": "bearer", "token": token},
        "paginator": {"type": "header_cursor", "cursor_key": "x-next", "cursor_param": "cursor"},
    }
    return rest_api_source({"client": client, "resources": [one | parallel for one in resources]}, **arguments)


def _vendors() -> Iterator[Any]:
    for message in map(json.loads, sys.stdin):
        if message["type"] == "RECORD":
            yield message["record"]


def _sender(config: dict[str, Any], token: str) -> Any:
    from dlt.sources.helpers import requests  # noqa: PLC0415

    rejects, lock = config.get("rejects_path"), threading.Lock()

    def vicai(items: Any, table: Any) -> None:  # noqa: ARG001
        for vendor in items:
            address = f"{config['api_url']}/vendors/{quote(vendor['externalId'], safe='')}"
            try:
                requests.put(address, json=vendor, headers={"Authorization": f"Bearer {token}"})
            except requests.HTTPError as error:
                if not rejects or error.response.status_code not in {400, 422}:
                    raise
                with lock, Path(rejects).open("a", encoding="utf-8") as out:
                    out.write(json.dumps({**vendor, "error": error.response.text}) + "\n")

    return vicai


if __name__ == "__main__":
    main(*sys.argv[1:])
