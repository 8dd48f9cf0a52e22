"""A walk through the tree of a file while it is parsed: complete records are handed out and removed from memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element

from tap_saft.values import DEEPEST, is_id, local, put, snake, too_deep, value

# By the parent element: the elements that contain records, and the section of each record. Some spellings are those of
# other countries. Everything else is skipped.
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
class Container:
    """An element that contains records or further containers, such as a journal.

    Args:
        element: the element, of which only incomplete children are in memory.
        name: its name, without namespace; empty where nothing in it is of interest.
        path: the names down to it, joined by ``/``.
        parent: the container around it.
        fields: its own fields so far, by snake_case name.
    """

    element: Element
    name: str
    path: str
    parent: Container | None
    fields: dict[str, Any] = field(default_factory=dict)


class Walk:
    """Walks through the tree of one file, again and again while it grows.

    Args:
        root: the element that the file's root is, or will be, a child of.
        record: called with each record's section, element and container, in the file's order. Raises InvalidElement.
        closed: called with each container of interest when it is complete.
    """

    def __init__(
        self, root: Element, record: Callable[[str, Element, Container], None], closed: Callable[[Container], None]
    ) -> None:
        self._record, self._closed = record, closed
        self._open = [Container(root, "", "", None)]
        self._counts: dict[str, int] = {}
        self.at: tuple[str, int] = ("", 0)
        """Path of the latest record, and its number among the records of that path."""
        self._last: Element | None = None

    def step(self) -> bool:
        """Hand out what is complete by now; return whether there was anything new.

        Raises:
            InvalidElement: a record is invalid, or elements are nested too deeply.
        """
        level, before, last = 0, self.at, None
        while True:
            container = self._open[level]
            element = container.element
            self._process(element[:-1], container, level)
            del element[:-1]
            if not len(element):
                break
            last = element[0]
            level += 1
            if level < len(self._open) and self._open[level].element is last:
                continue
            del self._open[level:]
            inner = _inner(last, container)
            if inner is None:
                break
            if level > DEEPEST:
                raise too_deep()
            self._open.append(inner)
        moved = self.at != before or last is not self._last
        self._last = last
        return moved

    def finish(self) -> None:
        """Hand out the rest at the end of the file. Raises InvalidElement."""
        self._process(self._open[0].element, self._open[0], 0)

    def _process(self, children: Iterable[Element], container: Container, level: int) -> None:
        """Process complete children of the open container at a level."""
        name, path, fields = container.name, container.path, container.fields
        sections, inner, keeps = _RECORDS.get(name, _NOTHING), _HOLDS.get(name, _NOTHING), name in _KEEPS_FIELDS
        for child in children:
            tag = local(child.tag)
            if section := sections.get(tag):
                place = f"{path}/{tag}"
                self._counts[place] = count = self._counts.get(place, 0) + 1
                self.at = place, count
                self._record(section, child, container)
            elif tag in inner:
                self._close(child, container, level + 1)
            elif keeps:
                own = snake(tag)
                if (item := value(child)) or not is_id(own):
                    put(fields, own, item)
            # A skipped element may have been open.
            elif level + 1 < len(self._open):
                del self._open[level + 1 :]

    def _close(self, element: Element, parent: Container, level: int) -> None:
        """Process the rest of a container that is complete now; it may have been open so far."""
        if level < len(self._open) and self._open[level].element is element:
            container = self._open[level]
        else:
            del self._open[level:]
            container = Container(element, local(element.tag), f"{parent.path}/{local(element.tag)}", parent)
            self._open.append(container)
        self._process(element, container, level)
        self._closed(container)
        del self._open[level:]


def _inner(element: Element, parent: Container) -> Container | None:
    """Return a container for a container or a skipped element; None for a record or a container's field."""
    tag = local(element.tag)
    if tag in _HOLDS.get(parent.name, _NOTHING):
        return Container(element, tag, f"{parent.path}/{tag}", parent)
    if tag in _RECORDS.get(parent.name, _NOTHING) or parent.name in _KEEPS_FIELDS:
        return None
    return Container(element, "skipped", parent.path, parent)
