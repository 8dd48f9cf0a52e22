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
from ap_connectors.core.redact import printable, whole
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


def effect_words(name: str, *, planned: bool) -> str:
    """Return how a count is called: of what happened, or of what would."""
    return f"would be {name}" if planned and name in _WRITTEN else name


def part_words(number: int, *, planned: bool) -> str:
    """Return how many records are loaded without a part that is set aside by itself."""
    return f"{number} {'would be ' * planned}set aside in part (the rest of the record is loaded)"


class StreamCounts:
    """StreamCounts of one stream. Thread-safe."""

    def __init__(self) -> None:
        self.received = self.created = self.updated = self.unchanged = self.older = 0
        self.deleted = self.rejected = self.failed = 0
        self.in_part = 0
        """Of the rejected: those whose records are loaded otherwise, and counted there, too."""
        self.request_counts = RequestCounts()
        """The stream's HTTP requests."""
        self.seconds = 0.0
        """Seconds between the first count and the latest one."""
        self._began: float | None = None
        self._lock = threading.Lock()

    def add(self, metric: Metric | Literal["in_part"], n: int = 1) -> None:
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
        # A person adds these up.
        figures["rejected"] -= self.in_part
        records = ", ".join(f"{figures[metric]} {effect_words(metric, planned=planned)}" for metric in METRICS)
        if self.in_part:
            records += f", {part_words(self.in_part, planned=planned)}"
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

    def reject(
        self,
        stream: str,
        key: str,
        line: int,
        reject: Reject,
        redact: Callable[[str], str],
        *,
        name: str = "",
    ) -> None:
        """Add a record that was set aside.

        Args:
            stream: of the record.
            key: its natural key, or "line 7".
            line: its number in the input.
            reject: why.
            redact: masks secrets in a text.
            name: what people call it, if that is known.
        """
        self.of(stream).add("rejected")
        if reject.in_part:
            self.of(stream).add("in_part")
        with self._lock:
            self._codes[reject.code] += 1
            if len(self._rejects) < _MOST_REJECTS:
                called = {"name": whole(name)} if name else {}
                shown = reject.shown(lambda text: whole(redact(text)))
                self._rejects.append({"stream": stream, "key": whole(key), "line": line, **called, **shown})

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

        "in_part" is there if records were set aside in part: how many of the rejected, by stream. The total's seconds
        are those of the run, for streams overlap; its requests include those outside of streams.
        """
        streams = {name: counts.as_json() for name, counts in self._all()}
        in_part = {name: counts.in_part for name, counts in self._all() if counts.in_part}
        total: dict[str, Any] = {
            figure: sum(counts[figure] for counts in streams.values()) for figure in StreamCounts().as_json()
        }
        for figure in _REQUEST_METRICS:
            total[figure] += getattr(self.request_counts, figure)
        total["seconds"] = round(time.monotonic() - self._began, 3)
        with self._lock:
            rejects = {"reject_codes": dict(self._codes), "rejects": list(self._rejects)}
        return {"streams": streams, "total": total, **({"in_part": in_part} if in_part else {}), **rejects}

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
    try:
        files.replace(Path(path), json_bytes(document))
    except OSError as error:
        raise Stop(f"{setting}: {path} cannot be written: {error.strerror or type(error).__name__}.") from None


def json_bytes(document: Any) -> bytes:
    """Return JSON to be read by people, too, decimals with all their digits."""
    encoded = msgspec.json.Encoder(decimal_format="number").encode(document)
    return msgspec.json.format(encoded, indent=2) + b"\n"


# The plan of a dry run

_MOST_ROWS = 40
"""Records of a stream with one effect that the table shows; the JSON has all."""
_WIDTH = 40
"""Characters of a value that the table shows."""
_ORDER = ("created", "updated", "deleted", "older", "rejected")
_PARTS = {"bank_account": "its bank details", "bank_change": "its change of bank details"}
"""What is set aside by itself, by the code of its reject."""
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
    name: str = ""
    """What people call it; for the table."""
    without: str = ""
    """What of it would be set aside by itself."""
    in_part: bool = False
    """Whether it would be set aside, and the rest of its record loaded."""


class Plan:
    """Collects what would happen, and tells it in the order of the input; what is unchanged is counted. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changes: list[PlannedChange] = []
        self._unchanged: Counter[str] = Counter()
        self._bank_changes: list[PlannedChange] = []

    def add(self, stream: str, key: str, outcome: Outcome, kept: Mapping[str, Any], line: int, *, name: str) -> None:
        """Add the outcome of a record of a line of the input, what is kept of it, and what people call it."""
        without = ", ".join(dict.fromkeys(_PARTS.get(one.code, one.code) for one in outcome.aside))
        with self._lock:
            if outcome.effect == "unchanged":
                self._unchanged[stream] += 1
            else:
                self._changes.append(
                    PlannedChange(stream, key, outcome.effect, outcome.changes, None, kept, line, name, without)
                )
            if outcome.bank_changes:
                self._bank_changes.append(PlannedChange(stream, key, outcome.effect, outcome.bank_changes, line=line))

    def reject(self, stream: str, key: str, reason: str, name: str, line: int, *, in_part: bool = False) -> None:
        """Add a record that would be set aside, or a part of it; `name` is what people call it, if that is known."""
        key, reason, name = whole(key), whole(reason), whole(name)
        kept = {"name": name} if name else {}
        with self._lock:
            self._changes.append(PlannedChange(stream, key, "rejected", (), reason, kept, line, name, in_part=in_part))

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
            whole = {effect: [one for one in changes[effect] if not one.in_part] for effect in _ORDER}
            counts = [
                f"{len(whole[effect])} {effect_words(effect, planned=True)}" for effect in _ORDER if whole[effect]
            ]
            counts.append(f"{self._unchanged[stream]} unchanged")
            if parts := len(changes["rejected"]) - len(whole["rejected"]):
                counts.append(part_words(parts, planned=True))
            yield f"\n{stream}: {', '.join(counts)}"
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
    name = _cut(printable(planned.name)) if planned.name != planned.key else ""
    without = f"without {planned.without}" if planned.without else ""
    told = "   ".join(text for text in (planned.key, name, without, planned.reason) if text)
    yield f"  {_SIGNS[planned.effect]} {told}"
    for change in planned.changes:
        cleared = "   (cleared)" if change.new is None else ""
        yield f"      {change.path:32} {_short(change.old)} -> {_short(change.new)}{cleared}"


def _short(value: Any) -> str:
    return _cut("null" if value is None else str(value) if isinstance(value, Decimal | int) else repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def _as_json(planned: PlannedChange) -> dict[str, Any]:
    row: dict[str, Any] = {"key": planned.key}
    if planned.reason is not None:
        row["reason"] = planned.reason
    if planned.in_part:
        row["in_part"] = True
    if planned.effect in {"updated", "older"}:
        row["changes"] = [{"field": one.path, "old": one.old, "new": one.new} for one in planned.changes]
    if planned.effect == "updated":
        row["cleared"] = [one.path for one in planned.changes if one.new is None]
    return row
