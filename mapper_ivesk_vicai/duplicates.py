"""Duplicates of a run: one invoice that was digitised twice, under two ids."""

from __future__ import annotations

from hashlib import blake2b

from ap_connectors.core.errors import Reject
from ap_connectors.core.exact import canonical
from ap_connectors.core.validate import spelled
from mapper_ivesk_vicai.fields import one_line, plain
from mapper_ivesk_vicai.purchase import Purchase


class Duplicates:
    """Remembers what was sent: seller, number, date and total, by the document's id.

    What earlier runs sent is at Vic.ai: there target-vicai looks.
    """

    def __init__(self) -> None:
        self._sent: dict[bytes, str] = {}

    def refusal(self, purchase: Purchase, key: bytes | None) -> Reject | None:
        """Return why a purchase, of that key, is set aside if it was sent under another id."""
        known = self._sent.get(key or b"")
        if known is None or known == purchase.id:
            return None
        currency, total = purchase.header.currency, plain(purchase.total)
        return Reject(
            f"It came before in this run, as document {one_line(known)}: the same seller, number, date and total "
            f"({one_line(purchase.docnum)}, {purchase.issued}, {total} {currency}). Leave one of them out; if both are "
            "to be booked, set duplicates: allow.",
            "duplicate",
            docnum=purchase.docnum,
            date=purchase.issued or "",
            total=total,
            currency=currency,
            other=known,
        )

    def remember(self, purchase: Purchase, key: bytes | None) -> None:
        """Store what was sent."""
        if key:
            self._sent.setdefault(key, purchase.id)


def key_of(purchase: Purchase) -> bytes | None:
    """Return what two copies of one invoice have in common; None without a number: then nothing tells them apart.

    Whoever reads a number from a scan may see a blank or a dash more, or another letter case.
    """
    number = spelled(purchase.docnum or "")
    if not number:
        return None
    total = canonical(plain(purchase.total))
    facts = (purchase.seller.key, number, purchase.issued, total, purchase.header.currency.upper())
    return blake2b(repr(facts).encode(errors="replace"), digest_size=16).digest()
