"""What a person has to hear of the columns of a list: those that were left out, and those that it lacks."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ap_connectors.core import sheets
from ap_connectors.core.errors import Reject
from ap_connectors.core.exact import counted
from ap_connectors.singer.listing import Group, Listing

_HINTS = ("why", "what is wrong")
"""Columns of a plan and of a report that take a sentence."""


class ListNotes:
    """Collects it in a run. Thread-safe."""

    def __init__(self) -> None:
        self._left_out: dict[str, Mapping[str, str | None]] = {}
        self._lacking: dict[str, Sequence[str]] = {}
        self._set_aside: Counter[str] = Counter()
        self._lock = threading.Lock()

    def tell(self, stream: str, left_out: Mapping[str, str | None], lacking: Sequence[str]) -> None:
        """Take what was found when a list was read.

        Args:
            stream: its name.
            left_out: headings of what is not loaded, each with the field that may be meant.
            lacking: fields that have no column, and without which nothing new can be loaded.
        """
        self._left_out[stream], self._lacking[stream] = left_out, lacking

    def is_told(self, stream: str, reject: Reject) -> bool:
        """Return whether a record is set aside for a column that its list lacks, as another one was before."""
        fields = reject.params.get("fields") or () if reject.code == "missing_field" else ()
        if not fields or not {*fields} <= {*self._lacking.get(stream, ())}:
            return False
        with self._lock:
            self._set_aside[stream] += 1
            return self._set_aside[stream] > 1

    def as_json(self) -> dict[str, Any]:
        """Return ``{"columns": {stream: {"left_out": {heading: field or null}, "lacking": [field], "set_aside": n}}}``.

        Streams of which there is nothing to tell are not in it; it is empty if there is no other.
        """
        columns = {
            stream: {
                "left_out": dict(left_out),
                "lacking": [*self._lacking[stream]] if self._set_aside[stream] else [],
                "set_aside": self._set_aside[stream],
            }
            for stream, left_out in self._left_out.items()
            if left_out or self._set_aside[stream]
        }
        return {"columns": columns} if columns else {}

    def log(self, logger: logging.Logger, *, planned: bool) -> None:
        """Log what there is to tell, in a sentence for each matter."""
        for sentence in _sentences(self.as_json(), planned=planned):
            logger.warning("%s", sentence)


def added(shown: Listing, document: Mapping[str, Any]) -> Listing:
    """Return a plan or a report for people with what its document says of the columns of a list.

    Args:
        shown: the plan, or the report.
        document: what it was made of; `columns` is what `ListNotes.as_json` has returned.
    """
    told = " ".join(_sentences(document, planned=bool(document.get("dry_run"))))
    if not told:
        return shown
    hint = next(head for head in shown.columns if head in _HINTS)
    groups = []
    for stream, columns in document["columns"].items():
        cells = [
            {"field": head, hint: f"did you mean {meant}?" if meant else "no field is called so"}
            for head, meant in columns["left_out"].items()
        ]
        if cells:
            rows = [[row.get(head, "") for head in shown.columns] for row in cells]
            groups.append(Group(f"{stream}: columns left out", rows, len(rows), "bad"))
    # Without rows: those of a sheet are loaded again.
    sheet = sheets.Sheet("columns", [told], [], wide=frozenset({told}))
    words, _ = shown.verdict
    return replace(
        shown,
        verdict=(f"{words} {told}", False),
        groups=[*groups, *shown.groups],
        more=[*shown.more, sheet] if shown.more else (),
    )


def _sentences(document: Mapping[str, Any], *, planned: bool) -> Iterator[str]:
    for stream, columns in document.get("columns", {}).items():
        left_out = columns["left_out"]
        if left_out:
            heads = [f"{head} (did you mean {meant}?)" if meant else head for head, meant in left_out.items()]
            yield f"{stream}: columns left out, as no field is called so: {', '.join(heads)}."
        if number := columns["set_aside"]:
            were = "would be" if planned else "was" if number == 1 else "were"
            lacking = " and no column ".join(columns["lacking"])
            unclear = [head for head, meant in left_out.items() if meant is None]
            yield (
                f"{stream}: the list has no column {lacking} with values, and what is new needs one: "
                f"{counted(number, 'record')} {were} set aside." + f" Is {' or '.join(unclear)} meant?" * bool(unclear)
            )
