"""Reads YAML files and environment variables into typed structs; errors say where a value is and what is expected."""

from __future__ import annotations

import difflib
import os
import re
import shlex
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import yaml
from msgspec import inspect

from ap_connectors.core import text_files
from ap_connectors.core.errors import Stop

T = TypeVar("T", bound=msgspec.Struct)

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|)")
_UNITS = {"ms": 0.001, "s": 1, "": 1, "m": 60, "h": 3600, "d": 86400}
_TRUTHS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_NULL = "tag:yaml.org,2002:null"
_UNKNOWN_FIELD = re.compile(r"unknown field `(.*)`")

Text = Annotated[str, msgspec.Meta(min_length=1)]
"""A text that is not empty. Every value arrives as text, because a company code 012345 is not a number."""


class Texts(tuple[str, ...]):
    """A list of texts; a single text is a list of one."""


class Command(tuple[str, ...]):
    """A program and its arguments: a list, or one line that is split as a shell does."""


class Seconds(float):
    """A duration such as 5s, 1m, 2h or 90d; a plain number is seconds."""


class PositiveSeconds(Seconds):
    """A duration that is longer than 0."""


UNSET = Seconds(-1)
"""A duration that is not set; no text means this."""


class Truth(int):
    """True or false."""


class WrongSetting(Stop, ValueError):
    """A setting that cannot be right.

    Args:
        problem: what is wrong; a sentence that continues the setting's name.
        path: names and indexes that lead to the value from the struct that is read.
    """

    def __init__(self, problem: str, *path: str | int) -> None:
        super().__init__(": ".join([*(step for step in path if isinstance(step, str)), problem]))
        self.problem = problem
        self.path = path


class Section:
    """A part of a settings file.

    Args:
        node: its YAML.
        file: the file.
        label: its name in errors that concern all of it.
    """

    def __init__(self, node: yaml.Node, file: Path, label: str = "") -> None:
        self._node = node
        self._file = file
        self._label = label
        self._variables: dict[str, str] = {}

    @property
    def text(self) -> str | None:
        """The text of a single value; None of anything else."""
        return _text(self._node) if isinstance(self._node, yaml.ScalarNode) else None

    def items(self, label: str) -> list[Section]:
        """Return the parts of a list, each with this label."""
        if not isinstance(self._node, yaml.SequenceNode):
            raise self.wrong("must be a list.")
        return [Section(node, self._file, label) for node in self._node.value]

    def get(self, name: str) -> Section | None:
        """Return the value of a name, or None if it is not set."""
        pairs = self._node.value if isinstance(self._node, yaml.MappingNode) else ()
        found = [value for key, value in pairs if _text(key) == name and value.tag != _NULL]
        return Section(found[0], self._file, name) if found else None

    def read(self, struct: type[T], prefix: str = "", **given: Any) -> T:
        """Return the section as a struct.

        Args:
            struct: what to return; its fields are the known names.
            prefix: of environment variables that take precedence; none are looked up without a prefix.
            given: values that take precedence over all others.

        Raises:
            Stop: a value is wrong; the message says where it is and what is expected.
        """
        content = self._content(struct)
        for field in msgspec.structs.fields(struct) if prefix else ():
            variable = prefix + field.name.upper()
            if (text := os.environ.get(variable, "")) and field.name not in given:
                self._variables[field.name] = variable
                parts = [part.strip() for part in text.split(",") if part.strip()] or [""]
                content[field.name] = parts if field.type is Texts else text.strip()
        try:
            return msgspec.convert(content | given, struct, strict=False, dec_hook=_decode)
        except msgspec.ValidationError as error:
            raise self._explained(error, struct) from None

    def wrong(self, problem: str, *path: str | int) -> Stop:
        """Return the error that says where a value is, and what is wrong with it."""
        node = self._node
        for step in path:
            if isinstance(node, yaml.MappingNode):
                node = next((value for key, value in node.value if _text(key) == step), node)
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
                node = node.value[step]
        name = next((step for step in reversed(path) if isinstance(step, str)), self._label)
        message = f"{name}: {problem}" if name else problem
        variable = self._variables.get(name)
        return Stop(f"{variable}: {message}") if variable else self._error(node, message)

    def _error(self, node: yaml.Node, message: str) -> Stop:
        return Stop(f"{self._file}, line {node.start_mark.line + 1}: {message}")

    def _pairs(self) -> list[tuple[yaml.Node, yaml.Node]]:
        if not isinstance(self._node, yaml.MappingNode):
            raise self.wrong("must be a mapping: lines of `name: value`.")
        return list(self._node.value)

    def _content(self, struct: type[T]) -> dict[str, Any]:
        """Return the values by name; a known name without a value is left out."""
        found: dict[str, Any] = {}
        for key, value in self._pairs():
            name = _text(key)
            if name in found:
                raise self._error(key, f"{name!r} is given twice.")
            found[name] = None if value.tag == _NULL else _plain(value)
        known = struct.__struct_fields__
        return {name: value for name, value in found.items() if value is not None or name not in known}

    def _explained(self, error: msgspec.ValidationError, struct: type[T]) -> Stop:
        message, _, place = str(error).partition(" - at `$.")
        name = place.rstrip("`")
        if isinstance(error.__cause__, WrongSetting):
            return self.wrong(error.__cause__.problem, *error.__cause__.path)
        if unknown := _UNKNOWN_FIELD.search(message):
            key = next((key for key, _ in self._pairs() if _text(key) == unknown[1]), self._node)
            hint = did_you_mean(unknown[1], struct.__struct_fields__)
            return self._error(key, f"{unknown[1]!r} is not known here.{hint}")
        types = {field.name: field.type for field in inspect.type_info(struct).fields}  # type: ignore[attr-defined]
        return self.wrong(_expected(types[name]) or message, name)


def open_file(path: Path) -> Section:
    """Parse a YAML file.

    Raises:
        Stop: it cannot be read, or is not valid YAML.
    """
    text = text_files.read(path)
    try:
        # An empty file is a mapping without settings.
        node = yaml.compose(text, Loader=yaml.SafeLoader) or yaml.compose("{}", Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise Stop(f"{path}{line}: is not valid YAML: {error.problem or 'cannot be read'}.") from None
    except RecursionError:
        raise Stop(f"{path}: is nested too deeply to be read.") from None
    except yaml.YAMLError:
        raise Stop(f"{path}: contains characters that YAML does not allow.") from None
    assert node is not None  # noqa: S101 - there is at least the empty mapping
    return Section(node, path)


def duration(text: str) -> Seconds:
    """Return the time that a text such as 180d says.

    Raises:
        ValueError: it is not such a text.
    """
    if not (match := _DURATION.fullmatch(text.strip())):
        raise ValueError(_EXPECTED[Seconds])
    return Seconds(float(match[1]) * _UNITS[match[2]])


def is_close(name: str, known: Collection[str]) -> bool:
    """Return whether a name is probably a known one, misspelt."""
    folded = [one.lower().replace("_", "") for one in known]
    return bool(difflib.get_close_matches(name.lower().replace("_", ""), folded, n=1, cutoff=0.85))


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return what to say about an unknown name."""
    by_fold: Mapping[str, str] = {one.lower(): one for one in known}
    close = difflib.get_close_matches(name.lower(), list(by_fold), n=1)
    return f" Did you mean {by_fold[close[0]]!r}?" if close else f" Known are: {', '.join(sorted(known))}."


def _text(node: yaml.Node) -> str:
    return str(node.value).strip() if isinstance(node, yaml.ScalarNode) else "?"


def _plain(node: yaml.Node) -> Any:
    """Return a value as texts and lists of texts; what is deeper stands for itself, and fits no setting."""
    if isinstance(node, yaml.SequenceNode):
        return [_text(item) if isinstance(item, yaml.ScalarNode) else item for item in node.value]
    return _text(node) if isinstance(node, yaml.ScalarNode) else node


def _decode(kind: type[Any], value: Any) -> Any:
    """Convert a value to one of the types above; the error continues the setting's name."""
    if kind in {Texts, Command}:
        texts = value if isinstance(value, list) else shlex.split(value) if kind is Command else [value]
        if not all(isinstance(text, str) and text for text in texts) or (kind is Command and not texts):
            raise ValueError("must be a text, or a list of texts, and not empty.")
        return kind(texts)
    if kind is Path and isinstance(value, str) and value:
        return Path(value).expanduser()
    if kind is Truth and isinstance(value, str) and value.lower() in _TRUTHS:
        return Truth(_TRUTHS[value.lower()])
    if issubclass(kind, Seconds) and isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        seconds = kind(float(match[1]) * _UNITS[match[2]])
        if kind is PositiveSeconds and not seconds:
            raise ValueError("must be longer than 0.")
        return seconds
    raise ValueError(_EXPECTED[kind])


_EXPECTED = {
    Path: "must be a path.",
    Truth: "must be true or false.",
    Seconds: "must be a time such as 5s, 1m, 2h or 90d.",
    PositiveSeconds: "must be a time such as 5s, 1m, 2h or 90d.",
}


def _expected(kind: inspect.Type) -> str | None:
    """Say what a field of one of msgspec's own types expects; None of the types above, whose errors say it."""
    if isinstance(kind, inspect.UnionType):
        return next((words for words in map(_expected, kind.types) if words), None)
    if isinstance(kind, inspect.IntType):
        return f"must be a whole number from {kind.ge} to {kind.le}."
    if isinstance(kind, inspect.FloatType):
        return f"must be a number greater than {kind.gt:g} and at most {kind.le:,.0f}."
    return "must be a text, and not an empty one." if isinstance(kind, inspect.StrType) else None
