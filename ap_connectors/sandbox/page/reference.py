"""The page at `/_control`: every control call with its body and what it does, told by the calls themselves."""

from __future__ import annotations

import inspect
import json
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from ap_connectors.core import pages
from ap_connectors.sandbox.control import ControlCalls, Handler, Handlers, Ordered
from ap_connectors.sandbox.naming import HEADER, PARAMETER

_HERE = Path(__file__).parent
_PLAIN = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "anything", dict: "object"}


def render(parts: Iterable[ControlCalls], url: str) -> str:
    """Return the page; `url` is the sandbox's own address."""
    groups = {part.title: list(_calls(part.handlers)) for part in parts}
    return pages.render(_HERE, "reference", server=True, groups=groups, url=url, header=HEADER, parameter=PARAMETER)


def _calls(handlers: Handlers) -> Iterator[dict[str, Any]]:
    for path, by_verb in handlers.items():
        for verb, handler in by_verb.items():
            yield {"verb": verb, "path": path, "what": _words(_told(handler)), **_body(handler)}


def _told(handler: Handler) -> str:
    told = inspect.getdoc(handler.handler if isinstance(handler, Ordered) else handler)
    assert told, handler  # noqa: S101 - a test asks for this page
    return told


def _body(handler: Handler) -> dict[str, Any]:
    """Return what a call's body is: words, and its members as (name, type, default)."""
    if not isinstance(handler, Ordered):
        return {"body": None, "members": []}
    if not issubclass(get_origin(handler.form) or handler.form, msgspec.Struct):
        return {"body": _words("An object; its members are optional."), "members": []}
    hints = get_type_hints(handler.form)
    members = [
        (field.encode_name, _kind(hints[field.name]), _default(field)) for field in msgspec.structs.fields(handler.form)
    ]
    return {"body": _words(inspect.getdoc(handler.form) or ""), "members": members}


def _kind(hint: Any) -> str:
    """Return a type in words."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " · ".join(inner)
    if origin in (Union, types.UnionType):
        return ", ".join("null" if one is type(None) else _kind(one) for one in inner if one is not msgspec.UnsetType)
    if origin is list:
        return f"list ({_kind(inner[0])})"
    return _PLAIN.get(origin or hint) or f"object: {', '.join(get_type_hints(hint))}"


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return "" if value is msgspec.UNSET else json.dumps(value)


def _words(text: str) -> list[tuple[bool, str]]:
    """Return a docstring in pieces, each with whether it is code."""
    return [(bool(place % 2), piece) for place, piece in enumerate(" ".join(text.split()).split("`"))]
