"""Values of `companies.yml`: text with its line, types as the setting wants them, and where secrets are.

A secret is not in the file but where the file says: `${NAME}` in the environment, `{file: PATH}`, `{command: [...]}`.
It is fetched when its company runs, by the process of that company alone.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import yaml

from ap_connectors.core import files as paths
from ap_connectors.core import settings, text_files
from ap_connectors.core.errors import Stop
from ap_connectors.core.redact import Redactor

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_TAB = re.compile(r" *\t")
_UNQUOTED = re.compile(r"[:,-]\s+(\{\w+\}[^\s,}]+)")
_COMMAND_SECONDS = 60
_MOST_SAID, _MOST_READ = 200, 65536
_KINDS = {"tag:yaml.org,2002:bool": "boolean", "tag:yaml.org,2002:int": "integer", "tag:yaml.org,2002:float": "number"}
_NULL = "tag:yaml.org,2002:null"
_TRUE = {"true", "yes", "on"}


@dataclass(frozen=True)
class Value:
    """A value of the file, and the line that it is on.

    Args:
        content: a text, also of a number; members by name; elements; or None.
        line: that it begins on.
        kind: what YAML takes a text for that is not in quotes: "boolean", "integer", "number".
    """

    content: str | Mapping[str, Value] | list[Value] | None
    line: int = 0
    kind: str = ""


@dataclass(frozen=True)
class File:
    """A secret that a file holds."""

    path: str


@dataclass(frozen=True)
class Command:
    """A secret that a command prints, run in a folder."""

    words: tuple[str, ...]
    folder: str | None = None


class AsIs(str):
    """A text of a list of companies: it names neither variables nor places."""

    __slots__ = ()


def parse(path: Path, problems: list[str]) -> Value:
    """Read a YAML file; add to `problems` the names that are given twice.

    Raises:
        Stop: it cannot be read, or is not YAML.
    """
    content = text_files.read(path)
    try:
        node = yaml.compose(content, Loader=_LOADER)
        return _value(node, problems) if node is not None else Value({}, 1)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        lines = content.splitlines()[: error.problem_mark.line + 1] if error.problem_mark else []
        said = _usual_slip(lines) or f"{error.problem or 'it cannot be read'}."
        raise Stop(f"{path}{line}: is not valid YAML: {said}") from None
    except (yaml.YAMLError, RecursionError):
        raise Stop(f"{path}: is not valid YAML.") from None


def _usual_slip(lines: Sequence[str]) -> str:
    """Return what is usually wrong with such a line, the last one or the one before; "" if that is not known."""
    for text in reversed(lines[-2:]):
        if _TAB.match(text):
            return "a tab is before the text. Indent with blanks."
        if found := _UNQUOTED.search(text):
            return f"a text that begins with a brace stands in quotes: '{found[1]}'."
    return ""


def _value(node: yaml.Node, problems: list[str]) -> Value:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        members: dict[str, Value] = {}
        for key, value in node.value:
            name = str(key.value)
            if name in members:
                problems.append(f"line {key.start_mark.line + 1}: {name} is given twice here; leave one.")
            members[name] = _value(value, problems)
        return Value(members, line)
    if isinstance(node, yaml.SequenceNode):
        return Value([_value(each, problems) for each in node.value], line)
    if node.tag == _NULL:
        return Value(None, line)
    return Value(str(node.value), line, _KINDS.get(node.tag, ""))


def typed(value: Value, schema: Mapping[str, Any]) -> Any:
    """Return a value as its JSON Schema wants it: `no` and 0123 stay text where a text belongs."""
    content = value.content
    if isinstance(content, Mapping):
        properties = schema.get("properties", {})
        return {name: typed(member, properties.get(name, {})) for name, member in content.items()}
    if isinstance(content, list):
        return [typed(each, schema.get("items") or {}) for each in content]
    if content is None or not value.kind:
        return content
    types = schema.get("type", ())
    types = {types} if isinstance(types, str) else set(types)
    if "string" in types and value.kind not in types:
        return content
    return _scalar(content, value.kind)


def _scalar(text: str, kind: str) -> Any:
    if kind == "boolean":
        return text.lower() in _TRUE
    try:
        return int(text) if kind == "integer" else float(text)
    except ValueError:
        # A form that YAML knows and people do not: 0o17, 1_000, .inf
        return text


def setting(value: Value, schema: Mapping[str, Any], base: Path) -> Any:
    """Return a setting: a value, or where it is.

    Args:
        value: of the file.
        schema: of the setting.
        base: where relative paths begin, and commands run.

    Raises:
        ValueError: the place is not one.
    """
    content = value.content
    if isinstance(content, Mapping) and set(content) in ({"file"}, {"command"}) and not schema.get("properties"):
        (kind, where), *_ = content.items()
        if kind == "file" and isinstance(where.content, str) and where.content:
            return File(os.path.join(base, paths.place(where.content)))  # noqa: PTH118 - a text of ours
        words = [each.content for each in where.content] if isinstance(where.content, list) else []
        if kind == "command" and words and all(isinstance(word, str) and word for word in words):
            return Command(tuple(map(str, words)), str(base))
        raise ValueError("must be {file: PATH}, or {command: [PROGRAM, ARGUMENT, ...]} with texts")
    if isinstance(content, Mapping) and set(content) == {"env"} and not schema.get("properties"):
        name = content["env"].content
        shown = name if isinstance(name, str) and re.fullmatch(r"\w+", name) else "NAME"
        raise ValueError(
            f"a variable of the environment is written as '${{{shown}}}'; else {{file: PATH}} or {{command: [...]}}"
        )
    return typed(value, schema)


def places(value: Any, names: Mapping[str, str]) -> Any:
    """Return a setting with names such as {company} replaced, wherever a text of the file has them."""

    def fill(text: str) -> str:
        for name, meant in names.items():
            text = text.replace(f"{{{name}}}", meant)
        return text

    if isinstance(value, File):
        return File(fill(value.path))
    if isinstance(value, Command):
        return Command(tuple(map(fill, value.words)), value.folder)
    return _changed(value, fill)


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str) and not isinstance(value, AsIs):
        return change(value)
    if isinstance(value, Mapping):
        return {name: _changed(member, change) for name, member in value.items()}
    if isinstance(value, list):
        return [_changed(each, change) for each in value]
    return value


def variables(value: Any) -> Iterator[str]:
    """Yield the variables of the environment that a setting names."""
    if isinstance(value, str) and not isinstance(value, AsIs):
        yield from _VARIABLE.findall(value)
    elif isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from variables(each)


def is_literal(value: Any) -> bool:
    """Return whether a setting is a text that stands in the file itself."""
    return isinstance(value, str) and not any(variables(value))


def files(value: Any) -> Iterator[Path]:
    """Yield the file that a setting is in."""
    if isinstance(value, File):
        yield Path(value.path)


def fetched(value: Any, name: str, secrets: list[str]) -> Any:
    """Return a setting's value, fetched from where it is.

    Args:
        value: as `setting` returned it.
        name: of the setting, for messages.
        secrets: gets every text that came from elsewhere.

    Raises:
        Stop: it is not there. The message shows nothing of it.
    """
    if isinstance(value, File):
        found = text_files.read(value.path, f"{name}: {value.path}").strip()
        if not found:
            raise Stop(f"{name}: {value.path} is empty.")
        settings.warn_if_open(Path(value.path), "a secret")
    elif isinstance(value, Command):
        found = _printed(value, name)
    else:

        def fill(text: str) -> str:
            def variable(match: re.Match[str]) -> str:
                content = os.environ.get(match[1], "").strip()
                if not content:
                    raise Stop(f"{name}: {_unset(match[1])}")
                secrets.append(content)
                return content

            if "${" in _VARIABLE.sub("", text):
                raise Stop(f"{name}: ${{ does not begin a variable: it is written as '${{NAME}}', of letters and _.")
            return _VARIABLE.sub(variable, text)

        return _changed(value, fill)
    secrets.append(found)
    return found


def _unset(variable: str) -> str:
    if variable in os.environ:
        return f"the variable {variable} is empty in the environment."
    meant = settings.closest(variable, [name for name in os.environ if name != variable])
    return f"the variable {variable} is not set in the environment{f'; did you mean {meant}?' if meant else '.'}"


def _last(said: bytes, printed: bytes) -> str:
    """Return the last line that a command says of its failure, without what it has printed: that may be the secret."""
    lines = said.decode(errors="replace").strip().splitlines()
    secrets = printed.decode(errors="replace").split()
    return f": {Redactor(secrets)(lines[-1], limit=_MOST_SAID).rstrip('.')}" if lines else ""


def _printed(command: Command, name: str) -> str:
    # A file: what the command leaves running may keep it open.
    with tempfile.TemporaryFile() as errors:
        return _printed_by(command, name, errors)


def _printed_by(command: Command, name: str, errors: IO[bytes]) -> str:
    program = command.words[0]
    try:
        process = subprocess.Popen(  # noqa: S603 - the person who writes companies.yml names it
            command.words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=command.folder,
            start_new_session=True,
        )
    except OSError as error:
        raise Stop(f"{name}: the command {program} cannot be run: {error.strerror}.") from None
    with process:
        try:
            printed, _ = process.communicate(timeout=_COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            # With what it has started: a shell would leave behind what it waits for.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            raise Stop(f"{name}: the command {program} did not end within {_COMMAND_SECONDS} s.") from None
    if process.returncode:
        errors.seek(0)
        said = errors.read(_MOST_READ)
        raise Stop(f"{name}: the command {program} ended with status {process.returncode}{_last(said, printed)}.")
    found = text_files.decode(printed, f"{name}: what {program} prints").strip()
    if not found:
        raise Stop(f"{name}: the command {program} printed nothing.")
    return found
