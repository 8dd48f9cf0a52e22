"""Kinds of documents: what becomes of each, by the name that ivesk gives it (`doctype`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from ap_connectors.core.errors import Reject, Stop
from ap_connectors.core.validate import spelled
from mapper_ivesk_vicai.tables import DOCTYPES, load

Fate = Literal["invoice", "creditnote", "leave_out", "set_aside"]
FATES: tuple[Fate, ...] = get_args(Fate)

DoctypeFates = Mapping[str, Fate]
"""What becomes of a kind of document, by its name as `spelled`."""

_DEFAULTS: DoctypeFates = {
    # A document that does not say what it is: it is exported to be booked, and its sign tells the rest.
    "": "invoice",
    "invoice": "invoice",
    "vatinvoice": "invoice",
    "debitnote": "invoice",
    "debitinvoice": "invoice",
    "creditnote": "creditnote",
    "creditinvoice": "creditnote",
    # The real invoice comes later, or never: booked twice, or for nothing.
    "proforma": "leave_out",
    "proformainvoice": "leave_out",
    "prepaymentinvoice": "leave_out",
    "advanceinvoice": "leave_out",
    # Paid on the spot: there is nothing to pay.
    "cashreceipt": "leave_out",
}


def load_doctypes(given: Any) -> DoctypeFates:
    """Return what becomes of each kind: what the setting says, else what is usual.

    Raises:
        Stop: the table cannot be read, or says something that a kind cannot become.
    """
    doctypes: dict[str, Fate] = {}
    for name, (becomes,) in load(DOCTYPES, given).items():
        if becomes not in FATES:
            raise Stop(f"{DOCTYPES.setting}.{name} must be {', '.join(FATES[:-1])} or {FATES[-1]}.")
        if doctypes.setdefault(spelled(name), becomes) != becomes:
            raise Stop(f"{DOCTYPES.setting}: {name} is named twice, in two spellings, and differently.")
    return {**_DEFAULTS, **doctypes}


def fate_of(doctype: str | None, doctypes: DoctypeFates) -> Fate | None:
    """Return what becomes of a kind; None if it is unknown."""
    return doctypes.get(spelled(doctype or ""))


def refusal(doctype: str | None, fate: Fate | None) -> Reject | None:
    """Return why a document of such a kind is set aside, if it is."""
    kind = doctype or "document without a kind"
    if fate == "set_aside":
        return Reject(f"It is a {kind}: such documents are set aside (doctypes).", "kind_set_aside", doctype=kind)
    if fate is None:
        return Reject(
            f"It is a {kind}, and what becomes of such a document is not known: name it in doctypes, as "
            f"{', '.join(FATES[:-1])} or {FATES[-1]}.",
            "kind_unknown",
            doctype=kind,
        )
    return None
