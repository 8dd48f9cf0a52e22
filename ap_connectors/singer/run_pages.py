"""The plan and the report of a run, as lists for people."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from ap_connectors.core import sheets
from ap_connectors.core.exact import counted
from ap_connectors.singer import reject_sheets
from ap_connectors.singer.listing import Group, Listing
from ap_connectors.singer.reject_advice import field_and_value, order, what_to_do
from ap_connectors.singer.reject_sheets import Rejected
from ap_connectors.singer.run_report import METRICS

_EFFECTS = {
    "rejected": "would be set aside",
    "deleted": "would be deleted",
    "updated": "would be changed",
    "created": "would be new",
    "older": "are older than Vic.ai's and would be left out",
}
"""How a plan tells what would happen; what needs a look comes first."""
_PLAN = ("record", "name", "field", "is now", "will be", "why")
_MOST_WHOLE = 1000
"""New records of a stream that a plan shows field by field; of more it shows keys and names."""
_MOST_OF_A_NAME = 80
_made_up = re.compile(r"planned-[0-9]+").fullmatch
"""Ids of what the plan itself creates: they mean nothing to people."""
_REJECTS = ("record", "what is wrong", "field", "value", "line", "code")


def plan(document: Mapping[str, Any]) -> Listing:
    """Return a plan, as `plan_path` keeps it, as a list: stream by stream, field by field."""
    groups, totals = [], dict.fromkeys(_EFFECTS, 0)
    for stream, effects in document["plan"].items():
        for effect, words in _EFFECTS.items():
            entries = effects.get(effect) or []
            totals[effect] += len(entries)
            rows = [row for entry in entries for row in _planned(entry, whole=len(entries) <= _MOST_WHOLE)]
            if rows:
                groups.append(Group(f"{stream}: {words}", rows, len(entries), _kind(effect)))
    for one in document.get("bank_changes") or []:
        row = [str(one["key"]), "", str(one["field"]), _text(one["from"]), _text(one["to"]), ""]
        groups.append(Group(f"{one['stream']}: bank details would change", [row], 1, "bad"))
    told = ", ".join(f"{totals[effect]} {words}" for effect, words in _EFFECTS.items() if totals[effect])
    return Listing(
        "Plan of a load",
        (f"Nothing has been written. {told or 'Nothing would change'}.", not totals["rejected"] + totals["deleted"]),
        {"Company": document.get("company") or "not known", "Made at": document["made_at"]},
        _PLAN,
        groups,
        wide=frozenset({"is now", "will be", "why"}),
    )


def _kind(effect: str) -> str:
    return "bad" if effect in {"rejected", "deleted"} else "good" if effect == "created" else ""


def _planned(entry: Mapping[str, Any], *, whole: bool) -> list[list[str]]:
    """Return a row for each field that would change; of a new record, if it is shown whole, for each that it has."""
    name = str(entry.get("name") or "")
    place = [str(entry["key"]), name if len(name) <= _MOST_OF_A_NAME else f"{name[:_MOST_OF_A_NAME]}…"]
    changes = [(one["field"], _text(one["old"]), _text(one["new"])) for one in entry.get("changes") or []]
    calls = (entry.get("approve") or {}).get("calls") if whole and "changes" not in entry else None
    body = next((call["body"] for call in calls or () if isinstance(call["body"], dict)), {})
    changes += [(name, "", _text(value)) for name, value in body.items() if value is not None]
    if not changes:
        return [[*place, "", "", "", str(entry.get("reason") or "")]]
    return [[*place, str(field), old, new, ""] for field, old, new in changes]


def _text(value: Any) -> str:
    if value is None:
        return "(nothing)"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, str) and _made_up(value):
        return "(the new one)"
    return value if isinstance(value, str) else reject_sheets.as_text(value)


def report(document: Mapping[str, Any], rejects: Sequence[Rejected], path: str) -> Listing:
    """Return a report as a list: counts by stream, and rejects in the order in which one works them off.

    Args:
        document: the report as JSON.
        rejects: with their records, of the reject file.
        path: where the list goes; in a sheet the records are columns, to be corrected there.
    """
    groups: dict[str, list[list[str]]] = {}
    told: list[Mapping[str, Any]] = document["rejects"]
    for one in sorted(told, key=lambda row: order(str(row["code"]))):
        field, value = field_and_value(one.get("params") or {})
        words = f"{what_to_do(str(one['code']))} ({one['stream']})"
        row = [str(one["key"]), str(one["reason"]), field, value, str(one["line"]), str(one["code"])]
        groups.setdefault(words, []).append(row)
    total = document["total"]
    count = total["rejected"]
    facts = {"Company": document.get("company") or "not known", "Made at": document["made_at"]}
    if document.get("rejects_path"):
        facts["Reject file"] = str(document["rejects_path"])
    if count > len(told):
        facts["Shown"] = f"the first {len(told)} of {count}; the reject file has all"
    words = f"{counted(count, 'record')} set aside." if count else "Nothing was set aside."
    metrics = [metric for metric in METRICS if total[metric]] or ["received"]
    rows = [[name, *(str(counts[metric]) for metric in metrics)] for name, counts in document["streams"].items()]
    return Listing(
        "Report of a load",
        (words, not count),
        facts,
        _REJECTS,
        [Group(name, rows, len(rows), "bad") for name, rows in groups.items()],
        counts=(["stream", *(f"#{metric}" for metric in metrics)], rows),
        more=_sheets(rejects, path, metrics, rows),
        wide=frozenset({"what is wrong"}),
    )


def _sheets(
    rejects: Sequence[Rejected], path: str, metrics: Sequence[str], rows: Sequence[Sequence[str]]
) -> list[sheets.Sheet]:
    is_csv = Path(path).suffix.lower() == ".csv"
    found = reject_sheets.sheets_of(rejects, together=is_csv)
    return found or [sheets.Sheet("counts", ["stream", *metrics], rows)]
