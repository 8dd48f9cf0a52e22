"""What is loaded: files of Singer messages, and what has to become of their records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ap_connectors.vicai import contract
from benchmarks import list_server

VENDORS = "vendors"
CHANGES = 12
TOO_LONG = 300
"""Characters in a name where the contract allows 255."""
NO_TERM = "0d3adbee-0000-4000-8000-{:012}"
"""Ids in form, of payment terms that the service never gave."""
_STATE_EVERY = 100

Record = dict[str, Any]
_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True)
class Given:
    """A file of Singer messages of one stream.

    Args:
        file: the messages.
        records: how many records are in it.
        state: the value of its last STATE message.
        write: what is to be written, by externalId; nothing else may change.
        by_contract: externalIds of records that break the contract: one need not ask to know.
        by_service: those that only the service can know to be bad.
    """

    file: Path
    records: int
    state: Any
    write: Mapping[str, Record] = field(default_factory=dict)
    by_contract: frozenset[str] = frozenset()
    by_service: frozenset[str] = frozenset()

    @property
    def bad(self) -> frozenset[str]:
        """All that cannot be loaded."""
        return self.by_contract | self.by_service


def new_vendors(file: Path, count: int, terms: Sequence[str], *, bad: bool) -> Given:
    """Write vendors that Vic does not have; with `bad` the 50th of each hundred is, for the one or the other reason."""
    write: dict[str, Record] = {}
    reasons: tuple[set[str], set[str]] = (set(), set())
    records = []
    for number in range(1, count + 1):
        record = _vendor(number, terms[number % len(terms)])
        if bad and number % 100 == 50:
            which = number // 100 % 2
            record |= {"paymentTermId": NO_TERM.format(number)} if which else {"name": "N" * TOO_LONG}
            reasons[which].add(record["externalId"])
        else:
            write[record["externalId"]] = record
        records.append(record)
    state = _write(file, records)
    return Given(file, count, state, write, frozenset(reasons[0]), frozenset(reasons[1]))


def known_vendors(file: Path, lines: Iterable[bytes]) -> Given:
    """Write vendors as Vic has them, but for 12 names; those records hold little else, and nothing else may change."""
    writable = contract.component("VendorUpsert")["properties"]
    held = [record for line in lines if (record := msgspec.json.decode(line)).get("externalId")]
    records = [{name: value for name, value in record.items() if name in writable} for record in held]
    step = max(1, len(records) // CHANGES)
    write: dict[str, Record] = {}
    for place in range(0, min(len(records), step * CHANGES), step):
        key, name = records[place]["externalId"], records[place]["name"]
        records[place] = write[key] = {
            "externalId": key,
            "externalUpdatedAt": "2099-01-05T10:00:00",
            "name": f"{name} {place}",
        }
    return Given(file, len(records), _write(file, records), write)


def no_vendors(file: Path) -> Given:
    """Write a file with nothing to load: what is left is the start of the process."""
    return Given(file, 0, _write(file, []))


def known_accounts(file: Path, count: int) -> Given:
    """Write accounts as the list server has them."""
    head = b'{"type":"RECORD","stream":"accounts","record":'
    with file.open("wb") as out:
        out.write(_schema("accounts", "AccountUpsert"))
        for start in range(0, count, 10_000):
            end = min(start + 10_000, count)
            out.write(b"".join(head + list_server.sent(number) + b"}\n" for number in range(start, end)))
            out.write(_state(end))
    return Given(file, count, _loaded(count))


def _account(number: int) -> str:
    """Return a Norwegian account number whose control digit fits."""
    for bank in range(1500, 1600):
        digits = f"{bank}{number:06}"
        control = -sum(int(digit) * weight for digit, weight in zip(digits, _WEIGHTS, strict=True)) % 11
        if control < 10:
            return f"{digits}{control}"
    raise AssertionError


_WEIGHTS = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)


def _vendor(number: int, term: str) -> Record:
    account = _account(number)
    return {
        "externalId": f"V{number:06}",
        "externalUpdatedAt": "2026-01-05T10:00:00",
        "name": f"Šiaurės Prekyba {number} UAB",
        "email": f"invoices@vendor-{number}.example",
        "phone": f"+47 400 {number:05}",
        "addressStreet": f"Åsveien {number}",
        "addressCity": "Tromsø",
        "addressPostalCode": f"{number % 10_000:04}",
        "countryCode": "NO",
        "currency": "NOK",
        "state": "CONFIRMED",
        "taxInfo": {"taxId": f"NO{900_000_000 + number}MVA", "orgNumber": str(900_000_000 + number)},
        "defaultPaymentInfo": {"bankAccountNum": account, "bban": account, "defaultMethod": "BBAN"},
        "paymentTermId": term,
        "externalData": {"ledger": "2400", "number": number},
    }


def _write(file: Path, records: Sequence[Record]) -> Any:
    with file.open("wb") as out:
        out.write(_schema(VENDORS, "VendorUpsert"))
        for number, record in enumerate(records, 1):
            out.write(_encode({"type": "RECORD", "stream": VENDORS, "record": record}) + b"\n")
            if number % _STATE_EVERY == 0:
                out.write(_state(number))
        out.write(_state(len(records)))
    return _loaded(len(records))


def _schema(stream: str, component: str) -> bytes:
    # As a tap shows it: types, and none of the limits.
    schema = contract.singer_schema(component)
    schema["properties"] = {"externalId": {"type": "string"}} | schema["properties"]
    message = {"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": ["externalId"]}
    return _encode(message) + b"\n"


def _state(number: int) -> bytes:
    return _encode({"type": "STATE", "value": _loaded(number)}) + b"\n"


def _loaded(number: int) -> Any:
    return {"bookmarks": {"loaded": number}}
