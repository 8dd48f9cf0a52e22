"""Companies from elsewhere: a CSV file, or a query. Rows are data: they name neither secrets' places nor programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ap_connectors.core import files, settings, text_files
from ap_connectors.core.errors import Stop
from ap_connectors.fleet import databases, values
from ap_connectors.fleet.values import Value

_PLAIN = {"id", "name", "expected_company", "pipelines"}
# A row must not send a company's secrets to another address, nor write or read files of its choice.
_NOT_BY_ROWS = {"api_url", "allow_http", "stream_maps", "stream_map_config", "documents_from", "database", "company"}


def rows(given: Mapping[str, Value], base: Path) -> Iterator[Value]:
    """Yield a company for each row, as the file would describe it; its line is the number of the row.

    Columns are id, name, expected_company, pipelines (with blanks between them), and settings as `tap-vicai.client_id`.

    Raises:
        Stop: the list cannot be read, or has a column that is not known.
    """
    names, found = _csv(given["csv"], base) if "csv" in given else _query(given["query"], base)
    for place, name in enumerate(names):
        if name in names[:place]:
            raise Stop(f"the column {name} is there twice; leave one.")
        plugin, dot, setting = name.partition(".")
        if name not in _PLAIN and not (dot and plugin.startswith(("tap-", "target-", "mapper-")) and setting):
            meant = settings.closest(name, _PLAIN)
            known = (
                f"did you mean {meant}?" if meant else f"a column is {', '.join(sorted(_PLAIN))}, or PLUGIN.SETTING."
            )
            raise Stop(f"the column {name} is not known; {known}")
        if setting in _NOT_BY_ROWS or setting.endswith(("_path", "_dir")) or setting == "path":
            raise Stop(f"the column {name}: a list cannot set addresses, files or expressions; set it in the file.")
    if "id" not in names:
        raise Stop("the list has no column id.")
    empty = True
    for number, row in found:
        if len(row) > len(names):
            raise Stop(
                f"row {number} has {len(row)} fields, and the list {len(names)} columns. "
                "Put a text with a comma in quotes."
            )
        # A spreadsheet leaves rows of nothing behind what was deleted.
        if any(map(_text, row)):
            empty = False
            yield _company(dict(zip(names, row, strict=False)), number)
    if empty:
        raise Stop(
            "the list has no company: there is nothing below its header."
            if "csv" in given
            else "the list has no company: the query found no row."
        )


def _company(row: Mapping[str, Any], number: int) -> Value:
    members: dict[str, Value] = {}
    given: dict[str, dict[str, Value]] = {}
    for name, content in row.items():
        text = _text(content)
        if not text:
            continue
        plugin, dot, setting = name.partition(".")
        if dot:
            given.setdefault(plugin, {})[setting] = _setting(text, number)
        else:
            members[name] = Value(text, number)
    if given:
        members["settings"] = Value({plugin: Value(found, number) for plugin, found in given.items()}, number)
    return Value(members, number)


def _setting(text: str, number: int) -> Value:
    """Return a cell: a list in JSON is one, true and 7 are what they look like where the setting is not text."""
    if text.startswith("["):
        try:
            found = json.loads(text)
        except ValueError:
            return Value(text, number)
        return Value([Value(_text(each), number) for each in found], number)
    kind = "boolean" if text.lower() in {"true", "false"} else "integer" if text.isdecimal() else ""
    return Value(text, number, kind)


def as_list(value: Value, schema: Mapping[str, Any]) -> Value:
    """Return a cell as the list that its setting wants: one value, or several with commas, need no brackets."""
    if not isinstance(value.content, str) or not _is_list(schema) or value.content.startswith(("[", "{")):
        return value
    parts = [part.strip() for part in value.content.split(",")]
    return Value([_setting(part, value.line) for part in parts if part], value.line)


def how(plugin: str, name: str, schema: Mapping[str, Any]) -> str:
    """Return how the cell of a setting is written, for the end of a message; "" where that is plain."""
    if not name:
        return ""
    column = f" In the column {plugin}.{name}"
    return f'{column} write 1234, or several with commas in quotes: "1234, 5678".' if _is_list(schema) else f"{column}."


def _is_list(schema: Mapping[str, Any]) -> bool:
    """Whether a setting is a list of texts or numbers, and nothing else."""
    types, plain = _types(schema), {"string", "integer", "number"}
    return "array" in types and not plain & {*types} and bool(plain & {*_types(schema.get("items") or {})})


def _types(schema: Mapping[str, Any]) -> Sequence[str]:
    found = schema.get("type", ())
    return (found,) if isinstance(found, str) else tuple(found)


def _text(content: Any) -> str:
    return "" if content is None else str(content).strip()


Row = tuple[int, Sequence[Any]]
"""Its line in a file, or its number in the answer of a query."""


def _csv(value: Value, base: Path) -> tuple[Sequence[str], Iterable[Row]]:
    if not isinstance(value.content, str):
        raise Stop("csv must be a path.")
    path = base / files.place(value.content)
    lines = text_files.read(path)
    head = lines.partition("\n")[0]
    separator = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(lines), delimiter=separator)
    try:
        (_, names), *found = [(reader.line_num, row) for row in reader if row] or [(1, [])]
    except csv.Error as error:
        raise Stop(f"{path}, line {reader.line_num}: is not CSV: {error}.") from None
    if not names:
        raise Stop(f"{path}: is empty; the first line names the columns.")
    return [name.strip() for name in names], found


def _query(value: Value, base: Path) -> tuple[Sequence[str], Iterable[Row]]:
    content = value.content
    if not isinstance(content, Mapping) or set(content) != {"database", "sql"}:
        raise Stop("query needs database and sql, and nothing else.")
    sql = content["sql"].content
    if not isinstance(sql, str):
        raise Stop("query: sql must be a text.")
    database = values.fetched(values.setting(content["database"], {"type": "string"}, base), "query: database", [])
    with databases.opened(str(database), base) as opened:
        names, answer = opened.answer(sql)
        return names, list(enumerate(answer, start=1))
