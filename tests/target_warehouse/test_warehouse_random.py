"""SCHEMA and values that change at random: each row is what its last record says; a repeated run changes nothing."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from decimal import Decimal

from target_warehouse import kinds
from target_warehouse.declared import DELETED, names
from tests.campaign import seeds
from tests.target_vicai.conftest import Message, state
from tests.target_warehouse.conftest import Database, Record, Target, raw, schema

FIELDS = [f"f{number}" for number in range(12)] + ["F1", "company", "company_", "select", "x" * 70, "x" * 71]
VALUES: Mapping[str, list[str]] = {
    "integer": ["0", "1", "-5", str(2**40), str(2**63), str(10**30)],
    "number": ["1.5", "0.1234567890123", "1e3", "-0.0", "12345678901234567890123456789.1", "1e35"],
    "boolean": ["true", "false"],
    "string": ['""', '"ąč"', '"1"', '"true"', '"2026-01-05"', '"x\\u0000y"', '"\\\\N"', '"null"'],
    "date": ['"2026-01-05"', '"2026-02-30"', '""'],
    "date-time": [f'"2026-01-05{clock}"' for clock in ("T10:00:00Z", "T10:00:00", "", "T10:00:00.1234567Z")],
    "object": ['{"a":1.50}', "[]", '"x"', "1"],
}


def chosen(dice: random.Random, declared: Mapping[str, str]) -> dict[str, str]:
    """A record: values as JSON, some null, and some not of the type that is declared."""
    found = {}
    for name, type_ in declared.items():
        of_type = VALUES[type_ if dice.random() < 0.85 else dice.choice(list(VALUES))]
        found[name] = dice.choice(of_type) if dice.random() < 0.8 else "null"
    return found


def is_held(sent: str, held: str | None, type_: str) -> bool:
    """Whether a column holds a value, in a form that is equal."""
    if sent == "null" or held is None:
        return sent == "null" and held is None
    said = str(json.loads(sent)) if sent[0] == '"' else sent
    number = kinds.number(said)
    if type_ == "json":
        return held == sent or said == (json.loads(held) if held[0] == '"' else held)
    if type_ in {"bigint", "hugeint", "numeric"} or type_.startswith("decimal"):
        return Decimal(held) == Decimal(said)
    if number is not None and number == kinds.number(held):
        return True
    times = [said.replace("T", " "), said.replace("T", " ").replace("Z", "+00")]
    return held == said or held.replace("T", " ") in times


@seeds(range(20), sample=0)
def test_changes_at_random(target: Target, database: Database, seed: int) -> None:
    dice = random.Random(seed)
    last: dict[int, dict[str, str]] = {}
    for number in range(14):
        declared = {name: dice.choice(list(VALUES)) for name in FIELDS if dice.random() < 0.8}
        types: Record = {
            name: {"type": ["string", "null"], "format": type_} if type_ in {"date", "date-time"} else type_
            for name, type_ in declared.items()
        }
        messages: list[Message] = [schema("things", {"id": "integer", **types})]
        for _ in range(dice.randrange(1, 25)):
            key = dice.randrange(30)
            last[key] = record = chosen(dice, declared)
            members = [f'"id": {key}', *(f"{json.dumps(name)}: {value}" for name, value in record.items())]
            messages.append(raw("things", f"{{{', '.join(members)}}}"))
        target([*messages, state(number)], company="acme")
        again = target([*messages, state(number)], company="acme")
        assert {"created", "updated"}.isdisjoint(again.counts("things"))
    columns = database.types("things")
    most = 63 if database.is_postgresql else 255
    called = names(FIELDS, columns, ["company", DELETED], most, same_case=not database.is_postgresql)
    held = {int(id_ or ""): row for id_, *row in database.texts("things", "id", *columns)}
    assert held.keys() == last.keys()
    for key, record in last.items():
        row = dict(zip(columns, held[key], strict=True))
        for name in FIELDS:
            value, column = record.get(name, "null"), called[name]
            assert is_held(value, row.get(column), columns.get(column, "")), (key, name, value, row.get(column))
