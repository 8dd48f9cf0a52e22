"""A file is read twice: once to see that it is whole and holds what it says, and once to hand out its records."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Any
from xml.etree.ElementTree import Element

from ap_connectors.core.errors import Stop
from ap_connectors.core.raw_json import Record
from tap_saft.building import Building, Company
from tap_saft.lines import identity, look, transaction_of
from tap_saft.memory import Memory
from tap_saft.plain import Unfit, number
from tap_saft.reading import Reading, pieces
from tap_saft.sources import Source
from tap_saft.walk import Holder

# Exact for any sum of amounts that a file can hold.
_add = Context(prec=200).add
_BUCKETS = 256
_LEDGER = "/AuditFile/GeneralLedgerEntries"
_CONTROLS = {"number_of_entries": "NumberOfEntries", "total_debit": "TotalDebit", "total_credit": "TotalCredit"}


@dataclass
class Totals:
    """What the ledger of a file holds: `transactions`, `lines`, and the sums of both sides, exactly."""

    transactions: int = 0
    lines: int = 0
    debit: Decimal = Decimal(0)
    credit: Decimal = Decimal(0)


@dataclass
class Checked:
    """What a whole file was found to be.

    Args:
        size: bytes of the XML.
        sha256: hexadecimal.
        marks: hash of each piece, by which a second reading knows that it reads the same.
        last_master: which piece ended the last record that is no line, from 0.
        repeated: transactions whose ids come more than once (`lines.Lines`).
        facts: what the header's record says beside the header.
        problems: where control totals differ, in words.
    """

    size: int = 0
    sha256: str = ""
    marks: list[bytes] = field(default_factory=list)
    last_master: int = 0
    repeated: frozenset[int] = frozenset()
    facts: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class _Check:
    """One reading that hands out nothing."""

    def __init__(self, source: Source, wanted: frozenset[str], memory: Memory) -> None:
        self._building = Building(wanted, memory, {}, frozenset(), lambda _: None)
        self.reading = Reading(source, self._record, self._closed)
        self.totals, self.piece, self.last_master = Totals(), 0, 0
        self.given: dict[str, str] = {}
        self._transaction: Holder | None = None
        self._ids = [array("q") for _ in range(_BUCKETS)]

    def _record(self, section: str, element: Element, holder: Holder) -> None:
        if section != "journal_lines":
            self.last_master = self.piece
            self._building.add(section, element, holder)
            # Nothing is handed out before the file is known to be whole.
            self._building.built.clear()
        else:
            self._line(element, holder)

    def _line(self, element: Element, holder: Holder) -> None:
        numbers: Mapping[str, Any] | None = look(element)
        if numbers is None or self._building.company is None:
            numbers = self._building.line(element, holder)
        totals = self.totals
        totals.lines += 1
        if (digits := numbers.get("debit_amount")) is not None:
            totals.debit = _add(totals.debit, Decimal(bytes(digits).decode()))
        if (digits := numbers.get("credit_amount")) is not None:
            totals.credit = _add(totals.credit, Decimal(bytes(digits).decode()))
        transaction = transaction_of(holder)
        if transaction is not self._transaction:
            self._transaction = transaction
            mark = hash(identity(transaction))
            self._ids[mark % _BUCKETS].append(mark)

    def _closed(self, holder: Holder) -> None:
        if holder.name == "Transaction":
            self.totals.transactions += 1
        elif holder.name == "GeneralLedgerEntries":
            for name, element in _CONTROLS.items():
                given = holder.fields.get(name)
                if isinstance(given, str) and given.strip():
                    try:
                        self.given[name] = (number(given, element) or b"").decode()
                    except Unfit as unfit:
                        raise Unfit(unfit.words, None, (f"{_LEDGER}/{element}", 1)) from None
                elif given is not None and not isinstance(given, str):
                    raise Unfit(f"{element} stands there more than once", None, (f"{_LEDGER}/{element}", 2))

    def finish(self) -> None:
        self.reading.finish()
        if self._building.company is None:
            raise Stop(f"{self.reading.source.shown}: there is no Header in it, so nobody knows whose books it holds.")
        self._building.finish()

    def repeated(self) -> frozenset[int]:
        """Return the transactions whose ids came more than once; of a bucket at a time, for there may be millions."""
        found: set[int] = set()
        for bucket in self._ids:
            once: set[int] = set()
            if len(set(bucket)) < len(bucket):
                for mark in bucket:
                    (found if mark in once else once).add(mark)
        return frozenset(found)

    def problems(self) -> Iterator[str]:
        """Yield what the control totals say otherwise than the ledger, in words."""
        totals = self.totals
        for name, held, what in (
            ("number_of_entries", {Decimal(totals.transactions), Decimal(totals.lines)}, "entries"),
            ("total_debit", {totals.debit}, "debit"),
            ("total_credit", {totals.credit}, "credit"),
        ):
            if name in self.given and Decimal(self.given[name]) not in held:
                holds = (
                    f"{totals.transactions} transactions of {totals.lines} lines"
                    if what == "entries"
                    else f"{totals.debit if what == 'debit' else totals.credit} in {what}"
                )
                yield f"{_CONTROLS[name]} says {self.given[name]}, but the file holds {holds}"


def check(source: Source, wanted: frozenset[str], memory: Memory) -> Checked:
    """Read a file to its end.

    Raises:
        Stop: it is not whole, no SAF-T, or holds what cannot be used.
    """
    checked, digest = Checked(), hashlib.sha256()
    checking = _Check(source, wanted, memory)
    with source.opened() as file:
        for place, piece in enumerate(pieces(file)):
            checking.piece = place
            checking.reading.feed(piece)
            digest.update(piece)
            checked.size += len(piece)
            checked.marks.append(_mark(piece))
    checking.piece = len(checked.marks)
    checking.finish()
    checked.sha256, checked.last_master = digest.hexdigest(), checking.last_master
    checked.repeated, checked.problems = checking.repeated(), list(checking.problems())
    checked.facts = {
        "file": source.name,
        "file_size": checked.size,
        "file_sha256": checked.sha256,
        "namespace": checking.reading.root.namespace if checking.reading.root else "",
        **checking.given,
    }
    return checked


def portions(
    source: Source, checked: Checked, wanted: frozenset[str], memory: Memory, warn: Callable[[str], None]
) -> Iterator[dict[str, list[Record]]]:
    """Yield the records of a file that was checked, by stream, a piece at a time.

    Raises:
        Stop: the file is not what it was when it was checked.
    """
    building = Building(wanted, memory, checked.facts, checked.repeated, warn)
    reading = Reading(source, building.add, lambda _: None)
    masters_only = "journal_lines" not in wanted
    with source.opened() as file:
        for place, piece in enumerate(pieces(file)):
            if place >= len(checked.marks) or _mark(piece) != checked.marks[place]:
                raise _changed(source)
            reading.feed(piece)
            if masters_only and place == checked.last_master:
                break
            if building.built:
                yield building.built
                building.built = {}
        else:
            if place + 1 < len(checked.marks):
                raise _changed(source)
            reading.finish()
    building.finish()
    yield building.built


def _changed(source: Source) -> Stop:
    return Stop(
        f"{source.shown} was changed while it was read. What was written of it comes again; run anew when whoever "
        "writes it is done."
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
    """Return what a file's header says, reading no further; None if that cannot be told: `check` will say why."""
    building = Building(frozenset(), Memory({}), {}, frozenset(), lambda _: None)

    def record(section: str, element: Element, holder: Holder) -> None:
        if section == "header":
            building.add(section, element, holder)
        raise _Enough

    reading = Reading(source, record, lambda _: None)
    try:
        with source.opened() as file:
            for piece in pieces(file):
                reading.feed(piece)
        reading.finish()
    except (_Enough, Stop):
        pass
    return building.company
