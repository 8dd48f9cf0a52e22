"""The result of a comparison, as data: what ties and what does not."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal

from ap_connectors.core import instants
from ap_connectors.core.exact import add
from ap_connectors.tieout.booking import Booking, balance
from ap_connectors.tieout.snapshot import Snapshot

DifferenceType = Literal[
    "missing", "extra", "changed", "older", "doubled", "unreadable", "header", "field", "file", "explained"
]

DIFFERENCE_TYPES: dict[DifferenceType, str] = {
    "missing": "not at the destination",
    "extra": "at the destination only",
    "changed": "different at the destination",
    "older": "at the destination in an older state",
    "doubled": "at the destination more than once",
    "unreadable": "with an amount that is not a number, left out of every sum",
    "header": "whose lines do not add up to the header",
    "field": "with a field that is not as it was sent",
    "file": "without a file, or with another one",
    "explained": "explained by rejects",
}
"""Types of differences, and how each is told: "3 not at the destination"."""


@dataclass(frozen=True)
class Rejected:
    """Why a record was set aside: the sentence, and, of version 0.2 on, its code with what belongs to it."""

    reason: str
    code: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class InputFile:
    """A file that was read.

    Args:
        name: as it was given.
        sha256: of its bytes, as hexadecimal digits.
        read: how many records it has.
        compared: how many of them count: of a key that comes again the last one does.
    """

    name: str
    sha256: str
    read: int
    compared: int

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {"name": self.name, "sha256": self.sha256, "records": self.read, "compared": self.compared}


@dataclass(frozen=True)
class Difference:
    """One difference.

    Args:
        key: of the document.
        label: what people call it.
        words: what is wrong with it.
        date: of the document; "" if it is not known.
        file: path or URL of its file; "" if it is not known.
        rejected: why the target set it aside, if that explains the difference.
    """

    key: str
    label: str
    words: str = ""
    date: str = ""
    file: str = ""
    rejected: Rejected | None = None

    def __str__(self) -> str:
        name = f"{self.label} ({self.key})" if self.label and self.label != self.key else self.key
        return f"{name}: {self.words}" if self.words else name

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON; date and file where they are known."""
        more = {name: value for name, value in (("date", self.date), ("file", self.file)) if value}
        return {"key": self.key, "label": self.label, "words": self.words, **more}


@dataclass
class Differences:
    """The differences of one type: how many there are, the first of them, and how many are of each day."""

    count: int = 0
    named: list[Difference] = field(default_factory=list)
    days: Counter[str] = field(default_factory=Counter)


@dataclass
class Sums:
    """What there is of a company, period and currency. An amount is None if no document states it."""

    documents: int = 0
    lines: int | None = None
    subtotal: Decimal | None = None
    vat: Decimal | None = None
    total: Decimal | None = None

    def plus(self, other: Sums) -> Sums:
        """Return both together."""
        return Sums(
            self.documents + other.documents,
            self.lines if other.lines is None else (self.lines or 0) + other.lines,
            _sum(self.subtotal, other.subtotal),
            _sum(self.vat, other.vat),
            _sum(self.total, other.total),
        )

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON; amounts as text, for their digits."""
        amounts = {"subtotal": self.subtotal, "vat": self.vat, "total": self.total}
        texts = {name: None if amount is None else format(amount, "f") for name, amount in amounts.items()}
        return {"documents": self.documents, "lines": self.lines, **texts}


def _sum(a: Decimal | None, b: Decimal | None) -> Decimal | None:
    return b if a is None else a if b is None else add(a, b)


Group = tuple[str, str, str]
"""Company, period (month), currency."""


@dataclass
class Row:
    """Both sides of one company, period and currency."""

    group: Group
    source: Sums = field(default_factory=Sums)
    destination: Sums = field(default_factory=Sums)

    @property
    def ties(self) -> bool:
        """Whether the sums are the same, to the last digit."""
        return self.source == self.destination

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        company, period, currency = self.group
        sides = {"source": self.source.as_json(), "destination": self.destination.as_json()}
        return {"company": company, "period": period, "currency": currency, **sides, "ties": self.ties}


@dataclass
class Comparison:
    """One stream, compared.

    Args:
        stream: its name.
        as_of: the instant up to which both sides were compared; None without one.
        newer: how many documents of the source are newer than that, and so left out.
        allowed: types of differences that do not count.
        notes: what else there is to say.
        not_compared: what of the stream was not looked at, a sentence each.
        unknown_fields: what the source has that is not a field of the destination: not loaded, and not compared.
    """

    stream: str
    as_of: str | None = None
    newer: int = 0
    rows: list[Row] = field(default_factory=list)
    differences: dict[DifferenceType, Differences] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    allowed: Collection[str] = ()
    not_compared: list[str] = field(default_factory=list)
    unknown_fields: list[str] = field(default_factory=list)
    booking: Booking = field(default_factory=Booking)
    most: int = 20
    """How many differences of each type are named."""
    sides: tuple[Snapshot, ...] = ()
    """What is compared: by it a difference has the date of its document."""

    def add(
        self, kind: DifferenceType, key: str, label: str = "", words: str = "", rejected: Rejected | None = None
    ) -> None:
        """Record a difference; what was `rejected` is told behind the words."""
        if rejected:
            words = f"{words}; rejected: {rejected.reason}"
        found = self.differences.setdefault(kind, Differences())
        found.count += 1
        # Of a part ("ID NUMBER") that of its document.
        either = (side.get(key) or side.get(key.partition(" ")[0]) for side in self.sides)
        document = next((one for one in either if one), None)
        date = document.date if document else ""
        found.days[date] += 1
        if len(found.named) < self.most:
            found.named.append(
                Difference(key, label or (document.label if document else ""), words, date, rejected=rejected)
            )

    def name_files(self, files: Mapping[str, str]) -> None:
        """Add to the named differences the files of their documents, by key."""
        for found in self.differences.values():
            found.named = [replace(one, file=files.get(one.key, "")) for one in found.named]

    @property
    def named(self) -> frozenset[str]:
        """The keys of the named differences."""
        return frozenset(one.key for found in self.differences.values() for one in found.named)

    def count(self, kind: DifferenceType) -> int:
        """Return how many differences of a type there are."""
        return self.differences[kind].count if kind in self.differences else 0

    @property
    def failing(self) -> dict[DifferenceType, Differences]:
        """The differences that count."""
        return {
            kind: found for kind, found in self.differences.items() if kind != "explained" and kind not in self.allowed
        }

    @property
    def ties(self) -> bool:
        """Whether nothing is wrong."""
        return not self.failing

    @property
    def whole(self) -> Row:
        """Both sides' counts, all places together; the amounts of several currencies mean nothing."""
        row = Row(("", "", ""))
        for one in self.rows:
            row.source, row.destination = row.source.plus(one.source), row.destination.plus(one.destination)
        return row

    def currencies(self) -> list[Row]:
        """Return both sides by currency."""
        rows: dict[str, Row] = {}
        for one in self.rows:
            row = rows.setdefault(one.group[2], Row(("", "", one.group[2])))
            row.source, row.destination = row.source.plus(one.source), row.destination.plus(one.destination)
        return [rows[currency] for currency in sorted(rows)]

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        counts = self.whole
        return {
            "stream": self.stream,
            "ties": self.ties,
            "as_of": self.as_of,
            "newer_left_out": self.newer,
            "documents": {"source": counts.source.documents, "destination": counts.destination.documents},
            "currencies": [row.as_json() for row in self.currencies()],
            "rows": [row.as_json() for row in self.rows],
            "differences": {
                kind: {
                    "count": found.count,
                    "counts_against": kind in self.failing,
                    "days": dict(sorted(found.days.items())),
                    "named": [one.as_json() for one in found.named],
                }
                for kind, found in self.differences.items()
            },
            "vat_by_code": self.booking.vat_as_json(),
            "notes": self.notes + self.not_compared,
            "not_compared": self.not_compared,
            "unknown_fields": self.unknown_fields,
        }


@dataclass
class Result:
    """The result of a run.

    Args:
        name: of the comparison ("ivesk-warehouse").
        source: what the one side is called ("Įvesk").
        destination: what the other side is called ("DuckDB").
        comparisons: stream by stream.
        notes: what else there is to say.
        not_compared: tables that were not looked at, a sentence each.
        company: whose data it is, as the service says; "" if the rows say it.
        since: what is older was left out; "" if nothing was.
        files: that the source was read from, if it was.
        inputs: the same, with what tells their contents apart.
        reject_files: likewise those that say what the load set aside.
        source_address: where the source is, if it is a service ("https://api.no.vic.ai/v0").
        destination_address: where the destination is, likewise.
        made_at: when the comparison began (an instant).
    """

    name: str
    source: str
    destination: str
    comparisons: list[Comparison] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)
    company: str = ""
    since: str = ""
    files: list[str] = field(default_factory=list)
    inputs: list[InputFile] = field(default_factory=list)
    reject_files: list[InputFile] = field(default_factory=list)
    source_address: str = ""
    destination_address: str = ""
    made_at: str = field(default_factory=lambda: instants.text(time.time_ns() // 1_000_000))

    @property
    def ties(self) -> bool:
        """Whether everything that was compared ties."""
        return all(one.ties for one in self.comparisons)

    @property
    def is_whole(self) -> bool:
        """Whether everything was compared."""
        return not self.not_compared and not any(one.not_compared for one in self.comparisons)

    @property
    def unknown_fields(self) -> list[str]:
        """What the source has that is not a field of the destination."""
        return list(dict.fromkeys(name for one in self.comparisons for name in one.unknown_fields))

    def differences(self) -> Iterator[str]:
        """Yield what is wrong, a line each: every type's count, and those that are named."""
        for one in self.comparisons:
            for kind, found in one.failing.items():
                yield f"{one.stream}: {found.count} {DIFFERENCE_TYPES[kind]}"
                yield from (f"{one.stream}: {difference}" for difference in found.named)

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "comparison": self.name,
            "source": self.source,
            "destination": self.destination,
            "source_address": self.source_address or None,
            "destination_address": self.destination_address or None,
            "company": self.company,
            "made_at": self.made_at,
            "since": self.since or None,
            "files": self.files,
            "inputs": [one.as_json() for one in self.inputs],
            "reject_files": [one.as_json() for one in self.reject_files],
            "ties": self.ties,
            "ap_balance": [
                {"currency": currency, "source": f"{ours:f}", "destination": f"{theirs:f}", "ties": ours == theirs}
                for currency, (ours, theirs) in balance(one.booking for one in self.comparisons).items()
            ],
            "streams": [one.as_json() for one in self.comparisons],
            "notes": self.notes,
            "not_compared": self.not_compared,
        }
