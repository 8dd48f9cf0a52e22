"""Judges requests by the contract: parameters, headers and bodies, with words for what is wrong."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

import jsonschema
from jsonschema.protocols import Validator

from ap_connectors.sandbox.vicai import instants
from ap_connectors.sandbox.vicai.answers import Refusal
from ap_connectors.vicai import contract
from ap_connectors.vicai.contract import Operation, Schema

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_DECIMAL = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
_JSON = "application/json"
FORMS = jsonschema.FormatChecker(formats=())


def _reads(form: str, read: Callable[[str], object], *errors: type[Exception]) -> None:
    def good(value: object) -> bool:
        return not isinstance(value, str) or bool(read(value))

    FORMS.checks(form, errors)(good)


def _is_uri(text: str) -> bool:
    parts = urlsplit(text)
    return bool(parts.scheme and parts.netloc)


_reads("date-time", instants.wall, ValueError)
_reads("date", date.fromisoformat, ValueError)
_reads("uuid", _UUID.fullmatch)
_reads("decimal", _DECIMAL.fullmatch)
_reads("uri", _is_uri, ValueError)
_reads("email", re.compile(r"[^@\s]+@[^@\s]+").fullmatch)
_reads("ISO-4217", re.compile(r"[A-Za-z]{3}").fullmatch)
_reads("ISO-3166", re.compile(r"[A-Za-z]{2}").fullmatch)


def parameters(
    operation: Operation, ids: Mapping[str, str], query: Iterable[tuple[str, str]], headers: Mapping[str, str]
) -> dict[str, Any]:
    """Check all parameters of a call; return those of the query by name, typed, with their defaults.

    Raises:
        Refusal: 400, naming the parameter.
    """
    known = {(one.where, one.name): one for one in operation.parameters}
    values = {one.name: one.schema["default"] for one in operation.parameters if "default" in one.schema}
    seen: set[str] = set()
    for name, text in query:
        if ("query", name) not in known:
            raise Refusal(400, f"{operation.name} has no query parameter {name[:60]}.")
        if name in seen:
            raise Refusal(400, f"The query parameter {name} is given twice.")
        seen.add(name)
        values[name] = _typed(operation.name, "query", name, text)
    for name, text in ids.items():
        _typed(operation.name, "path", name, text)
    for where, name in known:
        if where == "header" and name in headers:
            _typed(operation.name, "header", name, headers[name])
    return values


def _typed(operation: str, where: str, name: str, text: str) -> Any:
    validator, kind = _parameter(operation, where, name)
    value: Any = text
    if kind == "integer" and re.fullmatch(r"-?\d{1,18}", text, re.ASCII):
        value = int(text)
    elif kind == "boolean" and text in ("true", "false"):
        value = text == "true"
    if error := next(validator.iter_errors(value), None):
        raise Refusal(400, f"The {where} parameter {name} is wrong: {_said(error)}")
    return value


def body(operation: Operation, value: Any, media: str = _JSON) -> None:
    """Check a body of an operation; unknown members at its top are refused, as is everything that the contract is.

    Raises:
        Refusal: 422 where the operation knows that status, else 400; names the member.
    """
    status = 422 if "422" in operation.answers else 400
    validator, members = _body(operation.name, media)
    if isinstance(value, dict) and (unknown := sorted(value.keys() - members)):
        raise Refusal(status, f"{operation.name} takes no {', '.join(unknown)[:120]}.")
    if error := jsonschema.exceptions.best_match(validator.iter_errors(value)):
        place = ".".join(map(str, error.absolute_path))
        raise Refusal(status, f"{place or 'The body'} is wrong: {_said(error)}")


def _said(error: jsonschema.ValidationError) -> str:
    text = str(error.message)
    return text if len(text) <= 180 else f"{text[:120]} ... {text[-50:]}"


@functools.cache
def _parameter(operation: str, where: str, name: str) -> tuple[Validator, str | None]:
    """What judges a parameter, and the type that its text stands for."""
    found = next(p for p in contract.operation(operation).parameters if (p.where, p.name) == (where, name))
    schema = lenient(contract.inlined(found.schema))
    choices: list[Schema] = schema.get("anyOf", [])
    if choices and all("enum" in choice for choice in choices):
        # One list of values makes a better message than two.
        schema = {"enum": list(dict.fromkeys(value for choice in choices for value in choice["enum"]))}
    return jsonschema.Draft202012Validator(schema, format_checker=FORMS), schema.get("type")


@functools.cache
def _body(operation: str, media: str) -> tuple[Validator, frozenset[str]]:
    schemas = contract.operation(operation).body
    schema = schemas[media] if media in schemas else next(iter(schemas.values()))["properties"]["invoiceData"]
    schema = lenient(contract.inlined(schema))
    choices = [schema, *schema.get("anyOf", ())]
    members = frozenset(name for choice in choices for name in choice.get("properties", ()))
    return jsonschema.Draft202012Validator(schema, format_checker=FORMS), members


def lenient(schema: Any) -> Any:
    """Return a schema as the service applies it to what it is sent.

    An alternative may fit more than once (a vendor looked up by organisation number and bank account also fits the
    look-up by number alone), money may be a JSON number, and an empty line list means that all lines go.
    """
    if isinstance(schema, list):
        return [lenient(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {("anyOf" if name == "oneOf" else name): lenient(value) for name, value in schema.items()}
    if changed.get("format") == "decimal" and changed.get("type") == "string":
        changed["type"] = ["string", "number"]
    if changed.get("type") == "array":
        changed.pop("minItems", None)
    return changed


def money(value: Any) -> Decimal:
    """Read a monetary value, exact; what is none counts as nothing."""
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return Decimal(0)
