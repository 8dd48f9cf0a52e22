"""The least code that reads the queue: requests and a JSON library, one document a line to standard output.

No retries, no bookmark, no schema, no selection: what a connector adds to this is its price.

    python -m benchmarks.bare_loop json|msgspec CONFIG
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
    """Read the exported queue to its end by following `next`."""
    session = requests.Session()
    session.headers["x-api-key"] = config["api_key"]
    query: dict[str, str] = {}
    while True:
        response = session.get(f"{config['api_url']}/pub/exported", params=query, timeout=60)
        response.raise_for_status()
        answer = parse(response.content)
        for document in answer["documents"]:
            sys.stdout.buffer.write(write(document) + b"\n")
        if "next" not in answer:
            return
        query = {"from": answer["next"]}


def main(library: str, config_file: str) -> None:
    """Read with `json` as people use it (floats), or with `msgspec` keeping every digit."""
    config = json.loads(Path(config_file).read_text(encoding="utf-8"))
    if library == "json":
        read(config, json.loads, lambda document: json.dumps(document).encode())
    else:
        exact = msgspec.json.Decoder(float_hook=Decimal)
        read(config, exact.decode, msgspec.json.Encoder(decimal_format="number").encode)


if __name__ == "__main__":
    main(*sys.argv[1:])
