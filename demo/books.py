"""The books of one side, source or warehouse, and the differences between two."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal

Amounts = tuple[str | None, ...]

DOCUMENT_AMOUNTS = ("subtotal", "vat", "total", "currencyrate")
LINE_AMOUNTS = ("quantity", "price", "subtotal", "vat", "vatpercent", "total")

# More digits than any sum will have.
EXACT = Context(prec=100)


@dataclass(frozen=True)
class Document:
    """A document's amounts with all their digits, and those of its lines in order."""

    currency: str | None
    exportedat: str | None
    amounts: Amounts
    lines: tuple[Amounts, ...]


@dataclass(frozen=True)
class Sums:
    """What there is in one currency."""

    documents: int = 0
    lines: int = 0
    total: Decimal = Decimal(0)


@dataclass(frozen=True)
class Books:
    """All documents by id, and the sums by currency."""

    documents: Mapping[str, Document]
    sums: Mapping[str, Sums]

    @property
    def lines(self) -> int:
        """The number of lines of all documents."""
        return sum(len(document.lines) for document in self.documents.values())


def add_up(documents: Mapping[str, Document]) -> dict[str, Sums]:
    """The sums of documents by currency, exact."""
    sums: dict[str, Sums] = {}
    for document in documents.values():
        so_far = sums.get(document.currency or "", Sums())
        sums[document.currency or ""] = Sums(
            so_far.documents + 1,
            so_far.lines + len(document.lines),
            EXACT.add(so_far.total, Decimal(document.amounts[DOCUMENT_AMOUNTS.index("total")] or 0)),
        )
    return sums


def differences(source: Books, warehouse: Books) -> Iterator[str]:
    """Says in a line each what is not the same: documents, their amounts and lines, the sums."""
    for key, document in source.documents.items():
        there = warehouse.documents.get(key)
        if there is None:
            yield f"document {key} is not in the warehouse"
        elif there != document:
            yield f"document {key} differs: {_first_difference(document, there)}"
    for key in warehouse.documents.keys() - source.documents.keys():
        yield f"document {key} is in the warehouse only"
    for currency in sorted(source.sums.keys() | warehouse.sums.keys()):
        ours, theirs = source.sums.get(currency, Sums()), warehouse.sums.get(currency, Sums())
        if ours != theirs:
            yield f"{currency} does not tie: {ours} in the source, {theirs} in the warehouse"


def _first_difference(source: Document, warehouse: Document) -> str:
    if (source.currency, source.exportedat) != (warehouse.currency, warehouse.exportedat):
        return f"{source.currency} {source.exportedat} became {warehouse.currency} {warehouse.exportedat}"
    if len(source.lines) != len(warehouse.lines):
        return f"{len(source.lines)} lines became {len(warehouse.lines)}"
    for number, (ours, theirs) in enumerate(zip(source.lines, warehouse.lines, strict=True), 1):
        if ours != theirs:
            return f"line {number}: " + _first_amount(LINE_AMOUNTS, ours, theirs)
    return _first_amount(DOCUMENT_AMOUNTS, source.amounts, warehouse.amounts)


def _first_amount(names: tuple[str, ...], ours: Amounts, theirs: Amounts) -> str:
    pairs = zip(names, ours, theirs, strict=True)
    return next(f"{name} {a} became {b}" for name, a, b in pairs if a != b)
