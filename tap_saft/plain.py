"""XML elements as plain values: text as it stands, numbers with their digits, names in snake_case."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Mapping
from typing import Any
from xml.etree.ElementTree import Element

import msgspec
from msgspec import Raw

from ap_connectors.core.raw_json import Record

DEEPEST = 50
"""Levels of elements; SAF-T has ten."""

_NUMBER = re.compile(r"([+-]?)0*([0-9]*)(?:\.([0-9]*))?")
_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
encode = msgspec.json.Encoder().encode

Plain = dict[str, Any]
"""Members of an element by their snake_case names: text, dicts and lists of these."""


class Unfit(Exception):
    """A record is not what it should be.

    Args:
        words: what is wrong, to follow file and line: "TotalDebit is not a number: '12,50'".
        field: the element that is meant, by its name, if it is not the record as a whole.
        at: where it stands, if not in the record that is being read: path, and which one of that path.
    """

    def __init__(self, words: str, field: str | None = None, at: tuple[str, int] | None = None) -> None:
        super().__init__(words)
        self.words, self.field, self.at = words, field, at


@functools.lru_cache(maxsize=4096)
def local(tag: str) -> str:
    """Return an element's name without its namespace."""
    return tag.rpartition("}")[2]


@functools.lru_cache(maxsize=4096)
def snake(tag: str) -> str:
    """Return an element's name in snake_case: ``AnalysisIDDescription`` is ``analysis_id_description``."""
    return _BOUNDARY.sub("_", local(tag)).lower()


def number(text: str, element: str) -> bytes | None:
    """Return a decimal of XML as a JSON number, digit by digit; None if there is nothing but white space.

    Raises:
        Unfit: it is no decimal.
    """
    stripped = text.strip(" \t\r\n")
    if not stripped:
        return None
    found = _NUMBER.fullmatch(stripped)
    if not found or not (found[2] or found[3] or "0" in stripped):
        raise Unfit(
            f"{element} is not a number: {text[:60]!r}. SAF-T writes numbers like 1234.50, with a point and without "
            "anything between the thousands",
            element,
        )
    sign, whole, fraction = found.groups()
    return f"{'-' if sign == '-' else ''}{whole or '0'}{'.' + fraction if fraction else ''}".encode()


def value(element: Element, depth: int = 0) -> Any:
    """Return an element's text, exactly; or, if it has elements, a dict of them (those that come twice are a list).

    Raises:
        Unfit: elements are nested deeper than anything sensible.
    """
    return members(element, depth=depth) if len(element) else element.text or ""


def members(element: Element, flattened: Collection[str] = (), depth: int = 0) -> Plain:
    """Return an element's members; those of `flattened` elements (their XML names) stand among them.

    Raises:
        Unfit: elements are nested deeper than anything sensible.
    """
    if depth > DEEPEST:
        raise Unfit(f"more than {DEEPEST} elements are nested in each other, as in no SAF-T file")
    found: Plain = {}
    loose = "" if element.text is None or element.text.isspace() else element.text
    for child in element:
        name = snake(child.tag)
        item: Any = (child.text or "") if not len(child) else members(child, depth=depth + 1)
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
    """Add a member; what comes more than once becomes a list, for nothing is to be lost."""
    if name not in members:
        members[name] = item
    elif isinstance(members[name], list):
        members[name].append(item)
    else:
        members[name] = [members[name], item]


def record(plain: Mapping[str, Any], kinds: Mapping[str, str]) -> Record:
    """Return a record of plain values in the types that are declared; undeclared fields as they are.

    Raises:
        Unfit: a number is none, or an element that there is one of comes twice.
    """
    made: Record = {}
    for name, item in plain.items():
        kind = kinds.get(name, "text")
        if kind == "text":
            made[name] = Raw(encode(item))
        elif kind == "number":
            digits = number(_single(item, name), spelled(name))
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
        raise Unfit(f"{spelled(name)} stands there more than once, or is no simple value", spelled(name))
    return item


@functools.lru_cache(maxsize=256)
def spelled(name: str) -> str:
    """Return a field's name as an element is usually spelt, for a message: ``DebitAmount``."""
    return "".join(part.upper() if part in {"id", "gl"} else part.capitalize() for part in name.split("_"))
