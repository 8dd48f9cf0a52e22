"""Singer input as it was given to target-vicai, against what Vic.ai holds now."""

from __future__ import annotations

from decimal import Decimal

from ap_http.payload import text
from ap_tieout.amounts import add, counted, money
from ap_tieout.compare import Options, changes, judge
from ap_tieout.compare import compare as compare_books
from ap_tieout.facts import Book
from ap_tieout.loaded_found import Found
from ap_tieout.loaded_input import Input, Inputs, read
from ap_tieout.tie import Comparison, Tie
from vicai.client import Forbidden, NotFound, VicaiClient

__all__ = ["Inputs", "compare", "read"]


def compare(
    client: VicaiClient,
    given: Inputs,
    options: Options | None = None,
    *,
    rejects: Inputs | None = None,
    complete: bool = False,
) -> Tie:
    """Compare an input with what Vic.ai holds.

    Args:
        client: reads Vic.ai.
        given: what was loaded.
        options: how many differences are named, and which count.
        rejects: what the loads rejected; a difference of a record that is in there is explained.
        complete: whether the input is all that Vic.ai is to hold; else what else there is does not count.

    Raises:
        Stop: the credentials are wrong. Outage: Vic.ai failed for too long.
    """
    options, rejects = options or Options(), rejects or Inputs()
    tie = Tie("input-vic", "input", "Vic.ai")
    company = text(client.company(), "company") or ""
    for stream in given.streams.values():
        tie.comparisons.append(_Stream(client, options, stream, rejects, company).compared(complete=complete))
    tie.notes += [
        f"{name}: {counted(count, 'record')} that cannot be compared." for name, count in given.others.items()
    ]
    if not tie.comparisons:
        tie.notes.append("The input holds no record of a stream that can be compared.")
    return tie


class _Stream:
    """The comparison of one stream."""

    def __init__(self, client: VicaiClient, options: Options, given: Input, rejects: Inputs, company: str) -> None:
        self._client = client
        self._given = given
        self._loaded = given.loaded
        self._reasons = {key: why for (stream, key), why in rejects.reasons.items() if stream == given.loaded.stream}
        self._company = company
        self._comparison = options.comparison(given.loaded.stream)
        self._ours, self._theirs = Book(), Book()
        self._found = Found(given)
        self._explained: dict[str, list[str | None]] = {}

    def compared(self, *, complete: bool) -> Comparison:
        """Return the comparison."""
        self._list()
        self._ask_singly()
        for key in self._given.book:
            self._pair(key)
        for key in sorted(self._given.deleted):
            if key in self._found.book:
                self._comparison.tell("changed", key, "", "the input says that it is deleted, and Vic.ai still has it")
        for place in self._given.keyless:
            self._comparison.tell("missing", place, "", "the record has no natural key")
        others = list(self._found.others)
        if complete:
            for number, key in enumerate(others):
                if fact := self._found.others.get(key):
                    self._theirs.put(
                        f"{fact.label or key}" if fact.label not in self._theirs else f"{number} {key}", fact
                    )
        elif others:
            self._comparison.notes.append(
                f"Vic.ai holds {counted(len(others), 'record')} that the input does not speak of (see --complete)."
            )
        compare_books(self._comparison, self._ours, self._theirs, judged=True)
        self._tell_explained()
        return self._comparison

    def _list(self) -> None:
        try:
            for record in self._loaded.kind.read(self._client, None):
                number = text(record, "internalId") or text(record, "id") or ""
                self._found.take(number, self._loaded.known_by(record), self._loaded.shown(self._company, record))
        except Forbidden as error:
            if self._loaded.one_by_one is None:
                raise
            self._found.listed = False
            self._comparison.notes.append(f"{error} So each record was asked for by itself.")

    def _ask_singly(self) -> None:
        """Ask for what the list leaves in doubt: namesakes, and what it does not show under the names we know."""
        if self._loaded.one_by_one is None:
            return
        operation, query = self._loaded.one_by_one
        for key in self._found.doubtful():
            try:
                present = self._client.get(operation, id=key, **query)
            except NotFound:
                self._found.settle(key, None)
            else:
                self._found.settle(key, self._loaded.shown(self._company, present))

    def _pair(self, key: str) -> None:
        """Put both sides of a record into the books, or aside if a reject explains why they differ."""
        mine, other = self._given.book.get(key), self._found.book.get(key)
        assert mine is not None  # noqa: S101 - the key is the book's own
        judge(self._comparison, key, mine)
        mine.company = self._company
        if other is not None:
            self._loaded.comparable(mine, other)
        words = "it is not at Vic.ai" if other is None else ", ".join(changes(mine, other))
        if words and (reason := self._reasons.get(key)):
            self._comparison.tell("explained", key, "", f"{words}; rejected: {reason}")
            self._explained.setdefault(mine.currency, []).append(mine.amounts[2])
            return
        self._ours.put(key, mine)
        if other is not None:
            self._theirs.put(key, other)
            if (times := self._found.times(key)) > 1:
                self._theirs.doubled[key] = times

    def _tell_explained(self) -> None:
        for currency, amounts in sorted(self._explained.items()):
            given = [Decimal(amount) for amount in amounts if amount is not None]
            worth = f", {money(add(*given))} {currency}".rstrip() if given else ""
            self._comparison.notes.append(
                f"{counted(len(amounts), 'record')} rejected{worth}: left out of the sums of both sides."
            )
