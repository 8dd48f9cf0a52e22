"""What became of the records, by stream: counts for the log and the report, and the plan of a dry run."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec

from ap_connectors.core import files, instants
from ap_connectors.core.errors import Reject, Stop
from ap_connectors.http.request_counts import RequestCounts
from ap_connectors.singer.diff import Change
from ap_connectors.singer.sink import Outcome

Metric = Literal["received", "created", "updated", "unchanged", "older", "deleted", "rejected", "failed"]
METRICS: tuple[Metric, ...] = ("received", "created", "updated", "unchanged", "older", "deleted", "rejected", "failed")
"""What is counted of records."""
_REQUEST_METRICS = ("requests", "retries", "throttled")
_MOST_REJECTS = 1000
"""Rejects that the report names; the reject file has all."""


_WRITTEN = {"created", "updated", "deleted", "rejected"}


def _effect(name: str, *, planned: bool) -> str:
    return f"would be {name}" if planned and name in _WRITTEN else name


class StreamCounts:
    """StreamCounts of one stream. Thread-safe."""

    def __init__(self) -> None:
        self.received = self.created = self.updated = self.unchanged = self.older = 0
        self.deleted = self.rejected = self.failed = 0
        self.request_counts = RequestCounts()
        """The stream's HTTP requests."""
        self.seconds = 0.0
        """Seconds between the first count and the latest one."""
        self._began: float | None = None
        self._lock = threading.Lock()

    def add(self, metric: Metric, n: int = 1) -> None:
        """Count `n` more records."""
        now = time.monotonic()
        with self._lock:
            if self._began is None:
                self._began = now
            self.seconds = now - self._began
            self.__dict__[metric] += n

    def as_json(self) -> dict[str, Any]:
        """Return the twelve figures of the report."""
        records = {metric: getattr(self, metric) for metric in METRICS}
        requests = {metric: getattr(self.request_counts, metric) for metric in _REQUEST_METRICS}
        return records | requests | {"seconds": round(self.seconds, 3)}

    def line(self, *, planned: bool = False) -> str:
        """Return the figures for the log: what happened, or what would."""
        figures = self.as_json()
        records = ", ".join(f"{figures[metric]} {_effect(metric, planned=planned)}" for metric in METRICS)
        requests = ", ".join(f"{figures[metric]} {metric}" for metric in _REQUEST_METRICS)
        return f"{records}, {self.seconds:.1f} s; {requests}"


class RunReport:
    """The counts of a run, streams in the order in which they came."""

    def __init__(self) -> None:
        self._streams: dict[str, StreamCounts] = {}
        self.request_counts = RequestCounts()
        """HTTP requests that belong to no stream."""
        self._began = time.monotonic()
        self.began_at = instants.text(time.time_ns() // 1_000_000)
        """When the run began, an instant in UTC."""
        self._lock = threading.Lock()
        self._rejects: list[dict[str, Any]] = []
        self._codes: Counter[str] = Counter()
        self.bank_changes: list[dict[str, Any]] = []
        """Bank details that changed, or would change in a plan: ``{"stream", "key", "field", "from", "to"}``."""

    def bank_change(self, stream: str, key: str, change: Change) -> None:
        """Add a bank detail that changed, or would change in a plan."""
        row = {"stream": stream, "key": key, "field": change.path, "from": change.old, "to": change.new}
        with self._lock:
            self.bank_changes.append(row)

    def reject(self, stream: str, key: str, line: int, reject: Reject, redact: Callable[[str], str]) -> None:
        """Add a record that was set aside.

        Args:
            stream: of the record.
            key: its natural key, or "line 7".
            line: its number in the input.
            reject: why.
            redact: masks secrets in a text.
        """
        self.of(stream).add("rejected")
        with self._lock:
            self._codes[reject.code] += 1
            if len(self._rejects) < _MOST_REJECTS:
                self._rejects.append({"stream": stream, "key": key, "line": line, **reject.shown(redact)})

    def of(self, stream: str) -> StreamCounts:
        """Return a stream's counts, made when first asked for."""
        counts = self._streams.get(stream)
        if counts is not None:
            return counts
        with self._lock:
            return self._streams.setdefault(stream, StreamCounts())

    def lines(self, *, planned: bool = False) -> Iterator[str]:
        """Yield one line for the log per stream: of what happened, or of what would."""
        for name, counts in self._all():
            yield f"{name}: {counts.line(planned=planned)}"

    def as_json(self) -> dict[str, Any]:
        """Return the report: streams and total with twelve figures each, and the first 1,000 rejects.

        ``{"streams": {"vendors": {...}}, "total": {...}, "reject_codes": {"missing_field": 7}, "rejects": [{...}]}``

        The total's seconds are those of the run, for streams overlap; its requests include those outside of streams.
        """
        streams = {name: counts.as_json() for name, counts in self._all()}
        total: dict[str, Any] = {
            figure: sum(counts[figure] for counts in streams.values()) for figure in StreamCounts().as_json()
        }
        for figure in _REQUEST_METRICS:
            total[figure] += getattr(self.request_counts, figure)
        total["seconds"] = round(time.monotonic() - self._began, 3)
        with self._lock:
            rejects = {"reject_codes": dict(self._codes), "rejects": list(self._rejects)}
        return {"streams": streams, "total": total, **rejects}

    def write(self, path: str, more: Mapping[str, Any] | None = None) -> None:
        """Write the report as JSON, with further members (see `write_json`)."""
        write_json("report_path", path, {**self.as_json(), **(more or {})})

    def _all(self) -> list[tuple[str, StreamCounts]]:
        with self._lock:
            return list(self._streams.items())


def write_json(setting: str, path: str, document: Any) -> None:
    """Write JSON atomically, decimals with all their digits; create folders, replace an older file.

    Raises:
        Stop: it cannot be written.
    """
    encoded = msgspec.json.Encoder(decimal_format="number").encode(document)
    try:
        files.replace(Path(path), msgspec.json.format(encoded, indent=2) + b"\n")
    except OSError as error:
        raise Stop(f"{setting}: {path} cannot be written: {error.strerror or type(error).__name__}.") from None


# The plan of a dry run

_MOST_ROWS = 40
"""Records of a stream with one effect that the table shows; the JSON has all."""
_WIDTH = 40
"""Characters of a value that the table shows."""
_ORDER = ("created", "updated", "deleted", "older", "rejected")
_SIGNS = {"created": "+", "updated": "~", "deleted": "-", "older": "<", "rejected": "!"}


@dataclass(frozen=True)
class PlannedChange:
    """What would happen to one record."""

    stream: str
    key: str
    effect: str
    changes: tuple[Change, ...] = ()
    reason: str | None = None
    kept: Mapping[str, Any] = field(default_factory=dict)
    """What is kept of the record to be approved, and its name."""
    line: int = 0
    """Of the input; 0 for what the input no longer has."""


class Plan:
    """Collects what would happen, and tells it in the order of the input; what is unchanged is counted. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changes: list[PlannedChange] = []
        self._unchanged: Counter[str] = Counter()
        self._bank_changes: list[PlannedChange] = []

    def add(self, stream: str, key: str, outcome: Outcome, kept: Mapping[str, Any], line: int) -> None:
        """Add the outcome of a record of a line of the input, and what is kept of it."""
        with self._lock:
            if outcome.effect == "unchanged":
                self._unchanged[stream] += 1
            else:
                self._changes.append(PlannedChange(stream, key, outcome.effect, outcome.changes, None, kept, line))
            if outcome.bank_changes:
                self._bank_changes.append(PlannedChange(stream, key, outcome.effect, outcome.bank_changes, line=line))

    def reject(self, stream: str, key: str, reason: str, name: str, line: int) -> None:
        """Add a record that would be set aside; `name` is what people call it, if that is known."""
        kept = {"name": name} if name else {}
        with self._lock:
            self._changes.append(PlannedChange(stream, key, "rejected", (), reason, kept, line))

    @property
    def is_empty(self) -> bool:
        """Whether no record has come."""
        return not (self._changes or self._unchanged)

    def table(self) -> str:
        """Return the plan as a text for people, changes field by field; its head explains the signs."""
        return "\n".join(self._lines()) + "\n"

    def as_json(self, *, whole: bool = False) -> dict[str, Any]:
        """Return ``{stream: {"unchanged": n, "created": [{key}], "updated": [{key, changes, cleared}], ...}}``.

        Args:
            whole: with what is needed to apply it.
        """
        plan: dict[str, Any] = defaultdict(lambda: {"unchanged": 0, **{effect: [] for effect in _ORDER}})
        for stream, number in self._unchanged.items():
            plan[stream]["unchanged"] = number
        for planned in _in_order(self._changes):
            plan[planned.stream][planned.effect].append({**_as_json(planned), **(planned.kept if whole else {})})
        return dict(plan)

    def _lines(self) -> Iterator[str]:
        by_stream: dict[str, dict[str, list[PlannedChange]]] = defaultdict(lambda: defaultdict(list))
        for stream in self._unchanged:
            by_stream[stream] = defaultdict(list)
        for planned in _in_order(self._changes):
            by_stream[planned.stream][planned.effect].append(planned)
        if not by_stream:
            yield "Plan: nothing to do; there were no records."
            return
        yield "Plan: nothing has been written. + new   ~ changed   - deleted   < older, left out   ! would be set aside"
        for stream, changes in by_stream.items():
            counts = [f"{len(changes[effect])} {_effect(effect, planned=True)}" for effect in _ORDER if changes[effect]]
            yield f"\n{stream}: {', '.join([*counts, f'{self._unchanged[stream]} unchanged'])}"
            for effect in _ORDER:
                for planned in changes[effect][:_MOST_ROWS]:
                    yield from _rows(planned)
                if (more := len(changes[effect]) - _MOST_ROWS) > 0:
                    yield f"  {_SIGNS[effect]} ... and {more} more; report_path has them all"
        if self._bank_changes:
            yield "\nBank details that would change:"
            for planned in _in_order(self._bank_changes):
                yield from _rows(planned)


def _in_order(planned: Iterable[PlannedChange]) -> list[PlannedChange]:
    """Return changes as the input has them, whichever thread was done first; what it no longer has comes last."""
    return sorted(planned, key=lambda one: one.line or sys.maxsize)


def _rows(planned: PlannedChange) -> Iterator[str]:
    yield f"  {_SIGNS[planned.effect]} {planned.key}" + (f"   {planned.reason}" if planned.reason else "")
    for change in planned.changes:
        cleared = "   (cleared)" if change.new is None else ""
        yield f"      {change.path:32} {_short(change.old)} -> {_short(change.new)}{cleared}"


def _short(value: Any) -> str:
    text = "null" if value is None else str(value) if isinstance(value, Decimal | int) else repr(value)
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def _as_json(planned: PlannedChange) -> dict[str, Any]:
    row: dict[str, Any] = {"key": planned.key}
    if planned.reason is not None:
        row["reason"] = planned.reason
    if planned.effect in {"updated", "older"}:
        row["changes"] = [{"field": one.path, "old": one.old, "new": one.new} for one in planned.changes]
    if planned.effect == "updated":
        row["cleared"] = [one.path for one in planned.changes if one.new is None]
    return row
