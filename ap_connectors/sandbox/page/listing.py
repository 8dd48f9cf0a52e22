"""What the sandbox's page is put together from: lists with cells, and buttons that make control calls."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlencode

from ap_connectors.core.manners import MANNERS

PAGE = 50
"""Rows of a list that are shown at a time."""


@dataclass(frozen=True)
class Act:
    """A button: what it says, and the control call that it makes."""

    label: str
    path: str
    body: Mapping[str, Any] = field(default_factory=dict)
    verb: str = "POST"
    about: str = ""
    """What it is about, for those who hear the page."""

    @property
    def id(self) -> str:
        """What tells it apart from others, by which it keeps the focus when the page changes."""
        return f"{self.verb} {self.path} {self.json} {self.label}"

    @property
    def json(self) -> str:
        """The body as JSON."""
        return json.dumps(self.body, ensure_ascii=False)


@dataclass(frozen=True)
class Cell:
    """A cell: its text, how it looks (n, amount, mono, good, bad, dim) and where it leads."""

    text: Any
    kind: str = ""
    href: str = ""


@dataclass(frozen=True)
class Row:
    """A row and its buttons."""

    cells: Sequence[Cell]
    acts: Sequence[Act] = ()


def row(*values: Any, acts: Sequence[Act] = ()) -> Row:
    """Return a row; what is not a cell becomes a plain one, a number one of numbers."""
    cells = [one if isinstance(one, Cell) else count(one) if type(one) is int else Cell(one) for one in values]
    return Row(cells, acts)


@dataclass(frozen=True)
class Listing:
    """A table under a title; a head that starts with # is a column of numbers.

    Args:
        id: Tells it apart from others of the page.
        title: What it lists.
        heads: Of its columns.
        rows: Those that are shown.
        total: How many there are, if not all are shown.
        page: Which page of them this is, from 1.
        note: A sentence about it.
        acts: Buttons for the whole.
    """

    id: str
    title: str
    heads: Sequence[str]
    rows: Sequence[Row]
    total: int | None = None
    page: int = 1
    note: str = ""
    acts: Sequence[Act] = ()

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return max(1, -(-(self.total or 0) // PAGE))

    @property
    def columns(self) -> Sequence[str]:
        """The heads, one more for buttons included."""
        return (*self.heads, "") if self.has_acts else self.heads

    @property
    def has_acts(self) -> bool:
        """Whether any row has buttons."""
        return any(row.acts for row in self.rows)


def part(total: int, page: int) -> range:
    """Return the places that a page shows of a list that is shown from its end."""
    last = max(0, total - PAGE * (page - 1))
    return range(last - 1, max(0, last - PAGE) - 1, -1)


def amount(value: Any) -> Cell:
    """Return an amount with all its digits; what is not an amount is shown as it is."""
    try:
        number = Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        return Cell(value, "n")
    return Cell(MANNERS["en"].amount(number) if number.is_finite() else value, "n")


def count(value: int) -> Cell:
    """Return a whole number."""
    return Cell(MANNERS["en"].number(value), "n")


def moment(text: Any, *, seconds: bool = False) -> Cell:
    """Return an instant by the minute, or by the second."""
    return Cell(text[: 19 if seconds else 16].replace("T", " ") if isinstance(text, str) else text, "when")


def link(path: str, **query: str) -> str:
    """Return an address on the sandbox."""
    return f"{path}?{urlencode(query)}"
