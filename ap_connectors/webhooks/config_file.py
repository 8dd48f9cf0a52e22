"""YAML whose every value knows its line, so that a message can say where something is wrong."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from pathlib import Path

import yaml

from ap_connectors.core.errors import Stop

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|)")
_UNITS = {"ms": 0.001, "s": 1, "": 1, "m": 60, "h": 3600, "d": 86400}
_TRUTHS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class Entry:
    """A value of a settings file, or of an environment variable. All readings raise `Stop` with name and line.

    Args:
        node: the value; its text is read as it stands, for a company code 012345 is no number.
        where: file or variable that it comes from.
        name: of the setting, for messages.
    """

    def __init__(self, node: yaml.Node, where: str, name: str = "") -> None:
        self._node = node
        self._where = where
        self.name = name

    @classmethod
    def of_text(cls, text: str, where: str, name: str) -> Entry:
        """A text that comes from elsewhere than a file; a list is written with commas."""
        return cls(yaml.ScalarNode("tag:yaml.org,2002:str", text), where, name)

    def wrong(self, message: str) -> Stop:
        """The error that says where it is."""
        mark = self._node.start_mark
        line = f", line {mark.line + 1}" if mark else ""
        return Stop(f"{self._where}{line}: {self.name}{': ' if self.name else ''}{message}")

    @property
    def is_null(self) -> bool:
        """Whether nothing stands there."""
        return isinstance(self._node, yaml.ScalarNode) and self._node.tag == "tag:yaml.org,2002:null"

    @property
    def is_text(self) -> bool:
        """Whether it is one text, or any other single value."""
        return isinstance(self._node, yaml.ScalarNode)

    @property
    def is_list(self) -> bool:
        """Whether it is a list."""
        return isinstance(self._node, yaml.SequenceNode)

    def text(self) -> str:
        """A text that is not empty, without the blanks around it."""
        if not isinstance(self._node, yaml.ScalarNode) or not self._node.value.strip():
            raise self.wrong("must be a text, and not an empty one.")
        return str(self._node.value).strip()

    def texts(self) -> tuple[str, ...]:
        """A list of texts; one text is a list of one, and of an environment variable commas part it."""
        if self.is_list:
            return tuple(item.text() for item in self.items())
        if self._node.start_mark is None:
            return tuple(part.strip() for part in self.text().split(",") if part.strip())
        return (self.text(),)

    def number(self, at_least: float = 0) -> float:
        """A number."""
        try:
            number = float(self.text())
        except ValueError:
            raise self.wrong("must be a number.") from None
        if not at_least <= number < float("inf"):
            raise self.wrong(f"must be a number from {at_least:g}.")
        return number

    def whole(self, at_least: int = 0, at_most: int = 10**9) -> int:
        """A whole number."""
        text = self.text()
        if not text.isdecimal() or not at_least <= int(text) <= at_most:
            raise self.wrong(f"must be a whole number from {at_least} to {at_most}.")
        return int(text)

    def seconds(self) -> float:
        """A time such as 5s, 1m, 2h or 90d; a plain number is seconds."""
        match = _DURATION.fullmatch(self.text())
        if match is None:
            raise self.wrong("must be a time such as 5s, 1m, 2h or 90d.")
        return float(match[1]) * _UNITS[match[2]]

    def truth(self) -> bool:
        """True or false."""
        found = _TRUTHS.get(self.text().lower())
        if found is None:
            raise self.wrong("must be true or false.")
        return found

    def items(self) -> list[Entry]:
        """The values of a list."""
        if not isinstance(self._node, yaml.SequenceNode):
            raise self.wrong("must be a list.")
        return [Entry(node, self._where, self.name) for node in self._node.value]

    def entries(self, known: Collection[str]) -> dict[str, Entry]:
        """The values of a mapping by their names; those without a value are left out."""
        if not isinstance(self._node, yaml.MappingNode):
            raise self.wrong("must be a mapping: lines of `name: value`.")
        found: dict[str, Entry] = {}
        for key, value in self._node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            entry = Entry(value, self._where, name)
            if name not in known:
                raise Entry(key, self._where).wrong(f"{name!r} is not known here.{did_you_mean(name, known)}")
            if name in found:
                raise Entry(key, self._where).wrong(f"{name!r} is there twice.")
            found[name] = entry
        return {name: entry for name, entry in found.items() if not entry.is_null}


def read(path: Path) -> Entry:
    """Read a YAML file.

    Raises:
        Stop: it is not there, or no YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise Stop(f"{path}: {error.strerror or 'cannot be read'}.") from None
    except UnicodeDecodeError:
        raise Stop(f"{path}: is not UTF-8 text.") from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise Stop(f"{path}{line}: is no YAML: {error.problem or 'cannot be read'}.") from None
    except yaml.YAMLError:
        raise Stop(f"{path}: holds characters that YAML does not allow.") from None
    if node is None:
        node = yaml.MappingNode("tag:yaml.org,2002:map", [])
    return Entry(node, str(path))


def did_you_mean(name: str, known: Collection[str]) -> str:
    """What to say about a name that is not known."""
    by_fold: Mapping[str, str] = {one.lower(): one for one in known}
    close = difflib.get_close_matches(name.lower(), list(by_fold), n=1)
    return f" Did you mean {by_fold[close[0]]!r}?" if close else f" Known are: {', '.join(sorted(known))}."
