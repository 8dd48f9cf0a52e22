"""The least code that loads vendors at once: requests and a thread pool.

No retries, no limit, no checks, no order, no state: what a target adds to this is its price.

    python -m benchmarks.loading.bare_loop WORKERS CONFIG < MESSAGES
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter


def main(workers: str, config_file: str) -> None:
    """Send every record that comes in."""
    config = json.loads(Path(config_file).read_text(encoding="utf-8"))
    session = requests.Session()
    session.mount("http://", HTTPAdapter(pool_maxsize=int(workers)))
    account = {name: config[name] for name in ("client_id", "client_secret")}
    granted = session.post(f"{config['api_url']}/token", json=account, timeout=60)
    granted.raise_for_status()
    session.headers["Authorization"] = f"Bearer {granted.json()['access_token']}"

    def send(record: dict[str, Any]) -> None:
        address = f"{config['api_url']}/vendors/{quote(record['externalId'], safe='')}"
        session.put(address, json=record, timeout=60).raise_for_status()

    messages = map(json.loads, sys.stdin)
    records = [message["record"] for message in messages if message["type"] == "RECORD"]
    with ThreadPoolExecutor(int(workers)) as pool:
        for _ in pool.map(send, records):
            pass


if __name__ == "__main__":
    main(*sys.argv[1:])
