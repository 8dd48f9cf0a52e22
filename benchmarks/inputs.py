"""What is loaded: files of Singer messages, and what has to become of their records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ap_connectors.sandbox.control_client import VicaiControl
from ap_connectors.vicai import contract

COMPONENTS = {"vendors": "VendorUpsert", "accounts": "AccountUpsert"}
"""What the contract calls a record of a stream."""
TOO_LONG = 300
"""Characters in a name where the contract allows 255."""
NO_TERM = "0d3adbee-0000-4000-8000-{:012}"
"""Ids in form, of payment terms that the service never gave."""
_BY_VIC = {"confirmedAt", "errors"}
"""What an ERP does not say of a new vendor. (The SDK makes datetimes of the one, which plain sinks cannot send.)"""
_STATE_EVERY = 100

Record = dict[str, Any]
_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True)
class Given:
    """A file of Singer messages of one stream.

    Args:
        file: The messages.
        stream: Its name.
        records: How many records are in it.
        write: What is to be written, by externalId; nothing else may change.
        by_contract: ExternalIds of records that break the contract: one need not ask to know.
        by_service: Those that only the service can know to be bad.
    """

    file: Path
    stream: str
    records: int
    write: Mapping[str, Record] = field(default_factory=dict)
    by_contract: frozenset[str] = frozenset()
    by_service: frozenset[str] = frozenset()

    @property
    def bad(self) -> frozenset[str]:
        """All that cannot be loaded."""
        return self.by_contract | self.by_service

    @property
    def state(self) -> Any:
        """The value of its last STATE message."""
        return _loaded(self.records)


def new(file: Path, vic: VicaiControl, count: int, *, bad: bool) -> Given:
    """Write vendors that Vic does not have; with `bad` the 50th of each hundred is, for the one or the other reason."""
    before = {vendor["internalId"] for vendor in vic.records("vendors")}
    vic.add("vendors", count)
    made = [vendor for vendor in vic.records("vendors") if vendor["internalId"] not in before]
    vic.delete("vendors", [vendor["internalId"] for vendor in made])
    # Some of them the ERP does not know yet.
    own = ({"externalId": f"V{number:06}", "externalUpdatedAt": "2026-01-05T10:00:00"} for number in range(count))
    records = [_writable("vendors", vendor) | ids for vendor, ids in zip(made, own, strict=True)]
    for record in records:
        for name in _BY_VIC & record.keys():
            del record[name]
    reasons: tuple[set[str], set[str]] = (set(), set())
    for number in range(50, count + 1, 100) if bad else ():
        which, record = number // 100 % 2, records[number - 1]
        record |= {"paymentTermId": NO_TERM.format(number)} if which else {"name": "N" * TOO_LONG}
        reasons[which].add(record["externalId"])
    write = {record["externalId"]: record for record in records if record["externalId"] not in set().union(*reasons)}
    return _file(file, "vendors", records, write, *map(frozenset, reasons))


def known(file: Path, vic: VicaiControl, stream: str, count: int, changes: int) -> Given:
    """Write records as Vic has them, but for some names; those hold little else, and nothing else may change.

    Vic then has as many as asked for that the ERP knows, and no others.
    """
    while True:
        held = vic.records(stream)
        unknown = [record["internalId"] for record in held if not record.get("externalId")]
        vic.delete(stream, unknown)
        if (more := count - len(held) + len(unknown)) <= 0:
            break
        vic.add(stream, more)
    records = [_writable(stream, record) for record in held if record.get("externalId")]
    write: dict[str, Record] = {}
    step = max(1, len(records) // max(1, changes))
    for place in range(0, len(records), step)[:changes]:
        key, name = records[place]["externalId"], f"{records[place]['name']} {place}"
        records[place] = write[key] = {"externalId": key, "externalUpdatedAt": "2099-01-05T10:00:00", "name": name}
    return _file(file, stream, records, write)


def nothing(file: Path) -> Given:
    """Write a file with nothing to load: what is left is the start of the process."""
    return _file(file, "vendors", [])


def _writable(stream: str, record: Record) -> Record:
    names = contract.component(COMPONENTS[stream])["properties"].keys() | {"externalId"}
    return {name: value for name, value in record.items() if name in names and value is not None}


def _file(file: Path, stream: str, records: Sequence[Record], *what: Any) -> Given:
    # As a tap shows it: types, and none of the limits.
    schema = contract.singer_schema(COMPONENTS[stream])
    schema["properties"] = {"externalId": {"type": "string"}} | schema["properties"]
    with file.open("wb") as out:

        def say(**message: Any) -> None:
            out.write(_encode(message) + b"\n")

        say(type="SCHEMA", stream=stream, schema=schema, key_properties=["externalId"])
        for number, record in enumerate(records, 1):
            say(type="RECORD", stream=stream, record=record)
            if number % _STATE_EVERY == 0:
                say(type="STATE", value=_loaded(number))
        say(type="STATE", value=_loaded(len(records)))
    return Given(file, stream, len(records), *what)


def _loaded(number: int) -> Any:
    return {"bookmarks": {"loaded": number}}
