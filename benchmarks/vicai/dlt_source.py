"""Vic.ai's invoices, or their lines, read by dlt's `rest_api` source to JSON lines in a folder.

    python -m benchmarks.vicai.dlt_source CONFIG FOLDER

dlt as one installs it: nothing is set but the folder, and what `dlt` in the config says: arguments of the `source`, and
settings by the names of the `environment`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

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


def main(config_file: str, folder: str) -> None:
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
    import requests  # noqa: PLC0415
    from dlt.sources.rest_api import rest_api_source  # noqa: PLC0415

    # dlt's own OAuth sends a form; this service wants JSON.
    account = {name: config[name] for name in ("client_id", "client_secret")}
    granted = requests.post(f"{config['api_url']}/token", json=account, timeout=60)
    granted.raise_for_status()
    resources = [INVOICES, LINES] if config.get("lines") else [INVOICES]
    parallel = {"parallelized": chosen["source"].get("parallelized", False)}
    source = rest_api_source(
        {
            "client": {
                "base_url": config["api_url"],
                "auth": {"type": "bearer", "token": granted.json()["access_token"]},
                "paginator": {"type": "header_cursor", "cursor_key": "x-next", "cursor_param": "cursor"},
            },
            "resources": [resource | parallel for resource in resources],
        },
        **chosen["source"],
    )
    pipeline = dlt.pipeline(
        "benchmark", pipelines_dir=f"{folder}/pipelines", destination="filesystem", dataset_name="out"
    )
    pipeline.run(source)


if __name__ == "__main__":
    main(*sys.argv[1:])
