"""Settings of every command: read from files and the environment, and explained without showing a value."""

from __future__ import annotations

import contextlib
import difflib
import json
import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from jsonschema import ValidationError

from ap_connectors.core.errors import Stop

_TYPES = {
    "string": "text in quotes",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_BOOLEANS = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(("false", "0", "no", "off", ""), False)


def read_file(path: str) -> dict[str, Any]:
    """Return the settings in the file of --config.

    Raises:
        Stop: the file cannot be read, or is not one JSON object. The message shows nothing of its content.
    """
    try:
        content = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise Stop(f"--config {path}: {error.strerror or 'cannot be read'}.") from None
    except UnicodeDecodeError:
        raise Stop(f"--config {path}: is not UTF-8 text.") from None
    return json_object(f"--config {path}", content)


def json_object(where: str, content: str) -> dict[str, Any]:
    """Return the JSON object in a text; messages call the text `where`.

    Raises:
        Stop: it is something else. The message shows nothing of it.
    """
    try:
        value = json.loads(content)
    except json.JSONDecodeError as error:
        raise Stop(f"{where}: invalid JSON at line {error.lineno}, column {error.colno}: {error.msg}.") from None
    if not isinstance(value, dict):
        raise Stop(f"{where}: must be one JSON object.")
    return value


def from_environment(properties: Mapping[str, Mapping[str, Any]], prefix: str) -> dict[str, Any]:
    """Return the settings that the environment has, each with the type that its JSON Schema declares.

    Args:
        properties: the schemas by name.
        prefix: of the variables (``TAP_IVESK_``).

    Raises:
        Stop: a variable does not have that type; the message names it and does not show its value.
    """
    found: dict[str, Any] = {}
    for name, schema in properties.items():
        variable = prefix + name.upper().replace("-", "_")
        if variable in os.environ:
            try:
                found[name] = _typed(os.environ[variable], schema)
            except _WrongTypeError as error:
                raise Stop(f"{variable} must be {error}.") from None
    return found


def with_numbers(given: Mapping[str, Any], properties: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return settings, with numbers instead of the texts of numbers.

    Meltano cannot hand on a decimal that comes from the environment but as text.
    """
    found = dict(given)
    for name, value in given.items():
        if isinstance(value, str) and "number" in _types(properties.get(name, {})):
            # What is not a number stays, and is explained with everything else.
            with contextlib.suppress(_WrongTypeError):
                found[name] = _number(value)
    return found


class _WrongTypeError(ValueError):
    """Says what a text should be."""


def _typed(text: str, schema: Mapping[str, Any]) -> Any:
    types = _types(schema)
    for name, read in _READERS.items():
        if name in types:
            return read(text)
    if not types & {"array", "object"}:
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        if "array" in types and "string" in _types(schema.get("items", {})):
            return text.split(",")
        raise _WrongTypeError("JSON") from None


def _types(schema: Mapping[str, Any]) -> set[str]:
    types = schema.get("type", ())
    return {types} if isinstance(types, str) else set(types)


def _boolean(text: str) -> bool:
    # Any other word must not pass for false: a plan that was asked for with "ja" would write.
    if (word := text.strip().lower()) not in _BOOLEANS:
        raise _WrongTypeError("true or false")
    return _BOOLEANS[word]


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise _WrongTypeError("a whole number") from None


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _WrongTypeError("a number")
    return number


_READERS: Mapping[str, Callable[[str], Any]] = {"integer": _integer, "boolean": _boolean, "number": _number}


def explain(errors: Iterable[ValidationError], prefix: str) -> Iterator[str]:
    """Say in words what is wrong with each setting, never showing a value.

    Args:
        errors: what the settings' JSON Schema objects to.
        prefix: of the settings' environment variables (``TAP_IVESK_``).
    """
    for error in errors:
        name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path).lstrip(".")
        expected: Any = error.validator_value
        if error.validator == "required":
            for missing in sorted(set(expected) - set(cast("dict[str, Any]", error.instance))):
                where = f"{name}.{missing}" if name else missing
                variable = f", or as {prefix}{missing.upper()} with --config=ENV" if not name else ""
                yield f"{where} is missing: set it in the file of --config{variable}."
        elif error.validator == "type":
            types = [expected] if isinstance(expected, str) else expected
            yield f"{name} must be {' or '.join(_TYPES[each] for each in types if each != 'null')}."
        elif error.validator == "enum":
            *others, last = map(str, expected)
            yield f"{name} must be {', '.join(others)}{' or ' * bool(others)}{last}."
        elif error.validator in {"minLength", "minItems"}:
            yield f"{name} must not be empty."
        elif error.validator in {"minimum", "maximum"}:
            yield f"{name} must be {'at least' if error.validator == 'minimum' else 'at most'} {expected}."
        else:
            yield f"{name or 'The settings'}: not valid ({error.validator})."


def unknown(settings: Mapping[str, Any], known: Collection[str]) -> Iterator[tuple[str, str | None]]:
    """Yield the settings that do not exist, each with the known one that was probably meant, or None.

    What is set already was not meant.
    """
    unset = [name for name in known if name not in settings]
    for name in settings:
        if name not in known:
            yield name, closest(name, unset)


def closest(name: str, known: Collection[str]) -> str | None:
    """Return the known name that a misspelt one probably means, if there is such; case does not count."""
    by_case = {each.lower(): each for each in known}
    return next((by_case[found] for found in difflib.get_close_matches(name.lower(), by_case, n=1, cutoff=0.75)), None)
