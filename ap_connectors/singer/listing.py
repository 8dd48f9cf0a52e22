"""Lists that people read and work off, the plan of a load and what was set aside: as a page, a workbook, or CSV."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ap_connectors.core import files, pages, sheets
from ap_connectors.core.errors import Stop

_PAGES = frozenset({".html", ".htm"})
_LONGEST_WORD = 36
"""Characters of a word that a page keeps together, as those of an id."""
_ENDINGS = (".json", ".html", ".htm", ".xlsx", ".csv")
"""Of files that can be written: JSON for programs, the others for people."""
_DEPTH = 4


@dataclass(frozen=True)
class Group:
    """Rows that belong together.

    Args:
        title: what they have in common.
        rows: cells as text, a cell for each column.
        count: of records; one may have several rows.
        kind: "bad" for what needs a person, "good" for what is new.
    """

    title: str
    rows: Sequence[Sequence[str]]
    count: int
    kind: str = ""


@dataclass(frozen=True)
class Shown:
    """A group as a table of a page: its columns that are not empty, and bodies, one for each record of several rows.

    Args:
        columns: heads, with the number of the column in the list.
        bodies: rows, below the heading of their record; "" where it stands in the rows.
    """

    columns: Sequence[tuple[int, str]]
    bodies: Sequence[tuple[str, Sequence[Sequence[str]]]]


@dataclass(frozen=True)
class Data:
    """A file that a page holds, to be saved: its name, and its bytes."""

    name: str
    content: bytes

    @property
    def in_base64(self) -> str:
        """The bytes, as a link has them."""
        return base64.b64encode(self.content).decode()


@dataclass(frozen=True)
class Listing:
    """A list.

    Args:
        title: what it is.
        verdict: what it comes to, in a sentence; bad or good.
        facts: what else there is to say of it, by name.
        columns: heads of the columns.
        groups: of rows, in the order in which a person reads them.
        counts: a table above the list: heads, those of numbers with a #, and rows; the first column is text.
        more: sheets with all that is needed to go on with it; a page does not have them.
        wide: columns with sentences.
        heads: how many columns say which record a row is of: on a page they head its rows, if it has several.
        data: of a plan, what apply_plan takes.
    """

    title: str
    verdict: tuple[str, bool]
    facts: Mapping[str, str]
    columns: Sequence[str]
    groups: Sequence[Group]
    counts: tuple[Sequence[str], Sequence[Sequence[str]]] | None = None
    more: Sequence[sheets.Sheet] = ()
    wide: frozenset[str] = field(default=frozenset())
    heads: int = 0
    data: Data | None = None

    def shown(self, group: Group) -> Shown:
        """Return how a page shows a group, without empty columns."""
        used = [(number, head) for number, head in enumerate(self.columns) if any(row[number] for row in group.rows)]
        records: dict[tuple[str, ...], list[Sequence[str]]] = {}
        for row in group.rows:
            records.setdefault(tuple(row[: self.heads]), []).append(row)
        if not self.heads or len(records) == len(group.rows):
            return Shown(used, [("", group.rows)])
        columns = [(number, head) for number, head in used if number >= self.heads]
        return Shown(columns, [("  ".join(filter(None, heads)), rows) for heads, rows in records.items()])


def pieces(text: str) -> list[str]:
    """Return the parts of a text between which a line may end: paths of fields are long, and so are codes."""
    return re.split(r"(?<=[A-Za-z\])]\.)(?=[A-Za-z])|(?<=[a-z]_)(?=[a-z])", text)


def is_long(text: str) -> bool:
    """Return whether a text has to break within a word: no bank account, id or field of a path has so many letters."""
    return any(len(word) > _LONGEST_WORD for piece in pieces(text) for word in piece.split())


def is_listing(path: str) -> bool:
    """Return whether a file of this name is for people: a page or a sheet."""
    return Path(path).suffix.lower() in _PAGES | sheets.SUFFIXES


def require(setting: str, path: str, endings: Sequence[str] = _ENDINGS) -> None:
    """Check that a file of this name can be written.

    Args:
        setting: that names it.
        path: of the file.
        endings: which are possible.

    Raises:
        Stop: its ending is not known, or what writes it is not installed.
    """
    suffix = Path(path).suffix.lower()
    # A device such as /dev/stderr gets JSON.
    is_device = Path(path).exists() and not Path(path).is_file() and not Path(path).is_dir()
    if suffix not in endings and not is_device:
        what = f"the ending {suffix}" if suffix else "no ending"
        raise Stop(f"{setting}: {path} has {what}. Name a file that ends in {' or '.join(endings)}.")
    if suffix in _PAGES:
        pages.require(f"{setting}: {path}")
    elif suffix == ".xlsx":
        pages.require(f"{setting}: {path}", "openpyxl")


def write(setting: str, path: str, listing: Listing) -> None:
    """Write a list atomically, in the form that the file's name says.

    Raises:
        Stop: it cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix in _PAGES:
        content = pages.render(
            Path(__file__).parent, "listing", listing=listing, pieces=pieces, is_long=is_long
        ).encode()
    else:
        own = sheets.Sheet(
            listing.title,
            # What stands above a group on a page stands in each of its rows here.
            ["what", *listing.columns],
            [[group.title, *row] for group in listing.groups for row in group.rows],
            wide=listing.wide,
        )
        # Of several sheets CSV has one: that by which one goes on.
        together = [*listing.more] or [own]
        content = sheets.csv_bytes(together[0]) if suffix == ".csv" else sheets.xlsx_bytes(together)
    try:
        files.replace(Path(path), content)
    except OSError as error:
        raise Stop(f"{setting}: {path} cannot be written: {error.strerror or type(error).__name__}.") from None


def flat(record: Mapping[str, Any], heads: Sequence[str] = (), depth: int = _DEPTH) -> dict[str, Any]:
    """Return the fields of a record that have columns of their own. Lists, and what has dots in its names, stay whole.

    Args:
        record: as it came.
        heads: of the sheet that is read: an object that has a column there, and its members none, stays whole.
        depth: how many objects may be within each other.
    """
    if not depth or _has_dots(record):
        return dict(record)
    found: dict[str, Any] = {}
    for name, value in record.items():
        within = [head.removeprefix(f"{name}.") for head in heads if head.startswith(f"{name}.")]
        is_whole = depth == 1 or (name in heads and not within)
        if isinstance(value, dict) and value and not is_whole and not _has_dots(value):
            found |= {f"{name}.{member}": held for member, held in flat(value, within, depth - 1).items()}
        else:
            found[name] = value
    return found


def with_member(record: Mapping[str, Any], head: str, value: Any) -> dict[str, Any]:
    """Return a record in which what stands in a column has another value."""
    name, _, member = head.partition(".")
    if not member or _has_dots(record):
        return {**record, head: value}
    held = record.get(name)
    return {**record, name: with_member(held if isinstance(held, dict) else {}, member, value)}


def _has_dots(names: Mapping[str, Any]) -> bool:
    return any("." in name for name in names)
