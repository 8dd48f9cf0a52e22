"""Lines of journals: each with its transaction's and its journal's fields."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element

import msgspec

from ap_connectors.core.raw_json import Record
from tap_saft import contract
from tap_saft.values import Fields, InvalidElement, element_name, members, number, put, record, snake
from tap_saft.walk import Container

_TRANSACTIONS_OWN = frozenset(
    {
        *("period", "period_year", "source_id", "batch_id", "system_entry_date", "gl_posting_date"),
        *("modification_date", "system_id", "voucher_type", "voucher_description"),
    }
)
SIDES = ("debit_amount", "credit_amount")
_NUMBERS = frozenset(name for name, kind in contract.kinds("journal_lines").items() if kind == "number")


class LineBuilder:
    """Builds the lines of one file.

    Args:
        repeated: hashes of the identities of transactions that occur more than once in the file; their lines are
            numbered on.
        warn: reports in a sentence what is left out.
    """

    def __init__(self, repeated: frozenset[int], warn: Callable[[str], None]) -> None:
        self._repeated, self._warn = repeated, warn
        self._kinds = contract.kinds("journal_lines")
        self._transaction: Container | None = None
        self._common: Record = {}
        self._names: frozenset[str] = frozenset()
        self._fields = 0
        self._number = 0
        self._counted: dict[tuple[str, str, str, str], int] = {}

    def build(self, element: Element, container: Container, company_id: str) -> Record:
        """Return the record of a line.

        Raises:
            InvalidElement: it is invalid.
        """
        transaction = transaction_of(container)
        if transaction is not self._transaction:
            self._begin(transaction, company_id)
        elif len(transaction.fields) != self._fields:
            self._fields = len(transaction.fields)
            self._warn("fields of a transaction that come after its lines are not in journal_lines.")
        self._number += 1
        if self._repeated and (key := identity(transaction)) in self._counted:
            self._counted[key] = self._number
        plain = members(element)
        for side in SIDES:
            if type(plain.get(side)) is dict:
                _unfold(plain, side)
        for name in self._names & plain.keys():
            plain[f"line_{name}"] = plain.pop(name)
        return self._common | record(plain, self._kinds) | {"line_number": msgspec.Raw(b"%d" % self._number)}

    def _begin(self, transaction: Container, company_id: str) -> None:
        self._transaction, self._fields = transaction, len(transaction.fields)
        key = identity(transaction)
        self._number = 0
        if hash(key) in self._repeated:
            self._number = self._counted.setdefault(key, 0)
        year, period, journal, id_ = key
        fields = {_transactions(name): item for name, item in transaction.fields.items()}
        if transaction.parent:
            fields |= {_journals(name): item for name, item in transaction.parent.fields.items()}
        fields |= {
            **{"company_id": company_id, "period_year": year, "period": period},
            **{"journal_id": journal, "transaction_id": id_},
        }
        self._names = frozenset(fields) | {"line_number"}
        common = record(fields, self._kinds)
        self._common = {name: common[name] for name in dict.fromkeys((*_FIRST, *common))}


_FIRST = ("company_id", "period_year", "period", "journal_id", "transaction_id")
_MONTH = re.compile(r"\d{4}-0?(\d{1,2})")


def identity(transaction: Container) -> tuple[str, str, str, str]:
    """Return a transaction's year, period, journal and id; numbering may begin anew with each of the first three.

    Where the file has no period, year and month of the transaction's date count; what it does not have is empty.

    Raises:
        InvalidElement: it has no id.
    """
    fields = transaction.fields
    date = _text(fields.get("transaction_date")).strip()
    year = _text(fields.get("period_year")) or date[:4]
    period = _text(fields.get("period")) or ((found := _MONTH.match(date)) and found[1]) or ""
    journal = transaction.parent.fields if transaction.parent else {}
    id_ = _text(fields.get("transaction_id"))
    if not id_:
        raise InvalidElement("TransactionID is missing or empty, so the transaction of the line is unknown")
    return year, period, _text(journal.get("journal_id")), id_


def transaction_of(container: Container) -> Container:
    """Return the transaction that is, or contains, a line's container."""
    return container.parent if container.name == "Lines" and container.parent else container


def numbers_of(element: Element) -> dict[str, bytes] | None:
    """Return a line's numbers by field, as JSON, without building its record.

    None means that the line is unusual (a number that occurs twice, deep elements): `LineBuilder.build` will tell.

    Raises:
        InvalidElement: a number is not one.
    """
    found: dict[str, bytes] = {}
    for child in element:
        name = snake(child.tag)
        parts: tuple[tuple[str, Element], ...] = ()
        if not len(child):
            parts = ((name, child),)
        elif name in SIDES:
            parts = tuple((name if (part := snake(one.tag)) == "amount" else part, one) for one in child)
        elif any(len(two) for one in child for two in one):
            return None
        for part, one in parts:
            if part in _NUMBERS:
                if part in found or len(one):
                    return None
                found[part] = number(one.text or "", element_name(part)) or b"0"
            elif len(one):
                return None
    return found


def _unfold(plain: Fields, side: str) -> None:
    """Put an amount's parts into the line: the amount under the side's name, currency and rate under their own."""
    parts: dict[str, Any] = plain.pop(side)
    plain[side] = parts.pop("amount", "")
    for name, item in parts.items():
        put(plain, f"{side.partition('_')[0]}_{name}" if name in plain else name, item)


def _transactions(name: str) -> str:
    return name if name in _TRANSACTIONS_OWN or name.startswith("transaction_") else f"transaction_{name}"


def _journals(name: str) -> str:
    return name if name.startswith("journal_") else f"journal_{name}"


def _text(item: Any) -> str:
    return item if isinstance(item, str) else ""
