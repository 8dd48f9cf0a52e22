"""The lines of a document: as they came, with their codes as Vic.ai knows them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, NamedTuple

from ap_connectors.core.errors import Reject
from ap_connectors.core.raw_json import JsonObject
from mapper_ivesk_vicai.amounts import PARTS, Agreed, Amounts
from mapper_ivesk_vicai.fields import amount, code, further, shown, shown_value, text
from mapper_ivesk_vicai.tables import ACCOUNTS, OBJECTS, VAT_CLASSES, CodeTable, Row, Rows

Unmapped = Literal["reject", "pass", "leave_out"]

ROUNDING = "rounding"
"""The code of a rounding line, in the table of accounts."""

_BETWEEN_OBJECTS = re.compile(r"\s*[,;|]\s*")
_PLACED = frozenset({*PARTS, "code", "name", "quantity", "vatpercent", "vatclass", "object"})


class Dimension(NamedTuple):
    """A dimension by the ERP's id, and the id of its kind, if that is said."""

    id: str
    type: str | None


@dataclass(frozen=True)
class PurchaseLine:
    """A line; account, VAT code and dimensions as Vic.ai knows them.

    Args:
        further: the fields that have no place of their own at Vic.ai; None for a line that is not the document's.
    """

    net: Decimal
    vat: Decimal | None = None
    vat_percent: Decimal | None = None
    quantity: Decimal | None = None
    description: str | None = None
    account: str | None = None
    vat_code: str | None = None
    dimensions: tuple[Dimension, ...] = ()
    further: JsonObject | None = None

    @property
    def is_rounding(self) -> bool:
        """Whether it makes up for rounding, and is not one of the document's."""
        return self.further is None

    @property
    def is_vat_only(self) -> bool:
        """Whether it bills nothing but VAT: import VAT on a customs declaration, say."""
        return not self.net and bool(self.vat)


class UnmappedCode(NamedTuple):
    """A code without a row in its table, and the document that has it."""

    table: CodeTable
    code: str
    document: str


class Codes(NamedTuple):
    """What the codes of a line become."""

    account: str | None = None
    vat_code: str | None = None
    dimensions: tuple[Dimension, ...] = ()


def lines_of(document: JsonObject, *, header_as_line: bool) -> tuple[list[JsonObject], list[Reject]]:
    """Return the lines as they came, or why there are none."""
    lines = document.get("lines")
    if lines is None or lines == []:
        if header_as_line:
            return [{part: document.get(part) for part in PARTS}], []
        return [], [Reject("It has no lines (without_lines: header makes one of the header's amounts).", "no_lines")]
    if not isinstance(lines, list):
        value = shown_value(lines)
        return [], [Reject(f"lines is not a list: {value}.", "not_a_list", field="lines", value=value)]
    for number, line in enumerate(lines, 1):
        if not isinstance(line, dict):
            where, value = f"lines[{number - 1}]", shown_value(line)
            return [], [Reject(f"line {number} is not an object: {value}.", "not_an_object", field=where, value=value)]
    return lines, []


@dataclass(frozen=True)
class LineTables:
    """The tables that lines go by.

    Args:
        rows: of each table.
        unmapped: what to do with a document that has a code without a row.
    """

    rows: dict[CodeTable, Rows]
    unmapped: Unmapped

    def codes(
        self, document: JsonObject, lines: list[JsonObject]
    ) -> tuple[list[Codes], tuple[UnmappedCode, ...], list[Reject]]:
        """Return what the codes of each line become, those without a row, and why that sets the document aside."""
        found: list[Codes] = []
        unmapped: dict[UnmappedCode, None] = {}

        def become(table: CodeTable, given: str | None) -> Row:
            row = table.nothing if given is None else self.rows[table].get(given)
            if given is not None and row is None:
                unmapped[UnmappedCode(table, given, shown(document))] = None
                row = (given, *table.nothing[1:]) if self.unmapped == "pass" else table.nothing
            return row or table.nothing

        try:
            for number, line in enumerate(lines, 1):
                (account,) = become(ACCOUNTS, code(line, ACCOUNTS.field, number))
                (vat_code,) = become(VAT_CLASSES, code(line, VAT_CLASSES.field, number))
                dimensions = [become(OBJECTS, one) for one in _objects(line, number, self.rows[OBJECTS])]
                known = (Dimension(id_, kind) for id_, kind in dimensions if id_)
                found.append(Codes(account, vat_code, tuple(dict.fromkeys(known))))
        except Reject as reason:
            return [], (), [reason]
        if unmapped and self.unmapped == "reject":
            named = ", ".join(f"{table.what} {code} ({table.setting})" for table, code, _ in unmapped)
            codes = [{"kind": table.kind, "code": code, "setting": table.setting} for table, code, _ in unmapped]
            return found, tuple(unmapped), [Reject(f"No mapping for {named}.", "no_mapping", codes=codes)]
        return found, tuple(unmapped), []

    def rounding(self, rest: Amounts) -> PurchaseLine | None:
        """Return the line that makes up for rounding; None if there is nothing to make up for."""
        net, vat = rest.subtotal, rest.vat
        if net is None or not (net or vat):
            return None
        (account,) = self.rows[ACCOUNTS].get(ROUNDING, ACCOUNTS.nothing)
        return PurchaseLine(net, vat or None, description="Rounding", account=account)


def purchase_lines(agreed: Agreed, lines: list[JsonObject], codes: list[Codes]) -> list[PurchaseLine]:
    """Return the lines.

    Raises:
        Reject: a field of one is not what it should be.
    """
    return [_line(number, *each) for number, each in enumerate(zip(agreed.lines, lines, codes, strict=True), 1)]


def _line(number: int, amounts: Amounts, line: JsonObject, codes: Codes) -> PurchaseLine:
    assert amounts.subtotal is not None  # noqa: S101 - `read_lines` has rejected it
    return PurchaseLine(
        amounts.subtotal,
        amounts.vat,
        amounts.percent,
        amount(line, "quantity", number),
        text(line, "name", number),
        *codes,
        further=further(line, _PLACED),
    )


def _objects(line: JsonObject, number: int, rows: Rows) -> Iterator[str]:
    """Yield the objects of a line: a list, or one text of one, or of several with commas between them.

    A text that has a row is one object, whatever is in it; and so is one of whose parts none has a row.
    """
    given = line.get(OBJECTS.field)
    for one in given if isinstance(given, list) else [given]:
        whole = code({OBJECTS.field: one}, OBJECTS.field, number)
        parts = [part for part in _BETWEEN_OBJECTS.split(whole or "") if part]
        if whole is not None and (whole in rows or not any(part in rows for part in parts)):
            parts = [whole]
        yield from parts
