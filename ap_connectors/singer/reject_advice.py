"""What a person does about a reject, by its code; the order in which one works them off; and which field is meant."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ap_connectors.singer.coercion import joined
from ap_connectors.singer.schema import canonical

ADVICE: Sequence[tuple[str, Sequence[str]]] = (
    (
        "Look at the service whether it arrived, before you send it again",
        ("delivery_unknown", "partly_written", "not_processed"),
    ),
    ("Say in the ledger whether the key was renewed, or give the company its own", ("sent_with_another_key",)),
    (
        "Load what it refers to first, or correct the reference",
        ("unknown_reference", "ambiguous_name", "ambiguous_vendor", "vendor_without_external_id"),
    ),
    ("Have the change approved", ("bank_change",)),
    ("Correct the account number, and send the record again", ("bank_account",)),
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
            *("corrected_after_posting", "rejected_before"),
            *("line_matched", "vendor_differs", "moved_to_another_company", "no_longer_booked", "duplicate"),
            "older_export",
            "not_a_number_at_vicai",
        ),
    ),
    ("Ask who administers the service", ("no_right", "not_offered", "not_found", "warehouse_refused")),
)
_CORRECT = "Correct the record where it comes from"
_IN_SHEET = ", or in the sheet"
_RANK = {code: rank for rank, (_, codes) in enumerate(ADVICE) for code in codes}
_holds_ids = re.compile(r"(?:id|ids|code|number|name)(?:\[[0-9]+\])?$", re.IGNORECASE).search
"""True of paths of fields that may name another record."""


def what_to_do(code: str, *, in_sheet: bool = True) -> str:
    """Return what to do about a reject, as a sheet says it, which can be corrected, or a page."""
    return ADVICE[_RANK[code]][0] if code in _RANK else _CORRECT + _IN_SHEET * in_sheet


def order(code: str) -> int:
    """Return when it is a reject's turn: what others wait for comes first."""
    return _RANK.get(code, len(ADVICE))


def field_and_value(params: Mapping[str, Any]) -> tuple[str, str]:
    """Return which field a reject speaks of, and what that holds; of several reasons those of the first."""
    reasons = params.get("reasons")
    if isinstance(reasons, list) and reasons and isinstance(reasons[0], dict):
        return field_and_value(reasons[0].get("params") or {})
    several = params.get("references") or params.get("changes")
    if isinstance(several, list) and several and all(isinstance(one, dict) for one in several):
        # What is referred to, and bank details that wait: each has a field of its own.
        fields = dict.fromkeys(str(one["field"]) for one in several if one.get("field"))
        return ", ".join(fields), ", ".join(dict.fromkeys(str(one.get("key", one.get("to")) or "") for one in several))
    listed = params.get("fields")
    named = params.get("field") or (", ".join(map(str, listed)) if isinstance(listed, list) else "")
    if not named and "document" in params:
        named = "document"
    held = next((params[name] for name in _HELD if params.get(name) is not None), "")
    return str(named), _unquoted(str(held))


_HELD = ("value", "ours", "name", "document")
"""Parameters that say what a field holds."""


def _unquoted(text: str) -> str:
    """Return a value without the quotes in which messages show it."""
    whole, cut = text.removesuffix("…"), "…" if text.endswith("…") else ""
    if len(whole) < 2 or whole[0] not in "'\"" or whole[-1] != whole[0]:
        return text
    try:
        return f"{ast.literal_eval(whole)}{cut}"
    except (ValueError, SyntaxError):
        return text


def located(params: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a reject, with the `field` of each reference, where only one can be meant.

    Args:
        params: of any code; of several reasons each is completed.
        record: as it came.
    """
    found = dict(params)
    if isinstance(references := params.get("references"), list):
        found["references"] = [_with_field(one, one.get("key"), record) for one in references]
    elif "kind" in params and "name" in params:
        found = _with_field(params, params["name"], record)
    if isinstance(reasons := params.get("reasons"), list):
        found["reasons"] = [{**one, "params": located(one["params"], record)} for one in reasons]
    return found


def _with_field(params: Mapping[str, Any], key: Any, record: Mapping[str, Any]) -> dict[str, Any]:
    if "field" in params:
        return {**params}
    found = [path for path, value in _leaves(record, "") if str(value) == str(key)]
    # An amount may have the digits of a key, and an index those of an account.
    kind = canonical(str(params.get("kind") or ""))
    named = [path for path in found if kind and kind in canonical(path)]
    ids = [path for path in found if _holds_ids(path)]
    field = named[0] if named else ids[0] if len(ids) == 1 else None
    return {**params} if field is None else {**params, "field": field}


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, member in value.items():
            yield from _leaves(member, joined(path, name))
    elif isinstance(value, list):
        for number, element in enumerate(value):
            yield from _leaves(element, f"{path}[{number}]")
    elif value is not None:
        yield path, value
