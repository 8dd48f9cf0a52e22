"""Fields of a record that a service does not take: named once, but for those that tell the target itself something."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ap_singer.shape import canonical

_DELETED = canonical("_sdc_deleted_at")


class Leftover:
    """What of a stream's records goes nowhere.

    Args:
        stream: its name.
        service: whose contract it is.
        warn: tells the user.
        expected: names, in canonical spelling, that nobody misses.
    """

    def __init__(self, stream: str, service: str, warn: Callable[[str], None], expected: Collection[str] = ()) -> None:
        self._stream, self._service, self._warn, self._expected = stream, service, warn, expected
        self._told: set[str] = set()

    def heed(self, fields: Mapping[str, Any]) -> bool:
        """Name the fields that were not seen before; return whether the record says that its object is gone."""
        deleted, new = False, []
        for name, value in fields.items():
            if name.lower().startswith("_sdc_"):
                deleted = deleted or (canonical(name) == _DELETED and value is not None)
            elif name not in self._told:
                self._told.add(name)
                if canonical(name) not in self._expected:
                    new.append(name)
        if new:
            kind = "field" if len(new) == 1 else "fields"
            self._warn(f"{self._stream}: {', '.join(new)}: left out, for {self._service} takes no such {kind}.")
        return deleted
