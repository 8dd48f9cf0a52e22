"""Two books, compared: document by document, and in sums by company, period and currency."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from ap_connectors.core.exact import EXACT, counted
from ap_connectors.core.instants import UTC, Clock
from ap_connectors.tieout import fields
from ap_connectors.tieout.facts import AMOUNT_NAMES, Book, Fact, Lines
from ap_connectors.tieout.result import Comparison, Place, Row, Sums
from ap_connectors.tieout.warehouse import Table

# Documents without a file, where the warehouse knows of files.


def compare_files(comparison: Comparison, table: Table | None, owner: str, book: Book, *, read: bool = False) -> None:
    """Say which documents of a book have no file.

    Args:
        comparison: where to say it.
        table: of the files, or None if the warehouse has none.
        owner: its column with the document's key.
        book: the warehouse's documents.
        read: whether each file is read, and its SHA-256 compared.
    """
    if table is None:
        comparison.notes.append("Files are not in the warehouse (documents_dir is not set): they are not compared.")
        return
    table.demand((owner, "path"))
    reasons: dict[str, str | None] = {}
    for row in table.records((owner, "path", "error", "sha256")):
        if path := row["path"]:
            reasons[str(row[owner])] = fields.file_trouble(path, row["sha256"]) if read else None
        else:
            reasons[str(row[owner])] = row["error"] or "it has no path"
    for key in book:
        reason = reasons.get(key, f"no row in {table.name}")
        fact = book.get(key)
        if reason is not None and fact is not None:
            comparison.tell("file", key, fact.label, reason)


NAMED = 20
"""How many differences of each kind are named unless told otherwise."""


@dataclass(frozen=True)
class Options:
    """How to compare.

    Args:
        since: what is older than this (an instant) is left out; None for all.
        until: what is newer than this is left out; None for what is newer than anything at the destination; "now" for
            nothing at all.
        named: how many differences of each kind are named.
        allowed: kinds of differences that do not count (see `tie.KINDS`).
        fields: whether every field is compared, digit for digit.
        files: whether every file is read and its SHA-256 compared.

    Raises:
        Stop: `since` or `until` is no instant.
    """

    since: str | None = None
    until: str | None = None
    named: int = NAMED
    allowed: frozenset[str] = frozenset()
    fields: bool = False
    files: bool = False

    def window(self, theirs: Book, clock: Clock = UTC) -> Window:
        """Return what is compared, given what the destination holds, and whose times versions bear."""
        since = clock.setting("--since", self.since) if self.since else None
        if self.until:
            until = None if self.until == "now" else clock.setting("--until", self.until)
        else:
            known = (theirs.get(key) for key in theirs)
            until = max((fact.at for fact in known if fact and fact.at is not None), default=None)
        return Window(since, until)

    def comparison(self, stream: str, window: Window | None = None, clock: Clock = UTC) -> Comparison:
        """Return an empty comparison."""
        as_of = clock.text(window.until) if window and window.until is not None else None
        return Comparison(stream, as_of, most=self.named, allowed=self.allowed)


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

    def take(self, book: Book, key: str, fact: Fact, *, keyed: bool = True) -> None:
        """Take a document of the source into its book, or remember that it is too new."""
        if self.is_newer(fact.at):
            book.newer.add(key)
            book.drop(key)
        elif key not in book.newer and self.holds(fact.at):
            book.add(key, fact, keyed=keyed)

    def leave_out(self, ours: Book, theirs: Book) -> None:
        """Take out of the destination's book what cannot be compared with the source."""
        for key in list(theirs):
            fact = theirs.get(key)
            if key not in ours and fact and (key in ours.newer or not self.holds(fact.at)):
                theirs.drop(key)


def compare(
    comparison: Comparison, ours: Book, theirs: Book, *, lines: bool = True, judged: bool = False, clock: Clock = UTC
) -> None:
    """Fill a comparison with sums and differences of two books.

    Args:
        comparison: to be filled.
        ours: the source's book.
        theirs: the destination's book.
        lines: whether both know the lines.
        judged: whether what is wrong with documents in themselves was told before.
        clock: whose times their versions bear.
    """
    comparison.newer = len(ours.newer)
    rows: dict[Place, Row] = {}
    for key in ours:
        mine, other = ours.get(key), theirs.get(key)
        assert mine is not None  # noqa: S101 - the key is the book's own
        row = _row(rows, mine)
        row.source = row.source.plus(_sums(mine, lines))
        if not judged:
            judge(comparison, key, mine)
        if other is None:
            comparison.tell("missing", key, mine.label, summary(mine))
        elif words := ", ".join(changes(mine, other, clock, lines=lines)):
            comparison.tell("older" if (other.at or 0) < (mine.at or 0) else "changed", key, mine.label, words)
    for key in theirs:
        other = theirs.get(key)
        assert other is not None  # noqa: S101 - as above
        times = theirs.doubled.get(key, 1)
        row = _row(rows, other)
        for _ in range(times):
            row.destination = row.destination.plus(_sums(other, lines))
        if times > 1:
            comparison.tell("doubled", key, other.label, f"{times} times")
        if key not in ours:
            comparison.tell("extra", key, other.label, summary(other))
    comparison.rows = [rows[place] for place in sorted(rows)]


def _row(rows: dict[Place, Row], fact: Fact) -> Row:
    place = (fact.company, fact.period, fact.currency)
    return rows.setdefault(place, Row(place))


def _sums(fact: Fact, lines: bool) -> Sums:
    given = fact.amounts if lines else fact.stated
    subtotal, vat, total = (None if amount is None else Decimal(amount) for amount in given)
    return Sums(1, fact.lines.count if lines and fact.lines else None, subtotal, vat, total)


def judge(comparison: Comparison, key: str, fact: Fact) -> None:
    """Say what is wrong with a document in itself: amounts that are none, lines that do not add up to the header."""
    unreadable = [*fact.unreadable, *(f"a line's {words}" for words in (fact.lines.unreadable if fact.lines else ()))]
    if unreadable:
        comparison.tell("unreadable", key, fact.label, ", ".join(unreadable[:3]))
    if words := ", ".join(_off(fact)):
        comparison.tell("header", key, fact.label, words)


def _off(fact: Fact) -> Iterator[str]:
    if fact.lines is None or not fact.lines.count:
        return
    for name, stated, lined in zip(AMOUNT_NAMES, fact.stated, fact.lines.sums, strict=True):
        if stated is not None and lined is not None and stated != lined:
            gap = EXACT.subtract(Decimal(stated), Decimal(lined))
            yield f"{name} {stated}, its lines add up to {lined} ({gap:+f})"


def summary(fact: Fact) -> str:
    """Say what a document is about: its date, total and currency."""
    parts = [fact.date, fact.amounts[2], fact.currency]
    return " ".join(part for part in parts if part)


def changes(mine: Fact, other: Fact, clock: Clock = UTC, *, lines: bool = True) -> Iterator[str]:
    """Yield what differs between both sides of a document, each in words."""
    if mine.at is not None and other.at is not None and mine.at != other.at:
        yield f"its state of {clock.text(mine.at)} is there as of {clock.text(other.at)}"
    pairs = [
        ("company", mine.company, other.company),
        ("date", mine.date, other.date),
        ("currency", mine.currency, other.currency),
        *zip(AMOUNT_NAMES, mine.stated, other.stated, strict=True),
    ]
    for name, ours, theirs in pairs:
        if ours != theirs:
            yield f"{name} {ours or 'nothing'} became {theirs or 'nothing'}"
    if not lines or mine.lines is None:
        return
    if other.lines is None:
        yield f"{counted(mine.lines.count, 'line')} became something that is no list of lines"
    else:
        yield from _line_changes(mine.lines, other.lines)


def _line_changes(mine: Lines, other: Lines) -> Iterator[str]:
    if mine.count != other.count:
        yield f"{counted(mine.count, 'line')} became {other.count}"
    for name, ours, theirs in zip(AMOUNT_NAMES, mine.sums, other.sums, strict=True):
        if ours != theirs:
            yield f"its lines' {name} {ours or 'nothing'} became {theirs or 'nothing'}"
    if (mine.count, mine.sums) == (other.count, other.sums) and mine.trace != other.trace:
        yield "its lines differ, though they add up to the same"
