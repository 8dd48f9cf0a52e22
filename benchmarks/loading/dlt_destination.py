"""Vendors loaded by dlt through a custom destination, its way of reverse ETL.

    python -m benchmarks.loading.dlt_destination CONFIG FOLDER < MESSAGES

dlt as one installs it, with its own `requests` that repeats what fails for a while. `dlt` in the config has settings by
the names of the environment. Where `rejects_path` is set, the author has thought of rows that the service refuses.
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


def main(config_file: str, folder: str) -> None:
    """Extract from the messages, normalise and load."""
    config = json.loads(Path(config_file).read_text(encoding="utf-8"))
    os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", **config.get("dlt", {})}
    # Only now: what dlt reads from the environment, it reads early.
    import dlt  # noqa: PLC0415
    from dlt.sources.helpers import requests  # noqa: PLC0415

    account = {name: config[name] for name in ("client_id", "client_secret")}
    token = requests.post(f"{config['api_url']}/token", json=account).json()["access_token"]
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

    def vendors() -> Iterator[Any]:
        for message in map(json.loads, sys.stdin):
            if message["type"] == "RECORD":
                yield message["record"]

    pipeline = dlt.pipeline(
        "benchmark", pipelines_dir=f"{folder}/pipelines", destination=dlt.destination(vicai), dataset_name="out"
    )
    # Else dlt makes an instant of it, in UTC, which it is not.
    columns = {"externalUpdatedAt": {"data_type": "text"}}
    # What has failed for good is raised.
    pipeline.run(dlt.resource(vendors, primary_key="externalId", columns=columns)).raise_on_failed_jobs()


if __name__ == "__main__":
    main(*sys.argv[1:])
