"""All that Vic.ai holds at a moment: asked of the sandbox's control API, which the target does not know."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from ap_connectors.sandbox.process import Control
from ap_connectors.sandbox.vicai.resources import RESOURCES
from demo.erp.streams import STREAMS, Names, Record

_DECODER = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)

Place = tuple[str, str, int]
"""Which record: its resource, Vic's id (or, where it shows none, all of it), and which one of those it is."""


@dataclass(frozen=True)
class Store:
    """Every record of every resource, as the JSON text that Vic serves."""

    lines: Mapping[Place, bytes]

    def records(self, resource: str) -> dict[Place, Record]:
        """The records of a resource."""
        return {place: _DECODER.decode(line) for place, line in self.lines.items() if place[0] == resource}

    def told(self, stream: str) -> dict[Place, Record]:
        """The records of a stream's resource, in the ERP's words."""
        names = Names(
            terms=self._named("paymentTerms", "name"),
            groups=self._named("vendorGroups", "name"),
            tags=self._named("tags", "value"),
            vendors=self._named("vendors", "externalId"),
        )
        kind = STREAMS[stream]
        return {place: kind.told(record, names) for place, record in self.records(kind.resource).items()}

    def unlike(self, after: "Store") -> set[Place]:
        """Which records are new, gone, or other than they were."""
        return {
            place for place in self.lines.keys() | after.lines.keys() if self.lines.get(place) != after.lines.get(place)
        }

    def _named(self, resource: str, field: str) -> dict[str, Any]:
        records = self.records(resource).values()
        return {str(record.get("internalId") or record.get("id")): record.get(field) for record in records}


def read(control: Control) -> Store:
    """Everything that Vic.ai holds now."""
    lines: dict[Place, bytes] = {}
    seen: Counter[tuple[str, str]] = Counter()
    for resource in RESOURCES:
        for line in control.vicai.record_lines(resource):
            record = _DECODER.decode(line)
            key = str(record.get("internalId") or record.get("id") or line.decode())
            seen[resource, key] += 1
            lines[resource, key, seen[resource, key]] = line
    return Store(lines)
