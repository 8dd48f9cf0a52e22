"""A file is read twice: first to check that it is complete and agrees with its totals, then to hand out its records."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from xml.etree.ElementTree import Element

from ap_connectors.core.errors import Stop
from ap_connectors.core.exact import EXACT
from ap_connectors.core.raw_json import Record
from tap_saft.balances import STREAMS, Balances, Movement, Movements, Reconciled
from tap_saft.company import Company
from tap_saft.file_state import FileState, Fingerprints
from tap_saft.lines import SIDES, identity, numbers_of, transaction_of
from tap_saft.record_builder import RecordBuilder
from tap_saft.sources import Source
from tap_saft.values import InvalidElement, number
from tap_saft.walk import Container
from tap_saft.xml_reader import XmlReader, pieces

_BUCKETS = 256
_LEDGER = "/AuditFile/GeneralLedgerEntries"
_CONTROLS = {"number_of_entries": "NumberOfEntries", "total_debit": "TotalDebit", "total_credit": "TotalCredit"}


@dataclass
class Totals:
    """Counts and sums of a ledger: `transactions`, `lines`, and both sides, exactly."""

    transactions: int = 0
    lines: int = 0
    debit: Decimal = Decimal(0)
    credit: Decimal = Decimal(0)
    moved: Movements = field(default_factory=dict)
    """Both sides by account and by party, where balances are wanted."""

    def __add__(self, other: Totals) -> Totals:
        """Return the totals of both."""
        return Totals(
            self.transactions + other.transactions,
            self.lines + other.lines,
            EXACT.add(self.debit, other.debit),
            EXACT.add(self.credit, other.credit),
            {
                place: self.moved.get(place, Movement()).plus(other.moved.get(place, Movement()))
                for place in (*self.moved, *(place for place in other.moved if place not in self.moved))
            },
        )

    def problems(self, given: Mapping[str, str], holder: str = "the file holds") -> list[str]:
        """Return how control totals differ, in words."""
        held: dict[str, tuple[set[Decimal], str]] = {
            "number_of_entries": (
                {Decimal(self.transactions), Decimal(self.lines)},
                f"{self.transactions} transactions of {self.lines} lines",
            ),
            "total_debit": ({self.debit}, f"{self.debit} in debit"),
            "total_credit": ({self.credit}, f"{self.credit} in credit"),
        }
        return [
            f"{_CONTROLS[name]} says {given[name]}, but {holder} {words}"
            for name, (numbers, words) in held.items()
            if name in given and Decimal(given[name]) not in numbers
        ]


@dataclass
class Checked:
    """The result of checking a file.

    Args:
        size: bytes of the XML.
        sha256: hexadecimal.
        marks: hash of each piece, by which the second reading recognizes it.
        last_master: number of the piece that ended the last record of master data, from 0.
        repeated: transactions that occur more than once (see `lines.LineBuilder`).
        facts: further fields of the header's record.
        given: control totals.
        totals: what the file holds of them.
        fingerprints: by which its transactions are recognized in other files.
        balances: the balances of its accounts and parties.
    """

    size: int = 0
    sha256: str = ""
    marks: list[bytes] = field(default_factory=list)
    last_master: int = 0
    repeated: frozenset[int] = frozenset()
    facts: dict[str, Any] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)
    totals: Totals = field(default_factory=Totals)
    fingerprints: Fingerprints = field(default_factory=Fingerprints)
    balances: Balances = field(default_factory=Balances)


class _Check:
    """The first reading, which hands out nothing."""

    def __init__(self, source: Source, wanted: frozenset[str], state: FileState) -> None:
        self._builder = RecordBuilder(wanted, state, {}, frozenset(), lambda _: None)
        self.reader = XmlReader(source, self._record, self._closed)
        self.totals, self.piece, self.last_master = Totals(), 0, 0
        self.given: dict[str, str] = {}
        self._transaction: Container | None = None
        self._fingerprinted = "journal_lines" in wanted
        self._balanced = bool(STREAMS & wanted)
        self.fingerprints = Fingerprints()
        self._content: Any = None
        self._ids = [array("q") for _ in range(_BUCKETS)]

    def _record(self, section: str, element: Element, container: Container) -> None:
        if section != "journal_lines":
            self.last_master = self.piece
            self._builder.add(section, element, container)
            # Nothing is handed out before the file is known to be complete.
            self._builder.built.clear()
        else:
            self._line(element, container)

    def _line(self, element: Element, container: Container) -> None:
        numbers: Mapping[str, Any] | None = numbers_of(element)
        if numbers is None or self._builder.company is None:
            numbers = self._builder.line(element, container)
        transaction = transaction_of(container)
        if transaction is not self._transaction:
            self._begin(transaction)
        totals = self.totals
        totals.lines += 1
        if self._content is not None:
            self._content.update(b"|%b;%b" % tuple(bytes(numbers.get(side) or b"") for side in SIDES))
        debit, credit = (Decimal(bytes(numbers.get(side) or b"0").decode()) for side in SIDES)
        totals.debit, totals.credit = EXACT.add(totals.debit, debit), EXACT.add(totals.credit, credit)
        if self._balanced:
            self._builder.balances.move(element, Movement(debit, credit))

    def _begin(self, transaction: Container) -> None:
        self._transaction = transaction
        key = identity(transaction)
        mark = hash(key)
        self._ids[mark % _BUCKETS].append(mark)
        if self._fingerprinted and self._builder.company:
            date = transaction.fields.get("transaction_date")
            self._content = self.fingerprints.begin((self._builder.company.id, *key), str(date).strip())

    def _closed(self, container: Container) -> None:
        if container.name == "Transaction":
            self.totals.transactions += 1
        elif container.name == "GeneralLedgerEntries":
            for name, element in _CONTROLS.items():
                given = container.fields.get(name)
                if isinstance(given, str) and given.strip():
                    try:
                        self.given[name] = (number(given, element) or b"").decode()
                    except InvalidElement as error:
                        raise InvalidElement(error.words, None, (f"{_LEDGER}/{element}", 1)) from None
                elif given is not None and not isinstance(given, str):
                    raise InvalidElement(f"{element} occurs more than once", None, (f"{_LEDGER}/{element}", 2))

    def finish(self) -> None:
        self.reader.finish()
        if self._builder.company is None:
            raise Stop(f"{self.reader.source.shown}: it has no Header, so its company is unknown.")
        self._builder.finish()

    @property
    def balances(self) -> Balances:
        return self._builder.balances

    def repeated(self) -> frozenset[int]:
        """Return the transactions that occurred more than once; bucket by bucket, for there may be millions."""
        found: set[int] = set()
        for bucket in self._ids:
            once: set[int] = set()
            if len(set(bucket)) < len(bucket):
                for mark in bucket:
                    (found if mark in once else once).add(mark)
        return frozenset(found)


def check(source: Source, wanted: frozenset[str], state: FileState) -> Checked:
    """Read a file to its end.

    Raises:
        Stop: it is not complete, not SAF-T, or invalid.
    """
    checked, digest = Checked(), hashlib.sha256()
    checking = _Check(source, wanted, state)
    with source.opened() as file:
        for place, piece in enumerate(pieces(file, f"Checking {source.shown}", source.size)):
            checking.piece = place
            checking.reader.feed(piece)
            digest.update(piece)
            checked.size += len(piece)
            checked.marks.append(_mark(piece))
    checking.piece = len(checked.marks)
    checking.finish()
    checked.sha256, checked.last_master = digest.hexdigest(), checking.last_master
    checked.repeated, checked.given, checked.totals = checking.repeated(), checking.given, checking.totals
    checked.fingerprints, checked.balances = checking.fingerprints, checking.balances
    checked.totals.moved = checking.balances.moved
    checked.facts = {
        "file": source.name,
        "file_size": checked.size,
        "file_sha256": checked.sha256,
        "namespace": checking.reader.root.namespace if checking.reader.root else "",
        **checking.given,
    }
    return checked


def portions(
    source: Source,
    checked: Checked,
    wanted: frozenset[str],
    state: FileState,
    warn: Callable[[str], None],
    *,
    reconciled: Reconciled | None = None,
) -> Iterator[dict[str, list[Record]]]:
    """Yield the records of a file that was checked, by stream, a piece at a time.

    Raises:
        Stop: the file has changed since it was checked.
    """
    builder = RecordBuilder(wanted, state, checked.facts, checked.repeated, warn, reconciled=reconciled)
    reader = XmlReader(source, builder.add, lambda _: None)
    masters_only = "journal_lines" not in wanted
    with source.opened() as file:
        for place, piece in enumerate(pieces(file, f"Reading {source.shown}", source.size)):
            if place >= len(checked.marks) or _mark(piece) != checked.marks[place]:
                raise _changed(source)
            reader.feed(piece)
            if masters_only and place == checked.last_master:
                break
            if builder.built:
                yield builder.built
                builder.built = {}
        else:
            if place + 1 < len(checked.marks):
                raise _changed(source)
            reader.finish()
    builder.finish()
    yield builder.built


def _changed(source: Source) -> Stop:
    return Stop(
        f"{source.shown} was changed while it was read. Run again when its export is done; "
        "what was written of it comes again."
    )


def sha256(source: Source) -> str:
    """Return the SHA-256 of a file's XML, hexadecimal."""
    digest = hashlib.sha256()
    with source.opened() as file:
        for piece in pieces(file):
            digest.update(piece)
    return digest.hexdigest()


def _mark(piece: bytes) -> bytes:
    return hashlib.blake2b(piece, digest_size=16).digest()


class _Enough(Exception):
    """The header has been read."""


def peek(source: Source) -> Company | None:
    """Return the company of a file's header, reading no further; None if that is not possible: `check` will say why."""
    builder = RecordBuilder(frozenset(), FileState({}), {}, frozenset(), lambda _: None)

    def record(section: str, element: Element, container: Container) -> None:
        if section == "header":
            builder.add(section, element, container)
        raise _Enough

    reader = XmlReader(source, record, lambda _: None)
    try:
        with source.opened() as file:
            for piece in pieces(file):
                reader.feed(piece)
        reader.finish()
    except (_Enough, Stop):
        pass
    return builder.company
