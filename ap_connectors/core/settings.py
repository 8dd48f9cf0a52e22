"""Settings of every command: read from files and the environment, and explained without showing a value."""

from __future__ import annotations

import contextlib
import difflib
import json
import logging
import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from jsonschema import ValidationError

from ap_connectors.core import files, text_files
from ap_connectors.core.errors import Stop

_LOG = logging.getLogger("ap_connectors.core.settings")
_TYPES = {
    "string": "text in quotes",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_SHOWN = 3
_TOLD: set[Path] = set()
"""Files that a warning has named; processes that are forked from this one know of them."""
_BOOLEANS = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(("false", "0", "no", "off", ""), False)


def read_file(path: str, properties: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the settings in the file of --config; warn if there are secrets among them that everyone may read.

    Args:
        path: of the file.
        properties: the schemas of the settings by name, which say what is secret.

    Raises:
        Stop: the file cannot be read, or is not one JSON object. The message shows nothing of its content.
    """
    where = f"--config {path}"
    found = json_object(where, text_files.read(path, where))
    # Meltano writes the file itself, afresh for each run: its users cannot change who may read it.
    by_meltano = "MELTANO_PROJECT_ROOT" in os.environ
    if not by_meltano and any(found.get(name) for name, schema in properties.items() if schema.get("secret")):
        warn_if_open(Path(path), "secrets")
    return found


def warn_if_open(path: Path, holds: str) -> None:
    """Warn of a file that every user of this machine may read, if there is such; `holds` says why that matters."""
    if found := _open_ones([path]):
        _LOG.warning("%s: holds %s, and every user of this machine may read it. Run: chmod 600 %s", path, holds, *found)


def warn_if_some_are_open(paths: Iterable[Path], holds: str) -> None:
    """Warn of files as `warn_if_open` does, of all of them at once."""
    if found := _open_ones(paths):
        shown = " ".join(map(str, found[:_SHOWN])) + (f" and {len(found) - _SHOWN} more" if found[_SHOWN:] else "")
        _LOG.warning(
            "Every user of this machine may read what holds %s, in %d files. Run: chmod 600 %s",
            holds,
            len(found),
            shown,
        )


def _open_ones(paths: Iterable[Path]) -> list[Path]:
    """Return the files that every user may read, and that this process, and those before it, have not told of."""
    found = []
    for path in paths:
        with contextlib.suppress(OSError):
            if path.absolute() not in _TOLD and files.is_open_to_others(path):
                _TOLD.add(path.absolute())
                found.append(path)
    return found


def json_object(where: str, content: str) -> dict[str, Any]:
    """Return the JSON object in a text; messages call the text `where`.

    Raises:
        Stop: it is something else. The message shows nothing of it.
    """
    value = json_value(where, content)
    if not isinstance(value, dict):
        raise Stop(f"{where}: must be one JSON object.")
    return value


def json_value(where: str, content: str) -> Any:
    """Return the value that a text of JSON holds; messages call the text `where`.

    Raises:
        Stop: it is not JSON, or names a member of an object twice. The message shows only the name.
    """
    if not content.strip():
        raise Stop(f"{where}: is empty.")

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                raise Stop(f"{where}: {name} is given twice; leave one.")
            found[name] = value
        return found

    try:
        return json.loads(content, object_pairs_hook=members)
    except json.JSONDecodeError as error:
        raise Stop(f"{where}: invalid JSON at line {error.lineno}, column {error.colno}: {error.msg}.") from None
    except RecursionError:
        raise Stop(f"{where}: is nested too deeply to be read.") from None
    except ValueError:
        raise Stop(f"{where}: has a number with too many digits to be read.") from None


def from_environment(properties: Mapping[str, Mapping[str, Any]], prefix: str) -> dict[str, Any]:
    """Return the settings that the environment has, each with the type that its JSON Schema declares.

    An empty variable is a setting left out.

    Args:
        properties: the schemas by name.
        prefix: of the variables (``TAP_IVESK_``).

    Raises:
        Stop: a variable does not have that type; the message names it and does not show its value.
    """
    found: dict[str, Any] = {}
    for name, schema in properties.items():
        variable = prefix + name.upper().replace("-", "_")
        if text := os.environ.get(variable, "").strip():
            try:
                found[name] = _typed(text, schema)
            except _WrongTypeError as error:
                raise Stop(f"{variable} must be {error}.") from None
    return found


def unknown_variables(properties: Collection[str], prefix: str) -> dict[str, str]:
    """Return the variables with a prefix that set no setting: by the name of the setting that they would be."""
    known = {name.replace("-", "_") for name in properties} | {"loglevel"}
    names = {variable.removeprefix(prefix).lower(): variable for variable in os.environ if variable.startswith(prefix)}
    # Meltano passes on what concerns itself with two underscores: TAP_IVESK__SELECT.
    return {name: variable for name, variable in names.items() if name not in known and name[:1] not in {"", "_"}}


def idle_variables(given: Collection[str], properties: Collection[str], prefix: str) -> Iterator[str]:
    """Yield a warning for each variable that is meant for a command which reads files only.

    Args:
        given: settings that the files have; Meltano writes those of the environment there.
        properties: settings that exist.
        prefix: of the variables.
    """
    unset = [name for name in properties if name not in given]
    for name in unset:
        variable = prefix + name.upper().replace("-", "_")
        if os.environ.get(variable, "").strip():
            yield f"{variable} has no effect here: add --config=ENV, or set {name} in the file of --config."
    for name, variable in unknown_variables(properties, prefix).items():
        # Of a Meltano plugin that inherits (TAP_IVESK_ACME_API_KEY), and of a member (TAP_VICAI_RATE_LIMIT_SECONDS).
        others = any(name.endswith(f"_{one}") or name.startswith(f"{one}_") for one in properties)
        if not others and (meant := closest(name, unset)):
            yield f"{variable} sets nothing; did you mean {prefix}{meant.upper()}?"


_AS_GIVEN = {"flattening_separator", "stream_maps"}
"""Settings of the SDK in which null and blanks have a meaning: a stream that is null is left out."""


def tidy(given: Mapping[str, Any], properties: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return settings as they are meant, whichever tool wrote them.

    What is null or empty text is left out, white space around a text goes, and the text of a number becomes one:
    Meltano cannot hand on a decimal that comes from the environment but as text. What no schema describes stays.
    """
    found: dict[str, Any] = {}
    for name, value in given.items():
        tidied = _tidy(value, properties[name]) if name in properties and name not in _AS_GIVEN else value
        if tidied not in (None, "") or name not in properties:
            found[name] = tidied
    return found


def _tidy(value: Any, schema: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        value = value.strip()
        if {"integer", "string"} <= _types(schema):
            return _typed(value, schema)
        if "number" in _types(schema):
            # What is not a number stays, and is explained with everything else.
            with contextlib.suppress(_WrongTypeError):
                return _number(value)
        return value
    if isinstance(value, dict):
        return tidy(value, schema.get("properties", {}))
    if isinstance(value, list):
        return [_tidy(each, schema.get("items", {})) for each in value]
    return value


class _WrongTypeError(ValueError):
    """Says what a text should be."""


def _typed(text: str, schema: Mapping[str, Any]) -> Any:
    types = _types(schema)
    for name, read in _READERS.items():
        if name in types:
            try:
                return read(text)
            except _WrongTypeError:
                if "string" not in types:
                    raise
    if not types & {"array", "object"}:
        return text
    is_list = "array" in types and "string" in _types(schema.get("items", {}))
    takes_text = is_list or "string" in types
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        # Texts need no quotes: a list, the path of a table. What was meant as an array or an object has to be one.
        if not takes_text or text.startswith(("[", "{")):
            raise _WrongTypeError("JSON") from None
        value = text
    if not takes_text or value is None or isinstance(value, list | dict):
        return value
    # A code of digits is a text, too.
    words = value if isinstance(value, str) else text
    return words.split(",") if is_list else words


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
        elif error.validator == "pattern":
            yield f"{name} must be {expected.strip('^$')} or a whole number."
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


def no_effect(name: str, known: Collection[str], prefix: str = "") -> str:
    """Return the warning of a setting that does not exist, although what it may mean is set.

    Args:
        name: as it was given.
        known: settings that exist.
        prefix: of variables, if the name is one.
    """
    meant = closest(name.removeprefix(prefix), known)
    hint = f"; did you mean {prefix}{meant.upper() if prefix else meant}, which is set as well?" if meant else "."
    return f"{name} is unknown and has no effect{hint}"


def closest(name: str, known: Collection[str]) -> str | None:
    """Return the known name that a misspelt one probably means, if there is such; case does not count."""
    by_case = {each.lower(): each for each in known}
    return next((by_case[found] for found in difflib.get_close_matches(name.lower(), by_case, n=1, cutoff=0.75)), None)
