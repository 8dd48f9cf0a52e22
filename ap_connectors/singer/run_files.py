"""Writes plan and report of a run, in the form that a file's name says; reads corrected sheets."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from ap_connectors.core import sheets
from ap_connectors.core.errors import Stop
from ap_connectors.singer import list_notes, listing, reject_sheets, run_pages, sheet_lists
from ap_connectors.singer.list_notes import ListNotes
from ap_connectors.singer.message_io import byte_lines
from ap_connectors.singer.run_report import json_bytes, write_json
from ap_connectors.singer.sink import ListColumns, Sink

_MOST_IN_A_PAGE = 10_000_000
"""Bytes of JSON that a page holds; a browser is slow with more."""


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
    listing.write("report_path", path, list_notes.added(run_pages.report(document, rejects, path), document))


def write_plan(path: str, document: Mapping[str, Any]) -> None:
    """Write a plan.

    Args:
        path: of the file; .html, .csv and .xlsx are for people; JSON can be applied.
        document: the plan.

    Raises:
        Stop: it cannot be written.
    """
    if listing.is_listing(path):
        shown = list_notes.added(run_pages.plan(document), document)
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
