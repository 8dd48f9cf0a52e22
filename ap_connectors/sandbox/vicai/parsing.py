"""How a request is read: which operation it calls, the parts of its body, and whether the contract allows it."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from email.message import Message
from typing import Any
from urllib.parse import unquote, urlsplit

import jsonschema
from jsonschema.protocols import Validator

from ap_connectors.sandbox.vicai import times
from ap_connectors.sandbox.vicai.call import Part, Refusal
from ap_connectors.vicai import contract
from ap_connectors.vicai.contract import Age, Operation, Schema, operations


@dataclass(frozen=True)
class Template:
    """A path template: its segments (None where a parameter stands), and its operations by verb."""

    segments: tuple[str | None, ...]
    names: tuple[str, ...]
    by_verb: Mapping[str, Operation]

    def ids(self, segments: list[str]) -> dict[str, str] | None:
        """Return the parameters if the path fits, decoded; they may hold slashes that were percent-encoded."""
        if len(segments) != len(self.segments):
            return None
        pairs = list(zip(self.segments, segments, strict=True))
        if any(fixed is not None and fixed != given for fixed, given in pairs):
            return None
        values = [unquote(given) for fixed, given in pairs if fixed is None]
        return dict(zip(self.names, values, strict=True)) if all(values) else None


@functools.cache
def templates(age: Age) -> tuple[Template, ...]:
    """Compile all paths of the contract, those with fixed words first (`/payments/confirm` is not `/payments/{id}`)."""
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations(age).values():
        by_path.setdefault(operation.path, {})[operation.method] = operation
    compiled = [_compiled(path, by_verb) for path, by_verb in by_path.items()]
    return tuple(sorted(compiled, key=lambda template: len(template.names)))


def find_operation(age: Age, method: str, path: str) -> tuple[Operation, dict[str, str]]:
    """Find the operation of a call, and its path parameters; `path` is percent-encoded and below the service's root.

    Raises:
        Refusal: 404, the service has no such path; 405, not with this verb.
    """
    segments = path.removeprefix("/").split("/")
    for template in templates(age):
        if (ids := template.ids(segments)) is None:
            continue
        if (operation := template.by_verb.get(method)) is None:
            allowed = ", ".join(template.by_verb)
            raise Refusal(405, f"{method} is not allowed here; {allowed} is.", {"Allow": allowed})
        return operation, ids
    raise Refusal(404, f"{path[:200]} does not exist.")


def _compiled(path: str, by_verb: Mapping[str, Operation]) -> Template:
    parts = path.strip("/").split("/")
    return Template(
        tuple(None if part.startswith("{") else part for part in parts),
        tuple(part.strip("{}") for part in parts if part.startswith("{")),
        by_verb,
    )


MEGABYTES = {"0.20": 64, "live": 100}
"""How large a file may be, by the age of the service."""


def form_parts(age: Age, content_type: str, body: bytes) -> dict[str, Part]:
    """Take a form apart; of two parts of one name the last counts.

    Raises:
        Refusal: 400, it is not a form; 413, a part is too large.
    """
    boundary = _parsed_header("content-type", content_type).get_param("boundary", header="content-type")
    if not isinstance(boundary, str) or not boundary:
        raise Refusal(400, "The multipart body's boundary is missing in Content-Type.")
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1", "replace"))
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise Refusal(400, "The body does not hold the parts that its boundary announces.")
    found: dict[str, Part] = {}
    for piece in pieces[1:-1]:
        head, gap, data = piece.partition(b"\r\n\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head.decode("utf-8", "replace").split("\r\n"))
        }
        disposition = _parsed_header("content-disposition", headers.get("content-disposition", ""))
        name = disposition.get_param("name", header="content-disposition")
        if not gap or not isinstance(name, str):
            raise Refusal(400, "A part of the multipart body has no name.")
        if len(data) > MEGABYTES[age] * 1024 * 1024:
            raise Refusal(413, f"{name} is larger than {MEGABYTES[age]} MB.")
        media = headers.get("content-type", "text/plain").partition(";")[0].strip().lower()
        found[name] = Part(data, media, disposition.get_filename())
    return found


def _parsed_header(name: str, value: str) -> Message:
    message = Message()
    message[name] = value.replace("\r", " ").replace("\n", " ")
    return message


_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_DECIMAL = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
_JSON = "application/json"
FORMATS = jsonschema.FormatChecker(formats=())


def _reads(form: str, read: Callable[[str], object], *errors: type[Exception]) -> None:
    def good(value: object) -> bool:
        return not isinstance(value, str) or bool(read(value))

    FORMATS.checks(form, errors)(good)


def _is_uri(text: str) -> bool:
    parts = urlsplit(text)
    return bool(parts.scheme and parts.netloc)


_reads("date-time", times.read_wall, ValueError)
_reads("date", date.fromisoformat, ValueError)
_reads("uuid", _UUID.fullmatch)
_reads("decimal", _DECIMAL.fullmatch)
_reads("uri", _is_uri, ValueError)
_reads("email", re.compile(r"[^@\s]+@[^@\s]+").fullmatch)
_reads("ISO-4217", re.compile(r"[A-Za-z]{3}").fullmatch)
_reads("ISO-3166", re.compile(r"[A-Za-z]{2}").fullmatch)


def check_parameters(
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
        values[name] = _typed(operation, "query", name, text)
    for name, text in ids.items():
        _typed(operation, "path", name, text)
    for (where, name), one in known.items():
        if where == "header" and name in headers:
            _typed(operation, "header", name, headers[name])
        if where == "query" and one.required and name not in seen:
            raise Refusal(400, f"The query parameter {name} is missing.")
    return values


def _typed(operation: Operation, where: str, name: str, text: str) -> Any:
    validator, kind = _parameter(operation.age, operation.name, where, name)
    value: Any = text
    if kind == "integer" and re.fullmatch(r"-?\d{1,18}", text, re.ASCII):
        value = int(text)
    elif kind == "boolean" and text in ("true", "false"):
        value = text == "true"
    if error := next(validator.iter_errors(value), None):
        status = 422 if operation.age == "live" and name == "limit" else 400
        raise Refusal(status, f"The {where} parameter {name} is wrong: {_said(error)}")
    return value


# Members of an earlier age that the live service does not know, and does not mind.
_IGNORED: dict[str, set[str]] = {"subscribe": {"expiresAt"}}


def check_body(operation: Operation, value: Any, media: str = _JSON) -> None:
    """Check a body of an operation; unknown members at its top are refused, as is what the contract refuses.

    Raises:
        Refusal: 422 where the operation knows that status, else 400; names the member.
    """
    status = 422 if "422" in operation.answers else 400
    validator, members = _body(operation.age, operation.name, media)
    if isinstance(value, dict) and (unknown := sorted(value.keys() - members - _IGNORED.get(operation.name, set()))):
        raise Refusal(status, f"{operation.name} takes no {', '.join(unknown)[:120]}.")
    if error := jsonschema.exceptions.best_match(validator.iter_errors(value)):
        place = ".".join(map(str, error.absolute_path))
        raise Refusal(status, f"{place or 'The body'} is wrong: {_said(error)}")


def _said(error: jsonschema.ValidationError) -> str:
    text = str(error.message)
    return text if len(text) <= 180 else f"{text[:120]} ... {text[-50:]}"


@functools.cache
def _parameter(age: Age, operation: str, where: str, name: str) -> tuple[Validator, str | None]:
    """Return what judges a parameter, and the type that its text stands for."""
    found = next(p for p in contract.operation(operation, age).parameters if (p.where, p.name) == (where, name))
    schema = lenient(contract.inlined(found.schema, age))
    choices: list[Schema] = schema.get("anyOf", [])
    if choices and all("enum" in choice for choice in choices):
        # One list of values makes a better message than two.
        schema = {"enum": list(dict.fromkeys(value for choice in choices for value in choice["enum"]))}
    return jsonschema.Draft202012Validator(schema, format_checker=FORMATS), schema.get("type")


@functools.cache
def _body(age: Age, operation: str, media: str) -> tuple[Validator, frozenset[str]]:
    schemas = contract.operation(operation, age).body
    schema = schemas[media] if media in schemas else next(iter(schemas.values()))["properties"]["invoiceData"]
    schema = lenient(contract.inlined(schema, age))
    choices = [schema, *schema.get("anyOf", ())]
    members = frozenset(name for choice in choices for name in choice.get("properties", ()))
    return jsonschema.Draft202012Validator(schema, format_checker=FORMATS), members


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
    """Read a monetary value, exact; anything else counts as 0."""
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return Decimal(0)
