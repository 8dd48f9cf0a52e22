"""Compares Singer input, as it was given to target-vicai, with what Vic.ai holds now."""

from __future__ import annotations

from decimal import Decimal

from ap_connectors.core.exact import add, counted, money
from ap_connectors.core.raw_json import text
from ap_connectors.tieout.compare import Options, changes, check_document
from ap_connectors.tieout.compare import compare as compare_snapshots
from ap_connectors.tieout.input_streams import Input, Names, StreamInput, read
from ap_connectors.tieout.result import Comparison, Result
from ap_connectors.tieout.snapshot import DocumentSummary, Snapshot
from ap_connectors.vicai.client import Forbidden, NotFound, VicaiClient

_MOST_ONE_BY_ONE = 200
"""Up to how many records that the list does not show are asked for one by one."""


class RemoteRecords:
    """The records that Vic.ai holds, matched to those of the input.

    Attributes:
        snapshot: by the input's natural keys.
        others: records that the input does not name.
        listed: whether the list could be read.
    """

    def __init__(self, given: StreamInput) -> None:
        self.snapshot, self.others = Snapshot(), Snapshot()
        self.listed = True
        self._given = given
        self._owners: dict[tuple[str, str], list[str]] = {}
        for key, names in given.names.items():
            for name in names.items():
                self._owners.setdefault(name, []).append(key)
        self._times: dict[str, int] = {}
        self._namesakes: set[str] = set()
        self._seen: set[str] = set()

    def take(self, number: str, names: Names, document: DocumentSummary) -> None:
        """Match a record of Vic.ai's list.

        Args:
            number: Vic's id of it, or "".
            names: what it is found by.
            document: what is compared of it.
        """
        if number and number in self._seen:
            return
        self._seen.add(number)
        keys = next((keys for name in names.items() if (keys := self._of(name, names))), [])
        for key in keys:
            self._times[key] = self._times.get(key, 0) + 1
            if key not in self.snapshot:
                self.snapshot.put(key, document)
            if len(keys) > 1 or self._times[key] > 1:
                self._namesakes.add(key)
        if not keys:
            self.others.put(number or f"{' '.join(names.values())} #{len(self.others)}", document)

    def _of(self, name: tuple[str, str], names: Names) -> list[str]:
        """Return the keys of a name, but for those that a surer name tells apart."""
        fields = list(names)
        surer = {field: names[field] for field in fields[: fields.index(name[0])]}
        return [
            key
            for key in self._owners.get(name, ())
            if all(self._given.names[key].get(field, value) == value for field, value in surer.items())
        ]

    def unresolved(self) -> list[str]:
        """Return the keys that the list does not match for sure."""
        wanted = list(self._given.names)
        missing = [key for key in wanted if key not in self.snapshot]
        few = not self.listed or len(missing) <= _MOST_ONE_BY_ONE
        return [*(key for key in wanted if key in self._namesakes), *(missing if few else ())]

    def resolve(self, key: str, document: DocumentSummary | None) -> None:
        """Match what Vic.ai answered for one record; None if it does not have it."""
        self._times.pop(key, None)
        self.snapshot.drop(key)
        if document is not None:
            self.snapshot.put(key, document)

    def times(self, key: str) -> int:
        """Return how often the list showed a record."""
        return self._times.get(key, 1)


__all__ = ["Input", "compare", "read"]


def compare(
    client: VicaiClient,
    given: Input,
    options: Options | None = None,
    *,
    rejects: Input | None = None,
    complete: bool = False,
) -> Result:
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
    options, rejects = options or Options(), rejects or Input()
    result = Result("input-vic", "input", "Vic.ai")
    company = text(client.company(), "company") or ""
    for stream in given.streams.values():
        result.comparisons.append(_Stream(client, options, stream, rejects, company).compared(complete=complete))
    result.notes += [
        f"{name}: {counted(count, 'record')} that cannot be compared." for name, count in given.others.items()
    ]
    if not result.comparisons:
        result.notes.append("The input has no records of streams that can be compared.")
    return result


class _Stream:
    """The comparison of one stream."""

    def __init__(self, client: VicaiClient, options: Options, given: StreamInput, rejects: Input, company: str) -> None:
        self._client = client
        self._given = given
        self._spec = given.spec
        self._reasons = {key: why for (stream, key), why in rejects.reasons.items() if stream == given.spec.stream}
        self._company = company
        self._comparison = options.comparison(given.spec.stream)
        self._ours, self._theirs = Snapshot(), Snapshot()
        self._found = RemoteRecords(given)
        self._explained: dict[str, list[str | None]] = {}

    def compared(self, *, complete: bool) -> Comparison:
        """Return the comparison."""
        self._list()
        self._ask_one_by_one()
        for key in self._given.snapshot:
            self._pair(key)
        for key in sorted(self._given.deleted):
            if key in self._found.snapshot:
                self._comparison.add("changed", key, "", "the input says that it is deleted, and Vic.ai still has it")
        for place in self._given.keyless:
            self._comparison.add("missing", place, "", "the record has no natural key")
        others = list(self._found.others)
        if complete:
            for number, key in enumerate(others):
                if document := self._found.others.get(key):
                    self._theirs.put(
                        f"{document.label or key}" if document.label not in self._theirs else f"{number} {key}",
                        document,
                    )
        elif others:
            self._comparison.notes.append(
                f"Vic.ai holds {counted(len(others), 'record')} that the input does not name (see --complete)."
            )
        compare_snapshots(self._comparison, self._ours, self._theirs, checked=True)
        self._note_explained()
        return self._comparison

    def _list(self) -> None:
        try:
            for record in self._spec.spec.read(self._client, None):
                number = text(record, "internalId") or text(record, "id") or ""
                self._found.take(number, self._spec.known_by(record), self._spec.summarize_vic(self._company, record))
        except Forbidden as error:
            if self._spec.one_by_one is None:
                raise
            self._found.listed = False
            self._comparison.notes.append(f"{error} So each record was asked for by itself.")

    def _ask_one_by_one(self) -> None:
        """Ask for what the list leaves in doubt: namesakes, and records that it does not show under known names."""
        if self._spec.one_by_one is None:
            return
        operation, query = self._spec.one_by_one
        for key in self._found.unresolved():
            try:
                present = self._client.get(operation, id=key, **query)
            except NotFound:
                self._found.resolve(key, None)
            else:
                self._found.resolve(key, self._spec.summarize_vic(self._company, present))

    def _pair(self, key: str) -> None:
        """Put both sides of a record into the snapshots; leave it out if a reject explains why they differ."""
        mine, other = self._given.snapshot.get(key), self._found.snapshot.get(key)
        assert mine is not None  # noqa: S101 - the key comes from the snapshot
        check_document(self._comparison, key, mine)
        mine.company = self._company
        if other is not None:
            self._spec.comparable(mine, other)
        words = "it is not at Vic.ai" if other is None else ", ".join(changes(mine, other))
        if words and (reason := self._reasons.get(key)):
            self._comparison.add("explained", key, "", f"{words}; rejected: {reason}")
            self._explained.setdefault(mine.currency, []).append(mine.amounts[2])
            return
        self._ours.put(key, mine)
        if other is not None:
            self._theirs.put(key, other)
            if (times := self._found.times(key)) > 1:
                self._theirs.doubled[key] = times

    def _note_explained(self) -> None:
        for currency, amounts in sorted(self._explained.items()):
            given = [Decimal(amount) for amount in amounts if amount is not None]
            worth = f", {money(add(*given))} {currency}".rstrip() if given else ""
            self._comparison.notes.append(
                f"{counted(len(amounts), 'record')} rejected{worth}: left out of the sums of both sides."
            )
