"""What STATE remembers: the files that were read, and since when a record has been what it is.

SAF-T does not say when a record was last changed, but Vic.ai asks for it. A file does say on which day it was made: on
that day the record was like this. So a record has the date of the first file in which it was. A later file with the
same record changes nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from tap_saft.values import encode

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


class FileState:
    """What is known of all files, from and for STATE.

    Args:
        state: the bookmark of the last run; empty at first.
    """

    def __init__(self, state: Mapping[str, Any]) -> None:
        files = state.get("files")
        self._files: dict[str, dict[str, Any]] = dict(files) if isinstance(files, dict) else {}
        self._known: dict[tuple[str, str], dict[str, tuple[str, str]]] = {}
        self._fresh: dict[tuple[str, str], dict[str, tuple[str, str]]] = {}
        for stream, companies in (state.get("as_of") or {}).items():
            for company, dates in companies.items():
                known = self._known.setdefault((stream, company), {})
                for date, marks in dates.items():
                    known.update((external_id, (date, mark)) for external_id, mark in marks.items())

    def file(self, name: str) -> Mapping[str, Any]:
        """Return the facts of a file: `size`, `sha256`, and the `streams` that have its records; empty if unknown."""
        return self._files.get(name, {})

    def as_of(self, stream: str, company: str, external_id: str, record: Mapping[str, Any], created: str) -> str | None:
        """Return the time of change of a record for Vic.ai, without a zone; None if the file has no date.

        Args:
            stream: of the record.
            company: of the record.
            external_id: its key.
            record: its fields, without that time.
            created: the date of the file (AuditFileDateCreated).
        """
        time = timestamp(created)
        if time is None:
            return None
        mark = hashlib.sha256(encode(record)).hexdigest()[:8]
        date, known = self._known.get((stream, company), {}).get(external_id, ("", ""))
        if known == mark and date <= time:
            return date
        # An older file does not overwrite what a newer one said.
        if date <= time:
            self._fresh.setdefault((stream, company), {})[external_id] = (time, mark)
        return time

    def done(self, name: str, size: int, sha256: str, streams: Iterable[str]) -> dict[str, Any]:
        """Remember that a file was read to its end; return the new bookmark."""
        last = self._files.get(name, {})
        same = last.get("sha256") == sha256
        self._files[name] = {
            "size": size,
            "sha256": sha256,
            "streams": sorted({*streams, *(last.get("streams", ()) if same else ())}),
        }
        for place, records in self._fresh.items():
            self._known.setdefault(place, {}).update(records)
        self._fresh.clear()
        return {"files": dict(self._files), "as_of": self._written()}

    def _written(self) -> dict[str, Any]:
        # By date, because most records share a few: a date for each would make STATE three times as large.
        written: dict[str, Any] = {}
        for (stream, company), records in self._known.items():
            dates: dict[str, dict[str, str]] = written.setdefault(stream, {}).setdefault(company, {})
            for external_id, (date, mark) in records.items():
                dates.setdefault(date, {})[external_id] = mark
        return written


def timestamp(created: str) -> str | None:
    """Return a file's date as Vic.ai takes times: without zone, a day as its midnight. None if it is not a date."""
    text = created.strip()
    if found := _TIME.match(text):
        return found[0]
    if found := _DAY.match(text):
        return f"{found[0]}T00:00:00"
    return None
