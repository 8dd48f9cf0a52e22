"""Reasons of version 0.1, whose reject files hold sentences only: the code and the parameters of a sentence.

Frozen. What accountants were told is part of the key at ivesk, so these sentences must go on making the same messages.
Rejects of later versions carry codes; new sentences never come here.
"""

from __future__ import annotations

import re
from typing import Any

Params = dict[str, Any]

_FIELD = r"(?P<field>[A-Za-z][\w.\[\]]*)"
_VALUE = r"(?P<value>'[^']*'…?|.+?)"
_NUMBER = r" is not a (?:whole )?number: " + _VALUE + r"(?: \(write it .+?\))?"
_DIFFERENCE = r"\(difference (?P<difference>.+?)\)"


def _part(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"{pattern}(?=; |\. |\.?$)", re.DOTALL)


_PARTS = (
    (_part(_FIELD + r" is longer than (?P<most>\d+) characters \((?P<length>\d+)\)"), "too_long"),
    (_part(_FIELD + r" is not a date such as \d{4}-\d\d-\d\d: " + _VALUE), "not_a_date"),
    (_part(_FIELD + _NUMBER), "not_a_number"),
    (_part(r"line (?P<line>\d+): " + _FIELD + _NUMBER), "not_a_number"),
    (
        _part(
            r"(?P<fields>[A-Za-z][\w.\[\]]*(?:, [A-Za-z][\w.\[\]]*)*) (?:is missing|are missing|must not be null)",
        ),
        "missing_field",
    ),
    (
        _part(
            r"(?P<where>The header|Line \d+) does not add up: subtotal (?P<subtotal>\S+) and vat (?P<vat>\S+) make "
            r"(?P<made>\S+), but total is (?P<total>\S+) " + _DIFFERENCE,
        ),
        "does_not_add_up",
    ),
    (
        _part(
            r"Header and lines differ: (?P<field>\w+) is (?P<stated>\S+), and the lines together make "
            r"(?P<together>\S+) " + _DIFFERENCE,
        ),
        "header_and_lines_differ",
    ),
    (_part(r"(?P<where>Line \d+) has no subtotal"), "no_subtotal"),
    (_part(r"No mapping for (?P<codes>.+?\((?:vat_classes|accounts|objects)\))"), "no_mapping"),
    (_part(r"It has no lines(?: \(.+?\))?"), "no_lines"),
    (
        _part(r"It is a (?P<doctype>.+?), but its total is (?P<total>\S+): a credit note's amounts are negative"),
        "sign_of_credit_note",
    ),
    (
        _part(r"The seller has neither a registration code nor a VAT number nor an id(?: \(.+?\))?"),
        "seller_without_id",
    ),
)
"""Reasons of which a sentence may have several."""

_WHOLE = tuple(
    (re.compile(pattern, re.DOTALL), code)
    for pattern, code in (
        (
            r"^Unknown to Vic\.ai, and not loaded in this run: (?P<references>.+?)\.(?: vicai: .*)?$",
            "unknown_reference",
        ),
        (r"\((?P<said>costAccount is unknown: .+?)\.?\)", "service_refused"),
        (r"\((?P<said>dimension is unknown: .+?)\.?\)", "service_refused"),
        (r"\((?P<said>vendor(?:ExternalId)?(?: is unknown:)? .+?)\.?\)", "service_refused"),
        (r"^document is missing", "document_missing"),
        (r"^The document .+ is empty\.$", "document_empty"),
        (r"^The document .+ is larger than (?P<most>[\d.,]+ ?MB)", "document_too_large"),
        (
            r"^The document .+ is not of a type that Vic\.ai processes"
            r"|^The document .+ is a file of type|^documentType is ",
            "document_type",
        ),
        (
            r"^The document .+ (?:is not there|is a folder|is no ordinary file|may not be read|can't be read)"
            r"|^documentBase64 is not base64| changed while it was being sent\.$",
            "document_unreadable",
        ),
        (
            r"^It is not clear whose document this is, of company (?P<company>.+?) or of another: the buyer is "
            r"(?P<buyer>.+) and the seller is (?P<seller>.+); ",
            "whose_document",
        ),
        (
            r"^.+? exists at Vic\.ai with (?P<field>[\w.\[\]]+) (?P<theirs>.+), and the record says "
            r"(?P<ours>.+?)\. Vic\.ai ",
            "differs_at_vicai",
        ),
        (r"this company has no right to it: status 403", "no_right"),
        (
            r"(?:the service refuses the call|not found): status \d+ \((?P<said>.+?)\)\.?(?: |$)",
            "service_refused",
        ),
    )
)
"""Reasons that are the whole sentence; the first pattern that is found counts."""

_KINDS = "vendor|account|dimension|object|VAT class|VAT code|payment term|vendor group"
_PAIR = re.compile(rf"(?:^|, )({_KINDS}) ")
_SETTING = re.compile(r" \((?:vat_classes|accounts|objects)\)(?=, |$)")


def parse(reason: str) -> tuple[str, Params]:
    """Return the code and the parameters of a sentence; `unclassified` if it is not one of those above."""
    parts = _parts(reason)
    if len(parts) == 1:
        return parts[0]["code"], parts[0]["params"]
    if parts:
        return "several", {"reasons": parts}
    for pattern, code in _WHOLE:
        if found := pattern.search(reason):
            return code, _params(found)
    return "unclassified", {}


def _parts(reason: str) -> list[Params]:
    """Return the parts of a sentence; none if one of them is unknown."""
    parts, place = [], 0
    while rest := reason[place:].strip(" ;."):
        place = reason.index(rest, place)
        matches = ((pattern.match(reason, place), code) for pattern, code in _PARTS)
        found, code = next(((found, code) for found, code in matches if found), (None, ""))
        if found is None:
            return []
        parts.append({"code": code, "params": _params(found)})
        place = found.end()
    return parts


def _params(found: re.Match[str]) -> Params:
    params: Params = {}
    for name, text in found.groupdict(default="").items():
        if name in {"references", "codes"}:
            kind_and = "key" if name == "references" else "code"
            pairs = _pairs(text if name == "references" else _SETTING.sub("", text))
            params[name] = [{"kind": kind, kind_and: key} for kind, key in pairs]
        elif name == "fields":
            params[name] = text.split(", ")
        elif name == "where":
            params[name] = "header" if text == "The header" else _line(text.removeprefix("Line "))
        elif name == "difference":
            params[name], _, params["currency"] = text.partition(" ")
        elif name in {"buyer", "seller"}:
            params[name] = _party(text)
        else:
            params[name] = text
    if "line" in params:
        params["field"] = f"{_line(params.pop('line'))}.{params['field']}"
    return params


def _line(number: str) -> str:
    return f"lines[{int(number) - 1}]"


def _party(text: str) -> Params:
    """Return name and code of "UAB A (302320404)", as far as there are any."""
    name, _, code = text.removesuffix(")").rpartition(" (")
    party = {"name": name, "code": code}
    return {key: value for key, value in party.items() if value not in {"without a name", "no registration code"}}


def _pairs(names: str) -> list[tuple[str, str]]:
    """Return the kinds and keys of "vendor V-1, account 6001"."""
    first, *rest = _PAIR.split(names)
    found = [(kind.lower().replace(" ", "_"), key) for kind, key in zip(rest[::2], rest[1::2], strict=True)]
    return [("", first), *found] if first else found
