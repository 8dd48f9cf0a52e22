"""What STATE remembers: the files that were read, and since when a record has been what it is.

SAF-T does not say when a record was last changed, but Vic.ai asks for it. A file does say on which day it was made: on
that day the record was like this. So a record has the date of the first file in which it was. A later file with the
same record changes nothing. A sample of a file's transactions tells whether they come again from another file.
"""

from __future__ import annotations

import hashlib
import heapq
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from ap_connectors.core.instants import LOCAL
from tap_saft.values import encode

_MOST = 256
_KEY, _MARK = 6, 2
"""Bytes of a transaction's key and of its content."""

_Identity = tuple[str, ...]
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


class Fingerprints:
    """The transactions of a file whose keys have the lowest hashes: two files with the same keys have the same ones.

    Files of up to 256 transactions are compared as wholes. STATE holds 16 hexadecimal digits for each transaction.
    """

    def __init__(self) -> None:
        self._kept: dict[bytes, tuple[_Identity, Any]] = {}
        self._highest: list[int] = []

    def begin(self, identity: _Identity, date: str) -> Any:
        """Return a hash that takes the transaction's content, None if it is not in the sample."""
        key = hashlib.blake2b(encode(identity), digest_size=_KEY).digest()
        if key not in self._kept:
            rank = -int.from_bytes(key, "big")
            if len(self._kept) < _MOST:
                heapq.heappush(self._highest, rank)
            elif rank > self._highest[0]:
                del self._kept[(-heapq.heapreplace(self._highest, rank)).to_bytes(_KEY, "big")]
            else:
                return None
            self._kept[key] = identity, hashlib.blake2b(digest_size=_MARK)
        content = self._kept[key][1]
        content.update(date.encode())
        return content

    def identity(self, key: str) -> _Identity:
        """Return the transaction of a key that `__iter__` gave."""
        return self._kept[bytes.fromhex(key)][0]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Yield keys and what they stand for, both as hashes."""
        return ((key.hex(), content.hexdigest()) for key, (_, content) in self._kept.items())


def _packed(marks: dict[str, str]) -> str:
    """Return keys and contents as one text, for STATE."""
    return "".join(key + content for key, content in sorted(marks.items()))


def _unpacked(text: Any) -> dict[str, str]:
    """Return keys and contents from STATE; nothing of what is not such a text."""
    if not isinstance(text, str):
        return {}
    whole, key = 2 * (_KEY + _MARK), 2 * _KEY
    return {text[at : at + key]: text[at + key : at + whole] for at in range(0, len(text) - whole + 1, whole)}


class FileState:
    """What is known of all files, from and for STATE.

    Args:
        state: the bookmark of the last run; empty at first.
    """

    def __init__(self, state: Mapping[str, Any]) -> None:
        files = state.get("files")
        self._files: dict[str, dict[str, Any]] = dict(files) if isinstance(files, dict) else {}
        self._size = 0
        self._known: dict[tuple[str, str], dict[str, tuple[str, str]]] = {}
        self._fresh: dict[tuple[str, str], dict[str, tuple[str, str]]] = {}
        self._transactions: dict[str, dict[str, str]] = {}
        """By the hash of a transaction's key: the files that have it, each with the hash of its content."""
        for name, facts in self._files.items():
            self._index(name, facts.get("transactions"))
        for stream, companies in (state.get("as_of") or {}).items():
            for company, dates in companies.items():
                known = self._known.setdefault((stream, company), {})
                for date, marks in dates.items():
                    known.update((external_id, (date, mark)) for external_id, mark in marks.items())
                    self._size += 40 * len(marks)

    def file(self, name: str) -> Mapping[str, Any]:
        """Return the facts of a file: `size`, `sha256`, and the `streams` that have its records; empty if unknown."""
        return self._files.get(name, {})

    def companies(self, streams: Collection[str]) -> set[str]:
        """Return the companies whose records some streams have handed out."""
        return {company for stream, company in self._known if stream in streams}

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

    def elsewhere(self, name: str, transactions: Fingerprints) -> dict[str, list[_Identity]]:
        """Return which of a file's transactions other files have with another content, by file."""
        found: dict[str, list[_Identity]] = {}
        for key, content in transactions:
            for other, theirs in self._transactions.get(key, {}).items():
                if other != name and theirs != content:
                    found.setdefault(other, []).append(transactions.identity(key))
        return found

    def done(self, name: str, size: int, sha256: str, streams: Iterable[str], transactions: Fingerprints) -> None:
        """Remember that a file was read to its end."""
        last = self._files.get(name, {})
        same = last.get("sha256") == sha256
        self._files[name] = now = {
            "size": size,
            "sha256": sha256,
            "streams": sorted({*streams, *(last.get("streams", ()) if same else ())}),
        }
        marks = _packed(dict(transactions)) or (last.get("transactions", "") if same else "")
        if marks:
            now["transactions"] = marks
        self._index(name, marks, last.get("transactions"))
        for place, records in self._fresh.items():
            self._known.setdefault(place, {}).update(records)
            self._size += 40 * len(records)
        self._fresh.clear()

    @property
    def size(self) -> int:
        """About how many bytes it has in STATE."""
        return self._size + 300 * len(self._files)

    def bookmark(self) -> dict[str, Any]:
        """Return it as STATE holds it."""
        return {"files": dict(self._files), "as_of": self._written()}

    def _index(self, name: str, marks: Any, before: Any = None) -> None:
        for key in _unpacked(before):
            self._transactions.get(key, {}).pop(name, None)
        for key, content in _unpacked(marks).items():
            self._transactions.setdefault(key, {})[name] = content
            self._size += 16

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
    found = _TIME.match(text) or _DAY.match(text)
    if not found or not LOCAL.knows(found[0]):
        return None
    return found[0] if "T" in found[0] else f"{found[0]}T00:00:00"
