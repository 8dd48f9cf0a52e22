"""What a person does about a reject, by its code; in the order in which one works them off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

ADVICE: Sequence[tuple[str, Sequence[str]]] = (
    (
        "Look at the service whether it arrived, before you send it again",
        ("delivery_unknown", "partly_written", "not_processed"),
    ),
    (
        "Load what it refers to first, or correct the reference",
        ("unknown_reference", "ambiguous_name", "ambiguous_vendor", "vendor_without_external_id"),
    ),
    ("Have the change approved", ("bank_change", "bank_account")),
    ("Make a new plan, and have it approved", ("not_in_plan", "not_as_approved", "changed_since_plan")),
    (
        "Add the missing row to the table, or say what becomes of such documents",
        ("no_mapping", "kind_unknown", "kind_set_aside", "whose_document"),
    ),
    (
        "Give the document, or another one",
        (
            *("document_given_twice", "document_not_base64", "document_not_allowed", "document_not_found"),
            *("document_unreadable", "document_empty", "document_too_large", "document_changed", "document_missing"),
            *("document_not_a_pdf", "document_type", "document_type_differs", "document_type_unclear"),
            *("document_moved_on", "no_link", "link_expired"),
        ),
    ),
    (
        "Decide which side is right: it differs at the service",
        (
            *("differs_at_vicai", "changed_at_vicai", "not_changeable", "not_deletable", "wrong_state"),
            *("line_matched", "vendor_differs", "moved_to_another_company", "no_longer_booked", "duplicate"),
            "not_a_number_at_vicai",
        ),
    ),
    ("Ask who administers the service", ("no_right", "not_offered", "not_found", "warehouse_refused")),
)
_CORRECT = "Correct the record where it comes from, or in the sheet"
_RANK = {code: rank for rank, (_, codes) in enumerate(ADVICE) for code in codes}


def what_to_do(code: str) -> str:
    """Return what to do about a reject."""
    return ADVICE[_RANK[code]][0] if code in _RANK else _CORRECT


def order(code: str) -> int:
    """Return when it is a reject's turn: what others wait for comes first."""
    return _RANK.get(code, len(ADVICE))


def field_and_value(params: Mapping[str, Any]) -> tuple[str, str]:
    """Return which field a reject speaks of, and what that holds; of several reasons those of the first."""
    reasons = params.get("reasons")
    if isinstance(reasons, list) and reasons and isinstance(reasons[0], dict):
        return field_and_value(reasons[0].get("params") or {})
    fields = params.get("fields")
    named = params.get("field") or (", ".join(map(str, fields)) if isinstance(fields, list) else "")
    return str(named or ""), "" if params.get("value") is None else str(params["value"])
