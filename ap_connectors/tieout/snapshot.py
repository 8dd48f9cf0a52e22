"""What is compared of one document, and the snapshot of one side: all its documents, small enough for millions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b

import msgspec

from ap_connectors.core import instants
from ap_connectors.core.exact import NotAnAmountError, canonical, total

Fields = Mapping[str, str | None]
"""A record as both sides show it: text by field name, None for nothing."""

Amounts = tuple[str | None, str | None, str | None]
"""Subtotal, VAT, total, in canonical form."""

NOTHING: Amounts = (None, None, None)
AMOUNT_NAMES = ("subtotal", "vat", "total")


class LinesSummary(msgspec.Struct, array_like=True, gc=False):
    """What is compared of a document's lines: how many, their sums, and a trace that changes with any amount."""

    count: int
    sums: Amounts
    trace: str
    unreadable: tuple[str, ...] = ()
    vat: tuple[tuple[str, str, str], ...] = ()
    """By VAT code: the amount without VAT, and the VAT."""


class DocumentSummary(msgspec.Struct, array_like=True, gc=False):
    """What is compared of one document.

    Attributes:
        label: what people call it ("SF-2026-000118"); not compared.
        at: its version: milliseconds since 1970, or None where there are no versions.
        company: whose it is.
        date: its date, from which the period follows; "" if it has none.
        currency: ISO 4217; "" if it has none.
        header: the header's amounts; what it does not state is None.
        lines: its lines, or None where they are not compared.
        unreadable: fields that should hold an amount and hold something else, with what they hold.
        is_credit: whether it is a credit note; not compared here.
        owed: what it adds to what is owed to vendors; None if nothing.
    """

    label: str
    at: int | None
    company: str = ""
    date: str = ""
    currency: str = ""
    header: Amounts = NOTHING
    lines: LinesSummary | None = None
    unreadable: tuple[str, ...] = ()
    is_credit: bool = False
    owed: str | None = None

    @property
    def period(self) -> str:
        """The month ("2026-01"), or "undated"."""
        return self.date[:7] or "undated"

    @property
    def amounts(self) -> Amounts:
        """The header's amounts; those of the lines for what it does not state."""
        lined = self.lines.sums if self.lines else NOTHING
        subtotal, vat, whole = (a if a is not None else b for a, b in zip(self.header, lined, strict=True))
        return subtotal, vat, whole


class AmountReader:
    """Reads amounts out of fields; remembers what is not an amount."""

    def __init__(self) -> None:
        self.unreadable: list[str] = []

    def first(self, fields: Fields, names: Iterable[str | None]) -> str | None:
        """Return the amount of the first field that holds something."""
        return next((amount for name in names if (amount := self(fields, name)) is not None), None)

    def __call__(self, fields: Fields, name: str | None) -> str | None:
        """Return a field's amount in canonical form; None if it is empty or not an amount."""
        value = fields.get(name) if name else None
        try:
            return canonical(value)
        except NotAnAmountError:
            self.unreadable.append(f"{name} is {str(value)[:40]!r}")
            return None


def summarize_lines(
    lines: Iterable[Fields],
    amounts: Callable[[AmountReader, Fields], Amounts],
    names: tuple[str, ...],
    place: str | None,
    code: str | None = None,
) -> LinesSummary:
    """Add up a document's lines.

    Args:
        lines: in any order.
        amounts: returns a line's subtotal, VAT and total.
        names: further amounts that are compared line by line (quantity, price).
        place: field that says which line it is; without one the order counts.
        code: field with the VAT code.
    """
    vat: dict[str, list[Amounts]] = {}
    read = AmountReader()
    sums: list[Amounts] = []
    traces = []
    for number, line in enumerate(lines):
        own = amounts(read, line)
        sums.append(own)
        if code:
            vat.setdefault(line.get(code) or "", []).append(own)
        where = str(number) if place is None else line.get(place)
        traces.append(repr((where, own, [read(line, name) for name in names])))
    subtotal, tax, whole = (_whole(column) for column in zip(*sums, strict=True)) if sums else NOTHING
    trace = blake2b("\n".join(sorted(traces)).encode(errors="surrogatepass"), digest_size=8).hexdigest()
    by_code = tuple(
        (name, total(a for a, _, _ in found) or "0", total(a for _, a, _ in found) or "0")
        for name, found in vat.items()
    )
    return LinesSummary(len(sums), (subtotal, tax, whole), trace, tuple(read.unreadable), by_code)


def _whole(column: tuple[str | None, ...]) -> str | None:
    """Return a sum; None if a line does not say what it contributes."""
    return None if None in column else total(column)


def instant_or_none(value: str | None) -> int | None:
    """Return an instant in milliseconds since 1970; None if it is something else."""
    try:
        return instants.milliseconds(value) if value else None
    except ValueError:
        return None


class Snapshot:
    """The documents of one side by key; of several versions the newest.

    Attributes:
        doubled: keys that came more than once in one version, and how often in all.
        older: how many older versions came.
        newer: keys of documents that are too new to be compared.
    """

    def __init__(self) -> None:
        self._documents: dict[str, bytes] = {}
        self.doubled: dict[str, int] = {}
        self.older = 0
        self.newer: set[str] = set()

    def __len__(self) -> int:
        return len(self._documents)

    def __contains__(self, key: str) -> bool:
        return key in self._documents

    def __iter__(self) -> Iterator[str]:
        return iter(self._documents)

    def get(self, key: str) -> DocumentSummary | None:
        """Return a document, or None if it is unknown."""
        packed = self._documents.get(key)
        return None if packed is None else _unpack(packed)

    def put(self, key: str, document: DocumentSummary) -> None:
        """Put a document in place of what was known of it."""
        self._documents[key] = _pack(document)

    def add(self, key: str, document: DocumentSummary, *, keyed: bool = True) -> None:
        """Add a document, unless a newer version of it is known.

        Args:
            key: of the document.
            document: what is known of it.
            keyed: whether a second row of the same version is one too many.
        """
        if keyed and not key.strip("- "):
            # No two rows without a key are one document.
            key = f"no key, row {len(self) + 1}"
        known = self.get(key)
        if known is None:
            self.put(key, document)
            return
        version, before = document.at or 0, known.at or 0
        if version == before:
            if keyed:
                self.doubled[key] = self.doubled.get(key, 1) + 1
            # Of equals both sides keep the same one, in whatever order they come.
            self._documents[key] = max(_pack(document), self._documents[key])
            return
        self.older += 1
        if version > before:
            self.doubled.pop(key, None)
            self.put(key, document)

    def drop(self, key: str) -> None:
        """Forget a document."""
        self._documents.pop(key, None)
        self.doubled.pop(key, None)


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(DocumentSummary).decode
