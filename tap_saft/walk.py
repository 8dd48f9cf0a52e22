"""A walk through a file that is still being read: what is complete is handed out, and taken out of memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element

from tap_saft.plain import DEEPEST, Unfit, local, put, snake, value

# By the element that they stand in: what holds records, and how a record's section is called here. Several spellings
# are other countries'. Everything else is passed over.
_HOLDS: dict[str, Collection[str]] = {
    "": frozenset({"AuditFile"}),
    "AuditFile": frozenset({"MasterFiles", "GeneralLedgerEntries"}),
    "MasterFiles": frozenset({"GeneralLedgerAccounts", "Customers", "Suppliers", "TaxTable", "AnalysisTypeTable"}),
    "GeneralLedgerEntries": frozenset({"Journal"}),
    "Journal": frozenset({"Transaction"}),
    "Transaction": frozenset({"Lines"}),
}
_LINES = dict.fromkeys(("Line", "TransactionLine", "DebitLine", "CreditLine"), "journal_lines")
_MASTERS = {
    "Account": "accounts",
    "Customer": "customers",
    "Supplier": "suppliers",
    "TaxTableEntry": "tax_codes",
    "AnalysisTypeTableEntry": "dimensions",
}
_RECORDS: dict[str, dict[str, str]] = {
    "AuditFile": {"Header": "header"},
    "GeneralLedgerAccounts": {"Account": "accounts"},
    "MasterFiles": {tag: section for tag, section in _MASTERS.items() if tag != "Account"},
    "Customers": {"Customer": "customers"},
    "Suppliers": {"Supplier": "suppliers"},
    "TaxTable": {"TaxTableEntry": "tax_codes"},
    "AnalysisTypeTable": {"AnalysisTypeTableEntry": "dimensions"},
    "Transaction": _LINES,
    "Lines": _LINES,
}
_NOTHING: dict[str, str] = {}
_KEEPS_FIELDS = frozenset({"GeneralLedgerEntries", "Journal", "Transaction"})


@dataclass(eq=False)
class Holder:
    """An element that holds others, such as a journal.

    Args:
        element: the element, of which only what is not complete yet is in memory.
        name: its name, without namespace; empty where nothing in it is of interest.
        path: the names down to it, joined by ``/``.
        parent: what it stands in.
        fields: its own fields that came so far, by snake_case name.
    """

    element: Element
    name: str
    path: str
    parent: Holder | None
    fields: dict[str, Any] = field(default_factory=dict)


class Walk:
    """Walks through the tree of one file, again and again while it grows.

    Args:
        root: the element that the file's root is, or will be, a child of.
        record: is called with each record's section, element and holder, in the file's order. Raises Unfit.
        closed: is called with each holder of interest when it is complete.
    """

    def __init__(
        self, root: Element, record: Callable[[str, Element, Holder], None], closed: Callable[[Holder], None]
    ) -> None:
        self._record, self._closed = record, closed
        self._open = [Holder(root, "", "", None)]
        self._counts: dict[str, int] = {}
        self.at: tuple[str, int] = ("", 0)
        """Path of the latest record, or holder's field, and how many of that path came up to it."""
        self._last: Element | None = None

    def step(self) -> bool:
        """Hand out what is complete by now; return whether there was anything new.

        Raises:
            Unfit: a record is not what it should be, or elements are nested too deeply.
        """
        level, before, last = 0, self.at, None
        while True:
            holder = self._open[level]
            element = holder.element
            self._take(element[:-1], holder, level)
            del element[:-1]
            if not len(element):
                break
            last = element[0]
            level += 1
            if level < len(self._open) and self._open[level].element is last:
                continue
            del self._open[level:]
            inner = _inner(last, holder)
            if inner is None:
                break
            if level > DEEPEST:
                raise Unfit(f"more than {DEEPEST} elements are nested in each other, as in no SAF-T file")
            self._open.append(inner)
        moved = self.at != before or last is not self._last
        self._last = last
        return moved

    def finish(self) -> None:
        """Hand out the rest: the file is at its end. Raises Unfit."""
        self._take(self._open[0].element, self._open[0], 0)

    def _take(self, children: Iterable[Element], holder: Holder, level: int) -> None:
        """Take in complete children of the open holder at a level."""
        name, path, fields = holder.name, holder.path, holder.fields
        sections, inner, keeps = _RECORDS.get(name, _NOTHING), _HOLDS.get(name, _NOTHING), name in _KEEPS_FIELDS
        for child in children:
            tag = local(child.tag)
            if section := sections.get(tag):
                place = f"{path}/{tag}"
                self._counts[place] = count = self._counts.get(place, 0) + 1
                self.at = place, count
                self._record(section, child, holder)
            elif tag in inner:
                self._closing(child, holder, level + 1)
            elif keeps:
                put(fields, snake(tag), value(child))
            # What is passed over may have been open.
            elif level + 1 < len(self._open):
                del self._open[level + 1 :]

    def _closing(self, element: Element, parent: Holder, level: int) -> None:
        """Take in the rest of a holder that is complete now; it may have been open so far."""
        if level < len(self._open) and self._open[level].element is element:
            holder = self._open[level]
        else:
            del self._open[level:]
            holder = Holder(element, local(element.tag), f"{parent.path}/{local(element.tag)}", parent)
            self._open.append(holder)
        self._take(element, holder, level)
        self._closed(holder)
        del self._open[level:]


def _inner(element: Element, parent: Holder) -> Holder | None:
    """Return a holder for an element that is one, or is to be passed over; None for a record or a holder's field."""
    tag = local(element.tag)
    if tag in _HOLDS.get(parent.name, _NOTHING):
        return Holder(element, tag, f"{parent.path}/{tag}", parent)
    if tag in _RECORDS.get(parent.name, _NOTHING) or parent.name in _KEEPS_FIELDS:
        return None
    return Holder(element, "passed over", parent.path, parent)
