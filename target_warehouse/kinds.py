"""Kinds of columns: which values each holds without a change, and what it widens to for one that it cannot hold."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import msgspec

from ap_connectors.core.exact import NotAnAmountError, canonical
from ap_connectors.core.instants import USUAL_CLOCK, USUAL_DAY

Cell = str | int | bool | None
"""A value as the database gets it: text but for whole numbers and truth values."""


@dataclass(frozen=True)
class Kind:
    """What a column holds.

    Args:
        name: of the kind.
        whole: for decimals, the most digits before the point.
        scale: for decimals, the most digits after it.
    """

    name: str
    whole: int = 0
    scale: int = 0

    def __str__(self) -> str:
        """Return the kind as messages call it."""
        return _WORDS[self.name]


BOOLEAN, INTEGER, HUGE = Kind("boolean"), Kind("integer"), Kind("huge")
DATE, INSTANT, WALL = Kind("date"), Kind("instant"), Kind("wall")
TEXT, JSON = Kind("text"), Kind("json")
TIMES = (DATE, INSTANT, WALL)
MOMENT = Kind("moment")
"""A date and time of which only the values tell whether they have a zone. Never the kind of a column."""

_WORDS = {
    "boolean": "truth values",
    "integer": "whole numbers",
    "huge": "large whole numbers",
    "decimal": "decimals",
    "date": "dates",
    "instant": "instants",
    "wall": "times without a zone",
    "moment": "times",
    "text": "text",
    "json": "JSON",
}


def decimal(whole: int, scale: int) -> Kind:
    """Return the kind of decimals with so many digits before and after the point."""
    return Kind("decimal", whole, scale)


MOST_OF_DUCKDB, MOST_OF_POSTGRESQL = decimal(29, 9), decimal(1000, 1000)
"""The decimals that a database has: of 38 digits in all; any number."""


def join(column: Kind, declared: Kind) -> Kind:
    """Return the kind that a column needs for what a SCHEMA declares; what only values tell is left to them."""
    if column == declared or (declared == MOMENT and column in (INSTANT, WALL, DATE)):
        return column
    if {column.name, declared.name} <= _NUMBERS.keys():
        return max(column, declared, key=lambda kind: _NUMBERS[kind.name])
    return JSON if column == JSON else TEXT


_NUMBERS = {"integer": 0, "huge": 1, "decimal": 2}

# Values of a column, as they were read

Segment = tuple[str, Sequence[Any]]
"""How values were read (`text`, `int`, `bool`: as Python's; `raw`: as JSON), and the values; None is null or absent."""

_string = msgspec.json.Decoder(str).decode
_as_json = msgspec.json.Encoder().encode
NULL = msgspec.Raw(b"null")
"""A value that is null, as JSON."""


def texts(segment: Segment) -> list[str | None]:
    """Return the values as text: what a string says, the JSON of anything else."""
    how, values = segment
    if how == "text":
        return list(values)
    if how == "raw":
        return [text and (_string(text) if text[0] == '"' else text) for text in json_texts(segment)]
    return [None if value is None else _as_json(value).decode() for value in values]


def json_texts(segment: Segment) -> list[str | None]:
    """Return the values as JSON: the bytes that came, but for strings that were read as such."""
    how, values = segment
    if how == "raw":
        found = [None if raw is None else str(raw, "utf-8") for raw in values]
        return [None if text == "null" else text for text in found] if "null" in found else found
    return [None if value is None else _as_json(value).decode() for value in values]


# What fits

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)").fullmatch
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch
_CLOCK = r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]((?:[01][0-9]|2[0-3]):[0-5][0-9])(:[0-5][0-9])?(\.[0-9]{1,6}0*|\.)?"
_WALL = re.compile(_CLOCK).fullmatch
_INSTANT = re.compile(_CLOCK + r" ?(?:([Zz])|([+-])(0[0-9]|1[0-4])(?::?([0-5][0-9]))?)").fullmatch
_MOST, _LONGEST = 2**127 - 1, 40


def fit(kind: Kind, segment: Segment, *, nul: bool = True) -> tuple[Sequence[Cell], set[str]]:
    """Return the cells of a column, and the texts of those values that do not fit (their cells are wrong).

    Args:
        kind: of the column.
        segment: the values.
        nul: whether the database has NUL characters in text.
    """
    how, values = segment
    if kind == JSON:
        return json_texts(segment), set()
    if kind == TEXT:
        if how == "text" and nul:
            return values, set()
        found = texts(segment)
        return found, set() if nul else {text for text in found if text is not None and "\0" in text}
    if kind == BOOLEAN:
        if how == "bool":
            return values, set()
        return _each(_TRUTH.get, json_texts(segment))
    if kind == INTEGER and how == "int":
        wide = {value for value in values if value is not None and not -(2**63) <= value < 2**63}
        return values, {str(value) for value in wide}
    found = texts(segment)
    # Most columns hold what the database reads as it is.
    is_usual = _usual(kind)
    if all(text is None or is_usual(text) for text in set(found)):
        return found, set()
    return _each(_reader(kind), found)


@functools.cache
def _usual(kind: Kind) -> Callable[[str], object]:
    """Return what is true of texts that are cells of a column as they are; of others it may be false."""
    if kind.name == "decimal":
        whole = rf"-?(?:0|[1-9][0-9]{{0,{kind.whole - 1}}})"
        return re.compile(rf"{whole}(?:\.[0-9]{{1,{kind.scale}}})?" if kind.scale else whole).fullmatch
    return _USUAL.get(kind.name, _never)


def _never(text: str) -> bool:  # noqa: ARG001 - whatever it is
    return False


_USUAL: Mapping[str, Callable[[str], object]] = {
    "date": re.compile(USUAL_DAY).fullmatch,
    "instant": re.compile(USUAL_DAY + USUAL_CLOCK + "Z").fullmatch,
    "wall": re.compile(USUAL_DAY + USUAL_CLOCK).fullmatch,
}


def _each(read: Callable[[str], Cell], found: Sequence[str | None]) -> tuple[list[Cell], set[str]]:
    known: dict[str | None, Cell] = {text: read(text) for text in set(found) if text is not None}
    return [known.get(text) for text in found], {str(text) for text, cell in known.items() if cell is None}


_TRUTH: Mapping[str, bool] = {"true": True, "false": False}


def _reader(kind: Kind) -> Callable[[str], Cell]:
    """Return what makes the cell of a text: None if it does not fit."""
    if kind.name == "decimal":
        is_usual = _usual(kind)
        return lambda text: text if is_usual(text) else _decimal(text, kind)
    return _READERS[kind.name]


def _decimal(text: str, kind: Kind) -> str | None:
    digits = number(text)
    if digits is None:
        return None
    whole, _, part = digits.lstrip("-").partition(".")
    return digits if len(whole) <= kind.whole and len(part) <= kind.scale else None


def number(text: str) -> str | None:
    """Return a number in canonical form; None if it is not a number, or has zeros before it as codes have."""
    digits = text.removeprefix("-")
    if not digits[:1].isdigit() or not text.isascii() or "_" in text or (digits[:1] == "0" and digits[1:2].isdigit()):
        return None
    try:
        return canonical(text)
    except NotAnAmountError:
        return None


def _integer(text: str, most: int) -> int | None:
    digits = text if _INTEGER(text) else number(text)
    if digits is None or "." in digits or len(digits) > _LONGEST:
        return None
    return value if -most - 1 <= (value := int(digits)) <= most else None


def _huge(text: str) -> str | None:
    value = _integer(text, _MOST)
    return None if value is None else str(value)


def _date(text: str) -> str | None:
    return text if _DAY(text) and _is_day(text) else None


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _wall(text: str) -> str | None:
    found = _WALL(text)
    return _moment(found) if found else None


def _instant(text: str) -> str | None:
    found = _INSTANT(text)
    moment = _moment(found) if found else None
    if not found or moment is None:
        return None
    return moment + ("Z" if found[5] else f"{found[6]}{found[7]}:{found[8] or '00'}")


def _moment(found: re.Match[str]) -> str | None:
    if not _is_day(found[1]) or (found[4] and not found[3]):
        return None
    return f"{found[1]}T{found[2]}{found[3] or ':00'}{(found[4] or '').rstrip('0').rstrip('.')}"


_READERS: Mapping[str, Callable[[str], Cell]] = {
    "integer": lambda text: _integer(text, 2**63 - 1),
    "huge": _huge,
    "date": _date,
    "wall": _wall,
    "instant": _instant,
}


def equal_form(kind: Kind, cell: Cell) -> Cell:
    """Return a form of a cell that equal values share, as the database compares them."""
    if not isinstance(cell, str):
        return cell
    if kind.name == "decimal":
        return canonical(cell)
    if kind == WALL:
        return cell.rstrip("0").rstrip(".") if "." in cell else cell
    if kind == INSTANT:
        moment = datetime.fromisoformat(cell[:19])
        fraction = cell[19:].partition(".")[2].rstrip("Z") if "." in cell else ""
        digits = re.match("[0-9]*", fraction)
        # As a number: in UTC it may be of the year 0 or 10000.
        seconds = moment.toordinal() * 86400 + moment.hour * 3600 + moment.minute * 60 + moment.second
        if zone := re.search(r"([+-])(\d\d):(\d\d)$", cell):
            shift = int(zone[2]) * 3600 + int(zone[3]) * 60
            seconds += -shift if zone[1] == "+" else shift
        return f"{seconds:012d}.{digits[0].rstrip('0') if digits else ''}"
    return cell


_FOURS = "(0[48]|[2468][048]|[13579][26])"
_YEAR = "([0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)"
_DAYS = (
    f"({_YEAR}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
    f"|([0-9]{{2}}{_FOURS}|{_FOURS}00)-02-29)"
)
IN_UTC = f"{_DAYS}[T ]([01][0-9]|2[0-3])(:[0-5][0-9]){{2}}([.][0-9]+)?(Z|[+]00(:?00)?)"
"""Texts of instants whose digits say which one is earlier, as a regular expression; of any other texts nothing does.

Days that no calendar has (30 February) are not among them: PostgreSQL cannot try a cast without failing.
"""
DIGITS = 40
_in_utc = re.compile(IN_UTC).fullmatch


def order(kind: Kind, cell: Cell) -> Cell:
    """Return a form of a version by which it is earlier or later than others of its kind; None if nothing tells."""
    if kind != TEXT:
        return equal_form(kind, cell)
    digits = re.sub("[^0-9]", "", str(cell)) if cell is not None and _in_utc(str(cell)) else None
    return digits and digits.ljust(DIGITS, "0")[:DIGITS]


# What widens


def widened(kind: Kind, misfits: Iterable[str], most: Kind, whole: int) -> Kind:
    """Return the kind for a column that cannot hold some values.

    Args:
        kind: of the column.
        misfits: the values, as text.
        most: the decimals that the database has.
        whole: digits before the point that the column has by now.
    """
    if kind == TEXT:
        return JSON
    numbers = [number(text) for text in misfits]
    if kind.name not in _NUMBERS or None in numbers:
        return TEXT
    parts = [digits.lstrip("-").partition(".") for digits in numbers if digits]
    whole = max(whole, *(len(before) for before, _, _ in parts))
    needed = max(len(part) for _, _, part in parts)
    if kind.name != "decimal" and not needed and all(_huge(digits) for digits in numbers if digits):
        return HUGE
    room = most.whole + most.scale
    # Places after the point never get fewer: the column may use them.
    scale = max(needed, kind.scale if kind.name == "decimal" else most.scale)
    if kind.name != "decimal" and whole + scale > room:
        scale = needed
    return TEXT if whole + scale > room else decimal(room - scale, scale)


def of_moments(segments: Iterable[Segment]) -> Kind:
    """Return the kind for times by their values: all without a zone, all dates (taps declare these so, too), or any."""
    found = {text for segment in segments for text in texts(segment) if text is not None}
    for kind, is_one in ((WALL, _WALL), (DATE, _DAY)):
        if found and all(is_one(text) for text in found):
            return kind
    return INSTANT
