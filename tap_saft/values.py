"""XML elements as Python values: numbers with their digits, names in snake_case, ids without white space around them.

All other text is kept to the last space.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Mapping
from typing import Any
from xml.etree.ElementTree import Element

import msgspec
from msgspec import Raw

from ap_connectors.core.raw_json import Record
from ap_connectors.core.validate import id_text

DEEPEST = 50
"""Levels of elements; SAF-T has ten."""

_NUMBER = re.compile(r"([+-]?)0*([0-9]*)(?:\.([0-9]*))?")
_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
# Beside every name that ends in ID: what is looked up or compared as an id is.
_IDS = frozenset(
    {
        *("period", "period_year", "registration_number", "tax_registration_number", "tax_code", "standard_tax_code"),
        *("tax_type", "analysis_type", "grouping_category", "grouping_code", "bank_account_number", "iban_number"),
        *(
            "bic",
            "sort_code",
            "country",
            "country_code",
            "currency_code",
            "default_currency_code",
            "audit_file_country",
            "cid",
        ),
    }
)
encode = msgspec.json.Encoder().encode

Fields = dict[str, Any]
"""Members of an element by their snake_case names: text, dicts and lists of these."""


class InvalidElement(Exception):
    """An element of the file is invalid.

    Args:
        words: what is wrong, to follow file and line: "TotalDebit is not a number: '12,50'".
        field: the name of the invalid element, if it is not the record as a whole.
        at: where it is, if not in the record that is being read: path, and its number among those of that path.
    """

    def __init__(self, words: str, field: str | None = None, at: tuple[str, int] | None = None) -> None:
        super().__init__(words)
        self.words, self.field, self.at = words, field, at


def too_deep() -> InvalidElement:
    """Return the error of elements that are nested too deeply."""
    return InvalidElement(f"more than {DEEPEST} elements are nested in each other; SAF-T files do not do that")


@functools.lru_cache(maxsize=4096)
def local(tag: str) -> str:
    """Return an element's name without its namespace."""
    return tag.rpartition("}")[2]


@functools.lru_cache(maxsize=4096)
def snake(tag: str) -> str:
    """Return an element's name in snake_case: ``AnalysisIDDescription`` is ``analysis_id_description``."""
    return _BOUNDARY.sub("_", local(tag)).lower()


@functools.lru_cache(maxsize=4096)
def is_id(name: str) -> bool:
    """Whether a field is an id: white space around it, of any Unicode kind, is not part of it."""
    return name.endswith("_id") or name in _IDS


def number(text: str, element: str) -> bytes | None:
    """Return a decimal of XML as a JSON number, digit by digit; None if there is only white space.

    Raises:
        InvalidElement: it is not a decimal.
    """
    stripped = text.strip(" \t\r\n")
    if not stripped:
        return None
    found = _NUMBER.fullmatch(stripped)
    if not found or not (found[2] or found[3] or "0" in stripped):
        raise InvalidElement(
            f"{element} is not a number: {text[:60]!r}. SAF-T writes numbers like 1234.50, with a point and without "
            "anything between the thousands",
            element,
        )
    sign, whole, fraction = found.groups()
    return f"{'-' if sign == '-' else ''}{whole or '0'}{'.' + fraction if fraction else ''}".encode()


def value(element: Element) -> Any:
    """Return an element's text; or, if it has elements, a dict of them (those that come twice are a list).

    Raises:
        InvalidElement: elements are nested too deeply.
    """
    if len(element):
        return members(element)
    text = element.text or ""
    return id_text(text) if is_id(snake(element.tag)) else text


def members(element: Element, flattened: Collection[str] = (), depth: int = 0) -> Fields:
    """Return an element's members; those of `flattened` elements (XML names) become members of their own.

    Raises:
        InvalidElement: elements are nested too deeply.
    """
    if depth > DEEPEST:
        raise too_deep()
    found: Fields = {}
    loose = "" if element.text is None or element.text.isspace() else element.text
    for child in element:
        name = snake(child.tag)
        item: Any = (child.text or "") if not len(child) else members(child, depth=depth + 1)
        if type(item) is str and is_id(name) and not (item := id_text(item)):
            continue  # a blank id is a missing one
        if flattened and type(item) is dict and local(child.tag) in flattened:
            for inner, deeper in item.items():
                put(found, inner, deeper)
        elif name in found:
            put(found, name, item)
        else:
            found[name] = item
        if (tail := child.tail) and not tail.isspace():
            loose += tail
    if loose:
        put(found, "text", loose)
    return found


def put(members: dict[str, Any], name: str, item: Any) -> None:
    """Add a member; repeated members become a list, so that nothing is lost."""
    if name not in members:
        members[name] = item
    elif isinstance(members[name], list):
        members[name].append(item)
    else:
        members[name] = [members[name], item]


def record(plain: Mapping[str, Any], kinds: Mapping[str, str]) -> Record:
    """Return a record of the values in their declared types; undeclared fields stay text.

    Raises:
        InvalidElement: a number is not one, or comes twice.
    """
    made: Record = {}
    for name, item in plain.items():
        kind = kinds.get(name, "text")
        if kind == "text":
            made[name] = Raw(encode(item))
        elif kind == "number":
            digits = number(_single(item, name), element_name(name))
            if digits is not None:
                made[name] = Raw(digits)
        elif kind == "list" and type(item) is not list:
            made[name] = Raw(encode([item]))
        elif kind == "object" and type(item) is not dict:
            made[name] = Raw(encode({"text": item} if type(item) is str else {"items": item}))
        else:
            made[name] = Raw(encode(item))
    return made


def _single(item: Any, name: str) -> str:
    if type(item) is not str:
        element = element_name(name)
        raise InvalidElement(f"{element} occurs more than once, or is not a simple value", element)
    return item


@functools.lru_cache(maxsize=256)
def element_name(name: str) -> str:
    """Return the usual name of the element of a field, for a message: ``DebitAmount``."""
    return "".join(part.upper() if part in {"id", "gl"} else part.capitalize() for part in name.split("_"))
