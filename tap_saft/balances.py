"""Balances of accounts and parties: opening + movement = closing, over the lines of the file or of its whole export."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

from ap_connectors.core.exact import EXACT, add, counted, money
from tap_saft.values import Fields, element_name, number, snake

STREAMS = frozenset({"account_balances", "party_balances"})
_ZERO = Decimal(0)
_NAMED = 5
_IDS = {"account_id": 0, "supplier_id": 1, "customer_id": 2}


class Place(NamedTuple):
    """What has a balance.

    Args:
        party_type: supplier, customer, or empty of an account of the ledger as a whole.
        party_id: its id, or empty.
        account_id: the account of the ledger; empty where a party names none.
    """

    party_type: str
    party_id: str
    account_id: str

    def __str__(self) -> str:
        party = f"{self.party_type} {self.party_id}" if self.party_type else ""
        account = f"account {self.account_id}" if self.account_id else ""
        return ", ".join(part for part in (party, account) if part)


class Movement(NamedTuple):
    """Sums of lines: `debit` and `credit`, exactly."""

    debit: Decimal = _ZERO
    credit: Decimal = _ZERO

    def plus(self, other: Movement) -> Movement:
        """Return both together."""
        return Movement(EXACT.add(self.debit, other.debit), EXACT.add(self.credit, other.credit))

    @property
    def balance(self) -> Decimal:
        """What they add to a balance; debit is positive."""
        return EXACT.subtract(self.debit, self.credit)


@dataclass(frozen=True)
class Stated:
    """A balance as the file states it; debit is positive, and what is not stated is None."""

    opening: Decimal | None
    closing: Decimal | None


Movements = dict[Place, Movement]


def stated(saft: Mapping[str, Any]) -> Stated | None:
    """Return the balance of an account, party or `BalanceAccount`; None if it states none.

    Raises:
        InvalidElement: a balance is not a number.
    """
    opening, closing = _signed(saft, "opening"), _signed(saft, "closing")
    return None if opening is None and closing is None else Stated(opening, closing)


def _signed(saft: Mapping[str, Any], when: str) -> Decimal | None:
    sides = []
    for side in ("debit", "credit"):
        name = f"{when}_{side}_balance"
        given = saft.get(name)
        digits = number(given, element_name(name)) if isinstance(given, str) else None
        sides.append(None if digits is None else Decimal(digits.decode()))
    if sides == [None, None]:
        return None
    return EXACT.subtract(sides[0] or _ZERO, sides[1] or _ZERO)


def of_party(party_type: str, party_id: str, saft: Mapping[str, Any]) -> Iterator[tuple[Place, Fields, Stated]]:
    """Yield the balances of a party, each with the element that states it: itself (1.10), or `BalanceAccount` (1.30).

    Raises:
        InvalidElement: a balance is not a number.
    """
    more = saft.get("balance_account")
    for one in (saft, *(more if isinstance(more, list) else [more])):
        if isinstance(one, dict) and (balance := stated(one)):
            account_id = one.get("account_id")
            yield Place(party_type, party_id, account_id if isinstance(account_id, str) else ""), one, balance


_NOTHING = Movement()


@dataclass
class Balances:
    """What the first reading of a file finds: balances, and what its lines add up to.

    Attributes:
        stated: the balances of each place; several where an id occurs more than once.
        moved: the lines of each place.
    """

    stated: dict[Place, list[Stated]] = field(default_factory=dict)
    moved: Movements = field(default_factory=dict)

    def state(self, place: Place, balance: Stated) -> None:
        """Add a balance."""
        self.stated.setdefault(place, []).append(balance)

    def move(self, element: Element, movement: Movement) -> None:
        """Add a line to its account, and to its supplier and customer."""
        ids = ["", "", ""]
        for child in element:
            if (place := _IDS.get(snake(child.tag))) is not None:
                ids[place] = (child.text or "").strip()
        account, supplier, customer = ids
        if account:
            self._move(Place("", "", account), movement)
        if supplier:
            self._move(Place("supplier", supplier, account), movement)
        if customer:
            self._move(Place("customer", customer, account), movement)

    def _move(self, place: Place, movement: Movement) -> None:
        self.moved[place] = self.moved.get(place, _NOTHING).plus(movement)


class Reconciled:
    """The balances of a file beside the lines that explain them.

    Args:
        balances: of the file.
        moved: lines of the file, or of all files of its export; None if these are not all there.
    """

    def __init__(self, balances: Balances, moved: Movements | None) -> None:
        self._stated = balances.stated
        self._types = {place.party_type for place in moved or ()}
        self._moved = moved or {}

    def movement(self, place: Place) -> Movement | None:
        """Return what lines move; None where lines do not tell: there are none, or none that names such a party."""
        is_told = place.party_type in self._types and place.account_id
        return self._moved.get(place, _NOTHING) if is_told else None

    def difference(self, place: Place) -> Decimal | None:
        """Return opening + movement - closing; None if it cannot be told."""
        movement, known = self.movement(place), self._stated.get(place, ())
        if movement is None or not known:
            return None
        total = movement.balance
        for balance in known:
            if balance.opening is None or balance.closing is None:
                return None
            total = EXACT.add(total, EXACT.subtract(balance.opening, balance.closing))
        return total

    def problems(self) -> Iterator[str]:
        """Yield in sentences where opening + movement is not closing."""
        for streams, types in (("accounts", {""}), ("suppliers and customers", {"supplier", "customer"})):
            wrong = [place for place in self._stated if place.party_type in types and self.difference(place)]
            if wrong:
                told = "; ".join(self._told(place) for place in wrong[:_NAMED])
                more = f"; and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
                count = counted(len(wrong), "balance")
                yield f"opening + movement is not closing for {count} of {streams}: {told}{more}."
        listed = any(not place.party_type for place in self._stated)
        unknown = sorted(one.account_id for one in self._moved if not one.party_type and one not in self._stated)
        if unknown and listed:
            some = ", ".join(unknown[:_NAMED]) + (", ..." if len(unknown) > _NAMED else "")
            yield f"{counted(len(unknown), 'account')} with lines and without a balance: {some}."

    def _told(self, place: Place) -> str:
        opening = add(*(one.opening or _ZERO for one in self._stated[place]))
        closing = add(*(one.closing or _ZERO for one in self._stated[place]))
        movement = (self.movement(place) or _NOTHING).balance
        return f"{place}: {money(opening)} + {money(movement)} is not {money(closing)}"
