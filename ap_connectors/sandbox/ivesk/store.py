"""The state of the ivesk half: documents, two queues, uploads, sync errors, subscriptions, columns. No HTTP here."""

from __future__ import annotations

import functools
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import blake2b
from typing import Any

from ap_connectors.core.exact import EXACT
from ap_connectors.core.progress import watched
from ap_connectors.sandbox import clock
from ap_connectors.sandbox.fake_data import SeededRandom
from ap_connectors.sandbox.ivesk import timeline
from ap_connectors.sandbox.ivesk.parties import Parties
from ap_connectors.sandbox.ivesk.queues import Queue
from ap_connectors.sandbox.ivesk.seed import Document, DocumentMaker, PlannedDocument
from ap_connectors.sandbox.options import Options

QUEUES = ("exported", "digitized")
FILE_STATES = ("ok", "gone", "html", "short")
COLUMNS_PAGE = 100


class UnknownDocumentError(LookupError):
    """No document has this id."""


@dataclass(frozen=True)
class Variant:
    """How a document that was ordered through the control API differs from a seeded one."""

    overrides: Mapping[str, Any]
    line_overrides: Mapping[str, Any]
    remove: frozenset[str]

    def apply(self, document: Document) -> Document:
        """Return the document with the replaced, added and removed fields."""
        lines = [{**line, **self.line_overrides} for line in document["lines"]]
        changed = {**document, "lines": lines, **self.overrides}
        return {name: value for name, value in changed.items() if name not in self.remove}


@dataclass
class Upload:
    """One upload location, and what was put there (`sha256` and `size` are None before that)."""

    token: str
    name: str
    content_type: str
    disposition: str
    options: dict[str, Any]
    userdata: str | None
    sourcedata: Any
    sha256: str | None = None
    size: int | None = None
    puts: int = 0


@dataclass(frozen=True)
class ColumnItem:
    """A value of a custom column; `modified` in ms since 1970."""

    code: str
    description: str | None
    modified: int


@dataclass
class Sums:
    """Exact sums of one currency's documents."""

    documents: int = 0
    subtotal: Decimal = Decimal(0)
    vat: Decimal = Decimal(0)
    total: Decimal = Decimal(0)


@dataclass
class Store:
    """Everything the ivesk half knows. Documents are made when asked for; only numbers and instants are kept."""

    seed: int
    customer: int
    options: Options
    parties: Parties
    plan: timeline.Timeline
    digitized: Queue = field(default_factory=Queue)
    exported: Queue = field(default_factory=Queue)
    company_of: array[int] = field(default_factory=lambda: array("B"))
    doctype_of: array[int] = field(default_factory=lambda: array("H"))
    digitized_at: array[int] = field(default_factory=lambda: array("q"))
    exported_at: array[int] = field(default_factory=lambda: array("q"))
    doctypes: list[str] = field(default_factory=lambda: list(timeline.DOCTYPES))
    variants: dict[int, Variant] = field(default_factory=dict)
    file_states: dict[int, str] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    sync_errors: list[dict[str, str]] = field(default_factory=list)
    subscriptions: list[dict[str, str]] = field(default_factory=list)
    columns: dict[tuple[str, str], dict[str, ColumnItem]] = field(default_factory=dict)
    _renamed: dict[str, int] = field(default_factory=dict)
    _sums: dict[str, Sums] | None = None

    @classmethod
    def seeded(cls, seed: int, documents: int, options: Options, customer: int = 1) -> Store:
        """Return a fresh store with some documents, of which about 92 % are exported; `customer` as in `Parties`."""
        store = cls(seed, customer, options, Parties.of(seed, customer), timeline.Timeline(seed, documents))
        digitize, select = store.plan.digitize, store.plan.select
        for number in watched(range(documents), "Making documents", documents, "documents"):
            planned = timeline.plan_document(seed, number)
            store.company_of.append(planned.company)
            store.doctype_of.append(planned.doctype)
            store.digitized_at.append(digitize(planned))
            store.exported_at.append(0)
            if planned.exportable and (exports := select(number, planned.company)):
                store._export(exports)
        store.digitized.instants = store.digitized_at[:]
        store.digitized.numbers = array("l", range(documents))
        store._export(store.plan.flush())
        store._seed_columns()
        return store

    def __len__(self) -> int:
        return len(self.company_of)

    def queue(self, name: str) -> Queue:
        """Return the queue of that name, one of `QUEUES`."""
        return self.exported if name == "exported" else self.digitized

    # Documents

    def planned(self, number: int) -> PlannedDocument:
        """Return what is decided about a document."""
        doctype, instant = self.doctypes[self.doctype_of[number]], self.digitized_at[number]
        return PlannedDocument(number, self._seeded_id(number), self.company_of[number], doctype, instant)

    def document(self, number: int) -> Document:
        """Make a document: all fields but `url` and `exportedat`, unless it was ordered with these."""
        maker = DocumentMaker(self.seed, self.parties, self.options.extra_fields, self.options.big_amounts)
        document = maker.document(self.planned(number))
        variant = self.variants.get(number)
        return variant.apply(document) if variant else document

    def id_of(self, number: int) -> str:
        """Return a document's id."""
        variant = self.variants.get(number)
        if variant and isinstance(own := variant.overrides.get("id"), str):
            return own
        return self._seeded_id(number)

    def number_of(self, document_id: str) -> int:
        """Return the number of the document with that id; of several, the newest.

        Raises:
            UnknownDocumentError: No document has it.
        """
        if document_id in self._renamed:
            return self._renamed[document_id]
        digits = document_id.replace("-", "")
        try:
            number = int(digits[:8], 16) ^ self._mask(digits[8:])
        except ValueError:
            number = -1
        if not 0 <= number < len(self) or self._seeded_id(number) != document_id:
            raise UnknownDocumentError(document_id)
        return number

    def _seeded_id(self, number: int) -> str:
        # Shaped like a UUID, and reversible: a million ids need not be remembered.
        tail = blake2b(b"id/%d/%d" % (self.seed, number), digest_size=12).hexdigest()
        tail = f"{tail[:4]}4{tail[5:8]}a{tail[9:]}"
        head = f"{number ^ self._mask(tail):08x}"
        return f"{head}-{tail[:4]}-{tail[4:8]}-{tail[8:12]}-{tail[12:]}"

    def _mask(self, tail: str) -> int:
        return int.from_bytes(blake2b(f"mask/{self.seed}/{tail}".encode(), digest_size=4).digest(), "big")

    # Changes

    def add(self, count: int, company: int | None, instant: int | None, export: bool, variant: Variant) -> list[int]:
        """Add documents after all existing ones, or all at an instant (ms), and export them in clicks by company."""
        if instant is None:
            self.plan.after(max(self.plan.digitized, self.plan.exported))
        made = range(len(self), len(self) + count)
        for number in made:
            planned = timeline.plan_document(self.seed, number)
            at = self.plan.digitize(planned) if instant is None else instant
            self._append(planned, at, company, variant)
            if export:
                self._export(
                    self.plan.select(number, self.company_of[number]) if instant is None else [(instant, number)]
                )
        if instant is None:
            self._export(self.plan.flush())
        else:
            self.plan.after(instant)
        return list(made)

    def export(self, numbers: Iterable[int]) -> None:
        """Export documents (again), as an accountant does: each moves to a new instant at the queue's end."""
        piles = dict[int, list[int]]()
        for number in dict.fromkeys(numbers):
            piles.setdefault(self.company_of[number], []).append(number)
        for company, pile in piles.items():
            self._export(self.plan.click(pile, company))

    def _append(
        self, planned: timeline.Planned, at: int, company: int | None = None, variant: Variant | None = None
    ) -> None:
        number = len(self)
        self.company_of.append(planned.company if company is None else company)
        self.doctype_of.append(planned.doctype)
        self.digitized_at.append(at)
        self.exported_at.append(0)
        self.digitized.add(at, number)
        if variant and (variant.overrides or variant.line_overrides or variant.remove):
            self.variants[number] = variant
            if isinstance(own := variant.overrides.get("id"), str):
                self._renamed[own] = number
            if isinstance(doctype := variant.overrides.get("doctype"), str):
                self.doctype_of[number] = self.doctype_place(doctype, True)

    def _export(self, exports: Iterable[tuple[int, int]]) -> None:
        for instant, number in exports:
            if self.exported_at[number]:
                self.exported.remove(self.exported_at[number], number)
            elif self._sums is not None:
                self._sum_up(self._sums, number)
            self.exported_at[number] = instant
            self.exported.add(instant, number)

    def doctype_place(self, doctype: str, add: bool = False) -> int:
        """Return the place of a document type in `doctypes`; -1 if it is unknown and not to be added."""
        if doctype not in self.doctypes:
            if not add:
                return -1
            self.doctypes.append(doctype)
        return self.doctypes.index(doctype)

    def change_options(self, options: Options) -> None:
        """Replace the options."""
        if (options.big_amounts, options.extra_fields) != (self.options.big_amounts, self.options.extra_fields):
            self._sums = None
        self.options = options

    # Sums

    @property
    def sums_known(self) -> bool:
        """Whether `sums` answers at once, or has to make every document first."""
        return self._sums is not None

    def sums(self) -> dict[str, Sums]:
        """Return exact sums of the exported documents by currency; what is not a number counts as nothing."""
        if self._sums is None:
            self._sums = {}
            for number in self.exported.numbers:
                self._sum_up(self._sums, number)
        return self._sums

    def _sum_up(self, sums: dict[str, Sums], number: int) -> None:
        document = self.document(number)
        entry = sums.setdefault(str(document.get("currency")), Sums())
        entry.documents += 1
        for name in ("subtotal", "vat", "total"):
            amount = document.get(name)
            if isinstance(amount, (Decimal, int)) and not isinstance(amount, bool):
                setattr(entry, name, EXACT.add(getattr(entry, name), Decimal(amount)))

    # Columns

    def change_column(self, company: str, column: str, items: Iterable[ColumnItem]) -> None:
        """Add or replace values of a company's column."""
        self.columns.setdefault((company, column), {}).update({item.code: item for item in items})

    def column_page(
        self, company: str, column: str, since: int | None, after: str | None
    ) -> tuple[list[ColumnItem], bool]:
        """Return up to 100 values in order of code, and whether more follow; `since` in microseconds, inclusive.

        Raises:
            KeyError: The company has no such column.
        """
        items = [item for _, item in sorted(self.columns[company, column].items())]
        if since is not None:
            items = [item for item in items if item.modified * 1000 >= since]
        if after is not None:
            items = [item for item in items if item.code > after]
        return items[:COLUMNS_PAGE], len(items) > COLUMNS_PAGE

    def newest_column_change(self) -> int:
        """Return the newest instant at which any column's value changed, in ms since 1970."""
        return max((item.modified for items in self.columns.values() for item in items.values()), default=clock.START)

    def _seed_columns(self) -> None:
        for place, company in enumerate(self.parties.companies):
            for column, count in (("allocation", 230 if place == 0 else 20), ("department", 12)):
                self.change_column(company.code or "", column, _column_items(self.seed, place, column, count))


@functools.lru_cache(maxsize=64)
def _column_items(seed: int, place: int, column: str, count: int) -> tuple[ColumnItem, ...]:
    return tuple(_made_column_items(SeededRandom(seed, column, place), column, count))


def _made_column_items(rng: SeededRandom, column: str, count: int) -> Iterator[ColumnItem]:
    words = ("Administracija", "Gamyba", "Pardavimai", "Sandėlis", "Žemės ūkis", "Ąžuolyno projektas", "Būstinė")
    modified = clock.START
    for number in range(1, count + 1):
        modified = clock.advance(modified, rng.below(clock.HOUR))
        text = None if rng.chance(20) else f"{rng.pick(words)} {number}"
        yield ColumnItem(f"{column[0].upper()}{number:04d}", text, modified)
