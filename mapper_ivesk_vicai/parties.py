"""Whose document it is: a purchase of the company, a sale of its own, or somebody else's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ap_connectors.core.errors import Reject
from mapper_ivesk_vicai.fields import Fields, code, text

_PARTIES = ("buyer", "seller")


@dataclass(frozen=True)
class Belonging:
    """What a document is to the company.

    Args:
        kind: `purchase`, `sale`, or `other`: of another company that the accountant keeps books for.
        company: registration code of the company whose document it is.
    """

    kind: Literal["purchase", "sale", "other"]
    company: str


def belonging(document: Fields, company: str) -> Belonging:
    """Return what a document is to the company with this registration code.

    The codes decide. Only where neither is the company's do `buyerisfavorite` and `sellerisfavorite` count: they mark
    the companies that the accountant keeps books for.

    Raises:
        Reject: nobody can tell whose it is.
    """
    codes = {party: code(document, f"{party}code") for party in _PARTIES}
    if codes["buyer"] == company:
        return Belonging("purchase", company)
    if codes["seller"] == company:
        return Belonging("sale", company)
    own = [codes[party] for party in _PARTIES if document.get(f"{party}isfavorite") is True]
    known = [registered for registered in own if registered]
    # The one without a code may be the company.
    if known and len(known) == len(own):
        return Belonging("other", known[0])
    told = " and ".join(_told(document, party, codes[party]) for party in _PARTIES)
    why = "one of the accountant's own companies has no registration code" if own else "neither is marked as favorite"
    raise Reject(f"It is not clear whose document this is, of company {company} or of another: {told}; {why}.")


def _told(document: Fields, party: str, registered: str | None) -> str:
    name = text(document, f"{party}name") or "without a name"
    return f"the {party} is {name} ({registered or 'no registration code'})"
