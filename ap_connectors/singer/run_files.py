"""Plan and report of a run, in the form that a file's name says: JSON, or lists for people. Reads corrected sheets."""

from __future__ import annotations

import functools
import itertools
import logging
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from ap_connectors.core import sheets
from ap_connectors.core.errors import Stop
from ap_connectors.core.exact import counted
from ap_connectors.singer import list_notes, listing, reject_sheets, sheet_lists
from ap_connectors.singer.list_notes import ListNotes
from ap_connectors.singer.listing import Group, Listing, flat
from ap_connectors.singer.message_io import byte_lines
from ap_connectors.singer.reject_advice import field_and_value, order, what_to_do
from ap_connectors.singer.reject_sheets import Rejected
from ap_connectors.singer.run_report import METRICS, effect_words, json_bytes, part_words, write_json
from ap_connectors.singer.sink import ListColumns, Sink

_MOST_IN_A_PAGE = 10_000_000
"""Bytes of JSON that a page holds; a browser is slow with more."""
_EFFECTS = {
    "rejected": "would be set aside",
    "deleted": "would be deleted",
    "updated": "would be changed",
    "created": "would be new",
    "older": "are older than Vic.ai's and would be left out",
}
"""How a plan tells what would happen; what needs a look comes first."""
_COUNTED_IN_PART = "would be set aside in part: the rest of the record is loaded"
_PLAN = ("record", "name", "field", "is now", "will be", "why")
_MOST_WHOLE = 1000
"""New records of a stream that a plan shows field by field; of more it shows keys and names."""
_MOST_OF_A_NAME = 80
_made_up = re.compile(r"planned-[0-9]+").fullmatch
"""Ids of what the plan itself creates: they mean nothing to people."""
_REJECTS = ("record", "name", "what is wrong", "field", "value", "line", "code")


def check(settings: Mapping[str, Any]) -> None:
    """Check that files of these names can be written, before any work.

    Raises:
        Stop: an ending is not known, or what writes such a file is not installed.
    """
    for setting in ("report_path", "plan_path"):
        if path := settings.get(setting):
            listing.require(setting, path)


def write_report(path: str, document: Mapping[str, Any]) -> None:
    """Write a report.

    Args:
        path: of the file; .html, .csv and .xlsx are for people, the others are JSON.
        document: the report.

    Raises:
        Stop: it cannot be written.
    """
    if not listing.is_listing(path):
        write_json("report_path", path, document)
        return
    keys = {one["line"]: one["key"] for one in document["rejects"]}
    aside = document.get("rejects_path")
    rejects = reject_sheets.of_file(aside, document["made_at"], keys) if aside and Path(aside).is_file() else []
    listing.write("report_path", path, list_notes.added(_report_as_list(document, rejects, path), document))


def write_plan(path: str, document: Mapping[str, Any]) -> None:
    """Write a plan.

    Args:
        path: of the file; .html, .csv and .xlsx are for people; JSON can be applied.
        document: the plan.

    Raises:
        Stop: it cannot be written.
    """
    if listing.is_listing(path):
        shown = list_notes.added(_plan_as_list(document), document)
        # Who has read a page wants to approve that, and not what another run would plan.
        data = json_bytes(document) if "plan_version" in document else b""
        kept = listing.Data(f"{Path(path).stem}.json", data) if 0 < len(data) <= _MOST_IN_A_PAGE else None
        listing.write("plan_path", path, replace(shown, data=kept))
    else:
        write_json("plan_path", path, document)
    logging.getLogger(document["target"]).info("The plan is in %s.", path)


def advice(command: str, report: str | None, rejects: str | None, source: object) -> str:
    """Return what to do with records that were set aside: with a sheet, if there is one.

    Args:
        command: that loads it.
        report: path of the report.
        rejects: path of the reject file.
        source: the input.
    """
    if report and Path(report).suffix.lower() in sheets.SUFFIXES:
        return f"{report} lists them: correct them there, and load it: {command} --input {shlex.quote(report)}"
    page = f"{report} lists them for people. " if report and listing.is_listing(report) else ""
    given = getattr(source, "name", None)
    if isinstance(given, str) and sheet_lists.is_sheet(given):
        return f"{page}Correct {given}, and load it again: {command} --input {shlex.quote(given)}"
    return (
        f"{page}Correct them in {rejects}, and load that file: {command} < {shlex.quote(rejects or '')} (A sheet to "
        "correct them in: set report_path to a name that ends in .xlsx.)"
    )


def lines(
    source: IO[str], sink_for: Callable[[str], Sink | None], notes: ListNotes, streams: Iterable[str]
) -> Iterable[bytes]:
    """Return the lines of an input: a file of Singer messages, or a sheet: a list, or corrected rejects.

    Args:
        source: the input.
        sink_for: the sink of a stream, which knows how the columns of a list are called.
        notes: of the columns of a list.
        streams: that can be loaded; none if stream maps give streams and columns other names.

    Raises:
        Stop: it is not what its name says.
    """
    name = getattr(source, "name", None)
    if not sheet_lists.is_sheet(name):
        return _no_sheet(byte_lines(source))

    known_streams = [*streams]

    def tell(stream: str, left_out: Mapping[str, str | None], lacking: Sequence[str]) -> None:
        notes.tell(stream, left_out, lacking)
        if sink := sink_for(stream):
            sink.unknown_fields.expect(left_out)

    def columns_of(stream: str) -> ListColumns:
        sink = sink_for(stream)
        if sink is None:
            return ListColumns()
        columns = sink.list_columns
        return columns if known_streams else replace(columns, known=(), needed=(), times=())

    return sheet_lists.messages(Path(name), columns_of, tell, known_streams)


def _no_sheet(given: Iterable[bytes]) -> Iterator[bytes]:
    """Yield lines, unless they are those of a sheet: only the name of a file tells that it is one."""
    lines = iter(given)
    first = next(lines, b"")
    if first.startswith(b"PK\x03\x04") or reject_sheets.ORIGINAL.encode() in first:
        raise Stop("The input is a sheet. Name it, so that it is read as one: --input rejects.xlsx (or .csv).")
    if first:
        yield first
    yield from lines


def _plan_as_list(document: Mapping[str, Any]) -> Listing:
    """Return a plan, as `plan_path` keeps it, as a list: stream by stream, field by field."""
    names = document.get("names") or {}
    groups, totals, parts = [], dict.fromkeys(_EFFECTS, 0), 0
    for stream, effects in document["plan"].items():
        for effect, words in _EFFECTS.items():
            every = effects.get(effect) or []
            in_part = [entry for entry in every if entry.get("in_part")]
            entries = [entry for entry in every if not entry.get("in_part")]
            totals[effect] += len(entries)
            parts += len(in_part)
            for told, some in ((words, entries), (_COUNTED_IN_PART, in_part)):
                rows = [row for entry in some for row in _planned(entry, names, whole=len(some) <= _MOST_WHOLE)]
                if rows:
                    groups.append(Group(f"{stream}: {told}", rows, len(some), _kind(effect)))
    for one in document.get("bank_changes") or []:
        row = [str(one["key"]), "", str(one["field"]), _text(one["from"], names), _text(one["to"], names), ""]
        groups.append(Group(f"{one['stream']}: bank details would change", [row], 1, "bad"))
    counts = [f"{totals[effect]} {words}" for effect, words in _EFFECTS.items() if totals[effect]]
    told = ", ".join([*counts, *([part_words(parts, planned=True)] if parts else [])])
    bad = totals["rejected"] + totals["deleted"] + parts
    return Listing(
        "Plan of a load",
        (f"Nothing has been written. {told or 'Nothing would change'}.", not bad),
        {
            "Company": document.get("company") or "not known",
            **({"Service": document["service"]["address"]} if "service" in document else {}),
            "Made at": document["made_at"],
        },
        _PLAN,
        groups,
        wide=frozenset({"is now", "will be", "why"}),
        heads=2,
    )


def _kind(effect: str) -> str:
    return "bad" if effect in {"rejected", "deleted"} else "good" if effect == "created" else ""


def _planned(entry: Mapping[str, Any], names: Mapping[str, str], *, whole: bool) -> list[list[str]]:
    """Return a row for each field that would change; of a new record, if it is shown whole, for each that it has.

    Args:
        entry: of the plan.
        names: of what ids stand for.
        whole: whether new records are shown field by field.
    """
    name = str(entry.get("name") or "")
    place = [str(entry["key"]), _short(name)]
    texts = functools.partial(_text, names=names)
    changes = [
        (field, texts(old), texts(new))
        for one in entry.get("changes") or []
        for field, old, new in _by_line(one["field"], one["old"], one["new"])
    ]
    calls = (entry.get("approve") or {}).get("calls") if whole and "changes" not in entry else None
    body = next((call["body"] for call in calls or () if isinstance(call["body"], dict)), {})
    changes += [
        (field, "", texts(value))
        for name, held in flat(body).items()
        for field, _, value in _by_line(name, [], held)
        if value is not None
    ]
    if not changes:
        return [[*place, "", "", "", str(entry.get("reason") or "")]]
    return [[*place, str(field), old, new, ""] for field, old, new in changes]


def _by_line(field: str, old: Any, new: Any) -> list[tuple[str, Any, Any]]:
    """Return a change as field, old and new value; of lists of objects, as lines are, one for each that differs."""
    both = [side or [] for side in (old, new)]
    if not all(isinstance(side, list) and all(isinstance(one, dict) for one in side) for side in both):
        return [(field, old, new)]
    lines = enumerate(itertools.zip_longest(*both))
    return [(f"{field}[{number}]", *pair) for number, pair in lines if pair[0] != pair[1]] or [(field, old, new)]


def _short(name: str) -> str:
    return name if len(name) <= _MOST_OF_A_NAME else f"{name[:_MOST_OF_A_NAME]}…"


def _text(value: Any, names: Mapping[str, str]) -> str:
    if value is None:
        return "(nothing)"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, str) and (_made_up(value) or value in names):
        place = "the new one" if _made_up(value) else value
        return f"{names[value]} ({place})" if value in names else f"({place})"
    if isinstance(value, dict):
        told = [f"{name} {_text(held, names)}" for name, held in flat(value).items() if held is not None]
        return " · ".join(told) or "(nothing)"
    if isinstance(value, list):
        told = [f"({_text(one, names)})" if isinstance(one, dict) else _text(one, names) for one in value]
        return ", ".join(told) or "(nothing)"
    return value if isinstance(value, str) else reject_sheets.as_text(value)


def _report_as_list(document: Mapping[str, Any], rejects: Sequence[Rejected], path: str) -> Listing:
    """Return a report as a list: counts by stream, and rejects in the order in which one works them off.

    Args:
        document: the report as JSON.
        rejects: with their records, of the reject file.
        path: where the list goes; in a sheet the records are columns, to be corrected there.
    """
    groups: dict[str, list[list[str]]] = {}
    told: list[Mapping[str, Any]] = document["rejects"]
    planned, in_sheet = bool(document.get("dry_run")), Path(path).suffix.lower() in sheets.SUFFIXES
    for one in sorted(told, key=lambda row: order(str(row["code"]))):
        field, value = field_and_value(one.get("params") or {})
        words = f"{what_to_do(str(one['code']), in_sheet=in_sheet)} ({one['stream']})"
        place = [str(one["key"]), _short(str(one.get("name") or ""))]
        row = [*place, str(one["reason"]), field, value, str(one["line"]), str(one["code"])]
        groups.setdefault(words, []).append(row)
    total = document["total"]
    count = total["rejected"]
    facts = {"Company": document.get("company") or "not known", "Made at": document["made_at"]}
    if document.get("rejects_path"):
        facts["Reject file"] = str(document["rejects_path"])
    if count > len(told):
        facts["Shown"] = f"the first {len(told)} of {count}; the reject file has all"
    in_part: Mapping[str, int] = document.get("in_part") or {}
    words = f"{counted(count, 'record')} {'would be ' * planned}set aside{_parts(sum(in_part.values()))}."
    if planned:
        words = f"Nothing has been written. {words if count else 'Nothing would be set aside.'}"
    elif not count:
        words = "Nothing was set aside."
    metrics = [metric for metric in METRICS if total[metric]] or ["received"]
    heads = ["would be set aside" if m == "rejected" and planned else effect_words(m, planned=planned) for m in metrics]
    rows = [[name, *(str(counts[metric]) for metric in metrics)] for name, counts in document["streams"].items()]
    if in_part:
        heads.append("of these in part")
        rows = [[*row, str(in_part.get(row[0], 0))] for row in rows]
    return Listing(
        "Plan of a load" if planned else "Report of a load",
        (words, not count),
        facts,
        [document.get("numbers") or "line" if head == "line" else head for head in _REJECTS],
        [Group(name, rows, len(rows), "bad") for name, rows in groups.items()],
        counts=(["stream", *(f"#{head}" for head in heads)], rows),
        more=_sheets(rejects, path, heads, rows),
        wide=frozenset({"what is wrong"}),
    )


def _parts(number: int) -> str:
    return f", {number} of them in part (the rest of the record is loaded)" if number else ""


def _sheets(
    rejects: Sequence[Rejected], path: str, heads: Sequence[str], rows: Sequence[Sequence[str]]
) -> list[sheets.Sheet]:
    is_csv = Path(path).suffix.lower() == ".csv"
    found = reject_sheets.sheets_of(rejects, together=is_csv)
    return found or [sheets.Sheet("counts", ["stream", *heads], rows)]
