"""Compares two snapshots: document by document, and in sums by company, period and currency."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from ap_connectors.core.exact import EXACT, counted, money
from ap_connectors.core.instants import UTC, Clock
from ap_connectors.tieout import fields
from ap_connectors.tieout.result import Comparison, Group, Result, Row, Sums
from ap_connectors.tieout.snapshot import AMOUNT_NAMES, DocumentSummary, LinesSummary, Snapshot
from ap_connectors.tieout.warehouse import Table, Warehouse


def compare_files(
    comparison: Comparison,
    table: Table | None,
    owner: str,
    snapshot: Snapshot,
    *,
    read: bool = False,
    downloaded: bool = False,
) -> None:
    """Report which documents of a snapshot have no file.

    Args:
        comparison: where to report it.
        table: of the files, or None if the warehouse has none.
        owner: its column with the document's key.
        snapshot: the warehouse's documents.
        read: whether each file is read, and its SHA-256 compared.
        downloaded: whether the tap downloads files (its `documents_dir` is set).
    """
    if table:
        table.require((owner, "path"))
    # A table is made when its stream is selected, also where no file was ever downloaded.
    if table is None or not (downloaded or table.count()):
        comparison.not_compared.append(
            "Files are not in the warehouse (documents_dir is not set): they are not compared."
        )
        return
    if not read:
        comparison.not_compared.append(
            "Files are looked for in the warehouse only: what is in them is not compared without --files."
        )
    reasons: dict[str, str | None] = {}
    named, files = comparison.named, {}
    for row in table.records((owner, "path", "error", "sha256")):
        key = str(row[owner])
        if path := row["path"]:
            reasons[key] = fields.file_problem(path, row["sha256"]) if read else None
            if key in named:
                files[key] = path
        else:
            reasons[key] = row["error"] or "it has no path"
    comparison.name_files(files)
    for key in snapshot:
        reason = reasons.get(key, f"no row in {table.name}")
        document = snapshot.get(key)
        if reason is not None and document is not None:
            comparison.add("file", key, document.label, reason)


NAMED_BY_DEFAULT = 20
"""How many differences of each type are named unless told otherwise."""


@dataclass(frozen=True)
class Options:
    """How to compare.

    Args:
        since: what is older than this (an instant) is left out; None for all.
        until: what is newer than this is left out; None for what is newer than anything at the destination; "now" for
            nothing at all.
        named: how many differences of each type are named.
        allowed: types of differences that do not count (see `result.DIFFERENCE_TYPES`).
        fields: whether every field is compared, digit for digit; else amounts, dates, times of change and currencies.
        line_items: whether Vic.ai is asked for the lines of each invoice, to compare `invoice_line_items`.
        files: whether every file is read and its SHA-256 compared.
        downloaded: whether the tap downloads files (its `documents_dir` is set).

    Raises:
        Stop: `since` or `until` is not an instant.
    """

    since: str | None = None
    until: str | None = None
    named: int = NAMED_BY_DEFAULT
    allowed: frozenset[str] = frozenset()
    fields: bool = True
    line_items: bool = True
    files: bool = False
    downloaded: bool = False

    def window(self, theirs: Snapshot, clock: Clock = UTC) -> Window:
        """Return what is compared, given what the destination holds, and in whose time versions are."""
        since = clock.setting("--since", self.since) if self.since else None
        if self.until:
            until = None if self.until == "now" else clock.setting("--until", self.until)
        else:
            known = (theirs.get(key) for key in theirs)
            until = max((document.at for document in known if document and document.at is not None), default=None)
        return Window(since, until)

    def comparison(self, stream: str, window: Window | None = None, clock: Clock = UTC) -> Comparison:
        """Return an empty comparison."""
        as_of = clock.text(window.until) if window and window.until is not None else None
        return Comparison(stream, as_of, most=self.named, allowed=self.allowed)

    def note(self, result: Result, warehouse: Warehouse) -> Result:
        """Add to a result from when on it compares, and what of the warehouse was not looked at."""
        result.since = self.since or ""
        if not self.fields:
            result.not_compared.append(
                "Only keys, times of change, dates, currencies and amounts are compared (--no-fields)."
            )
        if others := warehouse.others:
            result.not_compared.append(f"Tables that are not compared: {', '.join(others)}.")
        return result

    @staticmethod
    def require_booked(comparison: Comparison, table: Table, names: Iterable[str], *, owes: bool) -> None:
        """Leave out VAT by code and the AP balance if the warehouse lacks a field that they go by."""
        comparison.booking.owes = owes
        if lacking := next((name for name in names if not table.has(name)), None):
            comparison.booking.lacking = lacking
            comparison.not_compared.append(
                f"{table.name} has no column {lacking}, so VAT by code and what is owed are not told."
            )

    def compare_files(self, comparison: Comparison, table: Table | None, owner: str, snapshot: Snapshot) -> None:
        """Report which documents of a snapshot have no file (see `compare_files`)."""
        compare_files(comparison, table, owner, snapshot, read=self.files, downloaded=self.downloaded)


@dataclass(frozen=True)
class Window:
    """Which versions are compared: from `since` to `until` (milliseconds since 1970), both inclusive."""

    since: int | None = None
    until: int | None = None

    def holds(self, at: int | None) -> bool:
        """Whether a version is compared; one without an instant always is."""
        return at is None or not (self.is_newer(at) or (self.since is not None and at < self.since))

    def is_newer(self, at: int | None) -> bool:
        """Whether a version is too new."""
        return at is not None and self.until is not None and at > self.until

    def take(self, snapshot: Snapshot, key: str, document: DocumentSummary, *, keyed: bool = True) -> None:
        """Add a document of the source to its snapshot, or remember that it is too new."""
        if self.is_newer(document.at):
            snapshot.newer.add(key)
            snapshot.drop(key)
        elif key not in snapshot.newer and self.holds(document.at):
            snapshot.add(key, document, keyed=keyed)

    def leave_out(self, ours: Snapshot, theirs: Snapshot) -> None:
        """Drop from the destination's snapshot what cannot be compared with the source."""
        for key in list(theirs):
            document = theirs.get(key)
            if key not in ours and document and (key in ours.newer or not self.holds(document.at)):
                theirs.drop(key)


def compare(
    comparison: Comparison,
    ours: Snapshot,
    theirs: Snapshot,
    *,
    lines: bool = True,
    checked: bool = False,
    clock: Clock = UTC,
    versioned: bool = False,
) -> None:
    """Fill a comparison with sums and differences of two snapshots.

    Args:
        comparison: to be filled.
        ours: the source's snapshot.
        theirs: the destination's snapshot.
        lines: whether both know the lines.
        checked: whether `check_document` was called before.
        clock: in whose time their versions are.
        versioned: whether the destination keeps the time of change: a record without it is of an unknown state.
    """
    comparison.newer = len(ours.newer)
    rows: dict[Group, Row] = {}
    for key in ours:
        mine, other = ours.get(key), theirs.get(key)
        assert mine is not None  # noqa: S101 - the key comes from the snapshot
        row = _row(rows, mine)
        row.source = row.source.plus(_sums(mine, lines))
        comparison.booking.add(mine, 0)
        if not checked:
            check_document(comparison, key, mine)
        if other is None:
            comparison.add("missing", key, mine.label, describe(mine))
        elif words := ", ".join(
            [*changes(mine, other, clock, lines=lines), *(() if checked else _held(mine, other, clock, versioned))]
        ):
            is_older = mine.at is not None and other.at is not None and other.at < mine.at
            comparison.add("older" if is_older else "changed", key, mine.label, words)
    for key in theirs:
        other = theirs.get(key)
        assert other is not None  # noqa: S101 - as above
        times = theirs.doubled.get(key, 1)
        row = _row(rows, other)
        for _ in range(times):
            row.destination = row.destination.plus(_sums(other, lines))
        comparison.booking.add(other, 1, times)
        if times > 1:
            comparison.add("doubled", key, other.label, f"{times} times")
        if key not in ours:
            comparison.add("extra", key, other.label, describe(other))
    comparison.rows = [rows[group] for group in sorted(rows)]


def _row(rows: dict[Group, Row], document: DocumentSummary) -> Row:
    group = (document.company, document.period, document.currency)
    return rows.setdefault(group, Row(group))


def _sums(document: DocumentSummary, lines: bool) -> Sums:
    given = document.amounts if lines else document.header
    subtotal, vat, total = (None if amount is None else Decimal(amount) for amount in given)
    return Sums(1, document.lines.count if lines and document.lines else None, subtotal, vat, total)


def check_document(comparison: Comparison, key: str, document: DocumentSummary) -> None:
    """Report what is wrong with a document in itself: unreadable amounts, lines that do not add up to the header."""
    unreadable = [
        *document.unreadable,
        *(f"a line's {words}" for words in (document.lines.unreadable if document.lines else ())),
    ]
    if unreadable:
        comparison.add("unreadable", key, document.label, ", ".join(unreadable[:3]))
    if words := ", ".join(_header_differences(document)):
        comparison.add("header", key, document.label, words)


def _header_differences(document: DocumentSummary) -> Iterator[str]:
    if document.lines is None or not document.lines.count:
        return
    for name, stated, lined in zip(AMOUNT_NAMES, document.header, document.lines.sums, strict=True):
        if stated is not None and lined is not None and stated != lined:
            gap = EXACT.subtract(Decimal(stated), Decimal(lined))
            yield f"{name} {amount(stated)}, its lines add up to {amount(lined)} ({'' if gap < 0 else '+'}{money(gap)})"


def describe(document: DocumentSummary) -> str:
    """Describe a document: its date, total and currency."""
    whole = document.amounts[2]
    parts = [document.date, whole and amount(whole), document.currency]
    return " ".join(part for part in parts if part)


def amount(canonical: str | None) -> str:
    """Return an amount as the tables show it."""
    return "nothing" if canonical is None else money(Decimal(canonical))


def changes(mine: DocumentSummary, other: DocumentSummary, clock: Clock = UTC, *, lines: bool = True) -> Iterator[str]:
    """Yield what differs between both sides of a document, each in words."""
    if mine.at is not None and other.at is not None and mine.at != other.at:
        yield f"its state of {clock.text(mine.at)} is there as of {clock.text(other.at)}"
    pairs = [
        ("company", mine.company, other.company),
        ("date", mine.date, other.date),
        ("currency", mine.currency, other.currency),
    ]
    for name, ours, theirs in pairs:
        if ours != theirs:
            yield f"{name} {ours or 'nothing'} became {theirs or 'nothing'}"
    for name, ours_, theirs_ in zip(AMOUNT_NAMES, mine.header, other.header, strict=True):
        if ours_ != theirs_:
            yield f"{name} {amount(ours_)} became {amount(theirs_)}"
    if not lines or mine.lines is None:
        return
    if other.lines is None:
        yield f"{counted(mine.lines.count, 'line')} became something that is not a list of lines"
    else:
        yield from _line_changes(mine.lines, other.lines)


def _held(mine: DocumentSummary, other: DocumentSummary, clock: Clock, versioned: bool) -> Iterator[str]:
    """Yield what the destination holds in place of a time or an amount, which no sum has: NaN, 1,50."""
    if versioned and mine.at is not None and other.at is None:
        yield f"its state of {clock.text(mine.at)} is there without a time"
    for words in other.unreadable:
        if words not in mine.unreadable:
            yield f"the destination's {words}"
    known = mine.lines.unreadable if mine.lines else ()
    if new := [words for words in (other.lines.unreadable if other.lines else ()) if words not in known]:
        yield f"the destination's line has: {new[0]}"


def _line_changes(mine: LinesSummary, other: LinesSummary) -> Iterator[str]:
    if mine.count != other.count:
        yield f"{counted(mine.count, 'line')} became {other.count}"
    for name, ours, theirs in zip(AMOUNT_NAMES, mine.sums, other.sums, strict=True):
        if ours != theirs:
            yield f"its lines' {name} {amount(ours)} became {amount(theirs)}"
    if (mine.count, mine.sums) == (other.count, other.sums) and mine.trace != other.trace:
        yield "its lines differ, though they add up to the same"
