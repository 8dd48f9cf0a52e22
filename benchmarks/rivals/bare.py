"""The least code that reads documents or invoices, or loads vendors: requests, a JSON library, a thread pool.

It has no retries, no limit, no bookmark, no schema, no order and no state: what a connector adds to this is its price.

    python -m benchmarks.rivals.bare ivesk|vicai json|msgspec CONFIG
    python -m benchmarks.rivals.bare vendors WORKERS CONFIG < MESSAGES
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import requests
from requests.adapters import HTTPAdapter

Config = Mapping[str, str]
Parse = Callable[[bytes], Any]


def ivesk(config: Config, parse: Parse) -> Iterator[Any]:
    """Read the exported queue to its end by following `next`."""
    session = requests.Session()
    session.headers["x-api-key"] = config["api_key"]
    query: dict[str, str] = {}
    while True:
        response = session.get(f"{config['api_url']}/pub/exported", params=query, timeout=60)
        response.raise_for_status()
        answer = parse(response.content)
        yield from answer["documents"]
        if "next" not in answer:
            return
        query = {"from": answer["next"]}


def vicai(config: Config, parse: Parse) -> Iterator[Any]:
    """Read the invoices of all states to the end by following `x-next`."""
    session = open_session(config)
    query = {"state": "ALL", "useSystem": "INTERNAL", "limit": "100"}
    while True:
        response = session.get(f"{config['api_url']}/invoices", params=query, timeout=60)
        response.raise_for_status()
        yield from parse(response.content)
        if not response.headers.get("x-next"):
            return
        query["cursor"] = response.headers["x-next"]


def open_session(config: Config) -> requests.Session:
    """Return a session with a token."""
    session = requests.Session()
    account = {name: config[name] for name in ("client_id", "client_secret")}
    granted = session.post(f"{config['api_url']}/token", json=account, timeout=60)
    granted.raise_for_status()
    session.headers["Authorization"] = f"Bearer {granted.json()['access_token']}"
    return session


def load(config: Config, workers: int) -> None:
    """Send every vendor that comes in."""
    session = open_session(config)
    session.mount("http://", HTTPAdapter(pool_maxsize=workers))

    def send(record: dict[str, Any]) -> None:
        address = f"{config['api_url']}/vendors/{quote(record['externalId'], safe='')}"
        session.put(address, json=record, timeout=60).raise_for_status()

    messages = map(json.loads, sys.stdin)
    records = [message["record"] for message in messages if message["type"] == "RECORD"]
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(send, records):
            pass


def main(what: str, how: str, config_file: str) -> None:
    """Read with `json` as people use it (floats), or with `msgspec` keeping every digit; or load."""
    config = json.loads(Path(config_file).read_text(encoding="utf-8"))
    if what == "vendors":
        load(config, int(how))
        return
    read = {"ivesk": ivesk, "vicai": vicai}[what]
    if how == "json":
        for record in read(config, json.loads):
            sys.stdout.buffer.write(json.dumps(record).encode() + b"\n")
    else:
        encode = msgspec.json.Encoder(decimal_format="number").encode
        for record in read(config, msgspec.json.Decoder(float_hook=Decimal).decode):
            sys.stdout.buffer.write(encode(record) + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
