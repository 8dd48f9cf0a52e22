"""The least code that reads the invoices: requests and a JSON library, one invoice a line to standard output.

No retries, no bookmark, no schema, no selection: what a connector adds to this is its price.

    python -m benchmarks.vicai.bare_loop json|msgspec CONFIG
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import requests


def read(config: dict[str, str], parse: Callable[[bytes], Any], write: Callable[[Any], bytes]) -> None:
    """Read the invoices of all states to the end by following `x-next`."""
    session = requests.Session()
    account = {name: config[name] for name in ("client_id", "client_secret")}
    granted = session.post(f"{config['api_url']}/token", json=account, timeout=60)
    granted.raise_for_status()
    session.headers["Authorization"] = f"Bearer {granted.json()['access_token']}"
    query = {"state": "ALL", "useSystem": "INTERNAL", "limit": "100"}
    while True:
        response = session.get(f"{config['api_url']}/invoices", params=query, timeout=60)
        response.raise_for_status()
        for invoice in parse(response.content):
            sys.stdout.buffer.write(write(invoice) + b"\n")
        if not response.headers.get("x-next"):
            return
        query["cursor"] = response.headers["x-next"]


def main(library: str, config_file: str) -> None:
    """Read with `json` as people use it (floats), or with `msgspec` keeping every digit."""
    config = json.loads(Path(config_file).read_text(encoding="utf-8"))
    if library == "json":
        read(config, json.loads, lambda invoice: json.dumps(invoice).encode())
    else:
        exact = msgspec.json.Decoder(float_hook=Decimal)
        read(config, exact.decode, msgspec.json.Encoder(decimal_format="number").encode)


if __name__ == "__main__":
    main(*sys.argv[1:])
