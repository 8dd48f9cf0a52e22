"""Compares Singer input, as it was given to target-vicai, with what Vic.ai holds now."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from ap_connectors.core.errors import Stop
from ap_connectors.core.exact import add, counted, money
from ap_connectors.core.progress import watched
from ap_connectors.core.raw_json import Record, text
from ap_connectors.http.concurrency import ordered
from ap_connectors.tieout.compare import Options, changes, check_document
from ap_connectors.tieout.compare import compare as compare_snapshots
from ap_connectors.tieout.document_vendors import settle
from ap_connectors.tieout.input_fields import FORMER_KEY, decoded
from ap_connectors.tieout.input_streams import Input, Names, StreamInput, by_spelling, read, text_of
from ap_connectors.tieout.result import Comparison, Result
from ap_connectors.tieout.snapshot import DocumentSummary, Snapshot
from ap_connectors.tieout.vic_streams import INTERNAL
from ap_connectors.tieout.warehouse import spelling
from ap_connectors.vicai.client import Forbidden, NotFound, VicaiClient

_AT_ONCE = 8
_NAMED_BY_ID = {
    "paymentTermName": ("paymentTermId", "listPaymentTerms"),
    "vendorGroupName": ("vendorGroupId", "listVendorGroups"),
}
"""References that an input gives by name: the field that Vic.ai shows of them, and the list of names."""
_MOST_ONE_BY_ONE = 200
"""Up to how many records that the list does not show are asked for one by one."""


class RemoteRecords:
    """The records that Vic.ai holds, matched to those of the input.

    Attributes:
        snapshot: by the input's natural keys.
        others: records that the input does not name.
        listed: whether the list could be read.
        fields: of which records fields differ, and how, in words.
        ids: Vic's ids of them.
    """

    def __init__(self, given: StreamInput, differences: Callable[[str, Record], list[str]]) -> None:
        self.fields: dict[str, list[str]] = {}
        self.ids: dict[str, str] = {}
        self._differences = differences
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

    def take(self, record: Record, names: Names, document: DocumentSummary) -> None:
        """Match a record of Vic.ai's list.

        Args:
            record: as Vic.ai shows it.
            names: what it is found by.
            document: what is compared of it.
        """
        number = _id_of(record)
        if number and number in self._seen:
            return
        self._seen.add(number)
        keys = next((keys for name in names.items() if (keys := self._of(name, names))), [])
        for key in keys:
            self._times[key] = self._times.get(key, 0) + 1
            if key not in self.snapshot:
                self._put(key, record, document)
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

    def resolve(self, key: str, record: Record | None, document: DocumentSummary | None) -> None:
        """Match what Vic.ai answered for one record; None if it does not have it."""
        self._times.pop(key, None)
        self.snapshot.drop(key)
        self.fields.pop(key, None)
        if record is not None and document is not None:
            self._put(key, record, document)

    def adopt(self, key: str, record: Record, document: DocumentSummary) -> None:
        """Match a record of the list that no name matched."""
        self.others.drop(_id_of(record))
        self._put(key, record, document)

    def _put(self, key: str, record: Record, document: DocumentSummary) -> None:
        self.snapshot.put(key, document)
        self.ids[key] = _id_of(record)
        if words := self._differences(key, record):
            self.fields[key] = words

    def times(self, key: str) -> int:
        """Return how often the list showed a record."""
        return self._times.get(key, 1)


def _id_of(record: Record) -> str:
    return text(record, "internalId") or text(record, "id") or ""


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
        Stop: the credentials are wrong, or the input has no stream that can be compared.
        Outage: Vic.ai failed for too long.
    """
    options, rejects = options or Options(), rejects or Input()
    if given.others and not given.streams:
        found = ", ".join(f"{name} ({counted(count, 'record')})" for name, count in given.others.items())
        raise Stop(
            f"Nothing of the input can be compared: {found}. Hand in what the target loads, with the contract's names "
            "of streams and fields; stream_maps of its settings are not applied here."
        )
    files = [one.name for one in given.files]
    result = Result("input-vic", "input", "Vic.ai", files=files, inputs=given.files, reject_files=rejects.files)
    result.company = company = text(client.company(), "company") or ""
    result.notes += settle(client, given)
    for stream in given.streams.values():
        result.comparisons.append(_Stream(client, options, stream, rejects, company).compared(complete=complete))
    result.not_compared += [
        f"{name} is not compared: {counted(count, 'record')}." for name, count in given.others.items()
    ]
    if not result.comparisons:
        result.notes.append("The input has no records of streams that can be compared.")
    return result


class _Stream:
    """The comparison of one stream."""

    def __init__(self, client: VicaiClient, options: Options, given: StreamInput, rejects: Input, company: str) -> None:
        self._client, self._options = client, options
        self._given = given
        self._spec = given.spec
        self._reasons = {key: why for (stream, key), why in rejects.reasons.items() if stream == given.spec.stream}
        self._company = company
        self._comparison = options.comparison(given.spec.stream)
        self._ours, self._theirs = Snapshot(), Snapshot()
        self._stated = given.spec.stated_fields()
        self._names_of: dict[str, dict[str, str]] = {}
        self._found = RemoteRecords(given, self._differences)
        self._comparison.sides = (given.snapshot, self._found.snapshot, self._found.others)
        self._explained: dict[str, list[str | None]] = {}

    def compared(self, *, complete: bool) -> Comparison:
        """Return the comparison."""
        self._list()
        self._ask_one_by_one()
        if self._options.line_items:
            self._compare_single_lines()
        for key, place in self._given.too_deep.items():
            words = f"{place} is nested too deeply to be read, so it is not compared whole"
            self._found.fields.setdefault(key, []).append(words)
        for key in self._given.snapshot:
            self._pair(key)
        for key, why in sorted(self._given.deleted.items()):
            if key in self._found.snapshot:
                words = f"the input says that {why}, and Vic.ai still has it"
                if reason := self._reasons.get(key):
                    self._comparison.add("explained", key, "", words, reason)
                else:
                    self._comparison.add("changed", key, "", words)
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
                f"Vic.ai holds {counted(len(others), 'record')} that the input does not name; that does not matter "
                "here."
            )
        compare_snapshots(self._comparison, self._ours, self._theirs, checked=True)
        self._note_not_compared()
        self._note_explained()
        return self._comparison

    def _note_not_compared(self) -> None:
        if self._comparison.booking.leave_out_codes():
            self._comparison.not_compared.append(
                "Lines of the input have no VAT code, and Vic.ai has one for them: VAT by code is not compared."
            )
        if unknown := self._given.unknown:
            self._comparison.unknown_fields += unknown
            what = "Columns of the list" if self._given.is_list else "Fields of the input"
            self._comparison.not_compared.append(
                f"{what} that Vic.ai does not have: {', '.join(unknown)} (misspelt?): not loaded and not compared."
            )
        if unshown := self._stated.unshown - unknown.keys():
            names = ", ".join(sorted(unshown))
            self._comparison.not_compared.append(f"Vic.ai does not show {names}: not compared.")

    def _list(self) -> None:
        former = self._former_keys()
        before: dict[str, Record] = {}
        try:
            for record in watched(self._spec.spec.read(self._client, None), self._spec.stream):
                document = self._spec.summarize_vic(self._company, record)
                self._found.take(record, self._spec.known_by(record), document)
                if (key := former.get(text(record, "externalId") or "")) is not None:
                    before[key] = record
        except Forbidden as error:
            if self._spec.one_by_one is None:
                raise
            self._found.listed = False
            self._comparison.notes.append(f"{error} So each record was asked for by itself.")
        for key, record in before.items():
            if key not in self._found.snapshot:
                self._found.adopt(key, record, self._spec.summarize_vic(self._company, record))

    def _former_keys(self) -> dict[str, str]:
        """Return the keys of records by those that an earlier version gave them: target-vicai may go on with these."""
        keys = {}
        for key in self._given.snapshot if self._spec.component == "VatCode" else ():
            former = text_of(by_spelling(self._given.records.get(key)), FORMER_KEY)
            if former and former != key:
                keys[former] = key
        return keys

    def _ask_one_by_one(self) -> None:
        """Ask for what the list leaves in doubt: namesakes, and records that it does not show under known names."""
        if self._spec.one_by_one is None:
            return
        operation, query = self._spec.one_by_one
        for key in self._found.unresolved():
            try:
                present = self._client.get(operation, id=key, **query)
            except NotFound:
                self._found.resolve(key, None, None)
            else:
                self._found.resolve(key, present, self._spec.summarize_vic(self._company, present))

    def _differences(self, key: str, record: Record) -> list[str]:
        """Return what Vic.ai holds of a record otherwise than it was given."""
        if not self._options.fields:
            return []
        given, shown = self._given.records.get(key), decoded(record)
        for field, (id_field, operation) in _NAMED_BY_ID.items():
            if any(spelling(name) == spelling(field) for name in given) and shown.get(id_field):
                shown[field] = self._name_of(operation, str(shown[id_field]))
        return self._stated.differences(given, shown)

    def _name_of(self, operation: str, id_: str) -> str | None:
        if operation not in self._names_of:
            records = (decoded(one) for page in self._client.pages(operation) for one in page)
            self._names_of[operation] = {str(one["id"]): str(one["name"]) for one in records}
        return self._names_of[operation].get(id_)

    def _compare_single_lines(self) -> None:
        """Compare the lines of what Vic.ai shows with fewer, grouped lines; this takes a request for each record."""
        if not self._spec.grouped or not self._options.fields:
            return
        stated = {key: lines for key in self._found.ids if (lines := self._lines_of(key)) and self._is_grouped(key)}

        def read(key: str) -> tuple[str, list[Record]]:
            return key, self._client.whole_list("getInvoicelineItems", id=self._found.ids[key], **INTERNAL)

        for key, lines in ordered(read, stated, workers=_AT_ONCE):
            if words := self._stated.line_differences(stated[key], [decoded(one) for one in lines]):
                self._found.fields.setdefault(key, []).extend(words)

    def _is_grouped(self, key: str) -> bool:
        mine, other = self._given.snapshot.get(key), self._found.snapshot.get(key)
        return bool(mine and other and mine.lines and other.lines and mine.lines.count != other.lines.count)

    def _lines_of(self, key: str) -> list[Any]:
        given = {spelling(name): value for name, value in self._given.records.get(key).items()}
        lines = given.get("lineitems")
        return [line for line in lines if isinstance(line, dict)] if isinstance(lines, list) else []

    def _pair(self, key: str) -> None:
        """Put both sides of a record into the snapshots; leave it out if a reject explains why they differ."""
        mine, other = self._given.snapshot.get(key), self._found.snapshot.get(key)
        assert mine is not None  # noqa: S101 - the key comes from the snapshot
        check_document(self._comparison, key, mine)
        mine.company = self._company
        if other is not None:
            self._spec.comparable(mine, other)
        told = [*changes(mine, other), *self._found.fields.get(key, ())] if other else ["it is not at Vic.ai"]
        words = ", ".join(told)
        if words and mine.label == key:
            # A key says little to people.
            mine.label = text_of(by_spelling(self._given.records.get(key)), "name") or key
        if words and (reason := self._reasons.get(key)):
            self._comparison.add("explained", key, mine.label if mine.label != key else "", words, reason)
            self._explained.setdefault(mine.currency, []).append(mine.amounts[2])
            return
        self._ours.put(key, mine)
        if other is not None:
            self._theirs.put(key, other)
            if fields := self._found.fields.get(key):
                self._comparison.add("field", key, mine.label if mine.label != key else "", ", ".join(fields))
            if (times := self._found.times(key)) > 1:
                self._theirs.doubled[key] = times

    def _note_explained(self) -> None:
        for currency, amounts in sorted(self._explained.items()):
            given = [Decimal(amount) for amount in amounts if amount is not None]
            worth = f", {money(add(*given))} {currency}".rstrip() if given else ""
            self._comparison.notes.append(
                f"{counted(len(amounts), 'record')} rejected{worth}: left out of the sums of both sides."
            )
