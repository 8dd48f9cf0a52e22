"""What became of the records, by stream: for the log and for the report."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec

from ap_connectors.core import files
from ap_connectors.core.errors import Reject, Stop
from ap_connectors.http.request_counts import RequestCounts
from ap_connectors.singer.diff import Change
from ap_connectors.singer.sink import Outcome

# The plan of a dry run: what would happen to each record, for people and for programs.

_ROWS = 40
"""Records of one kind of effect in a stream that the table shows; the JSON has all."""
_WIDTH = 40
_ORDER = ("created", "updated", "deleted", "rejected")
_SIGNS = {"created": "+", "updated": "~", "deleted": "-", "rejected": "!"}


@dataclass(frozen=True)
class Step:
    """What would happen to one record."""

    stream: str
    key: str
    effect: str
    changes: tuple[Change, ...] = ()
    reason: str | None = None


class Plan:
    """Collects what would happen; equal records are only counted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._steps: list[Step] = []
        self._unchanged: Counter[str] = Counter()

    def add(self, stream: str, key: str, outcome: Outcome) -> None:
        """Take in what would become of a record."""
        with self._lock:
            if outcome.effect == "unchanged":
                self._unchanged[stream] += 1
            else:
                self._steps.append(Step(stream, key, outcome.effect, outcome.changes))

    def reject(self, stream: str, key: str, reason: str) -> None:
        """Take in why a record would be set aside."""
        with self._lock:
            self._steps.append(Step(stream, key, "rejected", reason=reason))

    def table(self) -> str:
        """Return the plan as a text for people: `+` new, `~` changed field by field, `-` deleted, `!` set aside."""
        return "\n".join(self._lines()) + "\n"

    def as_json(self) -> dict[str, Any]:
        """Return ``{stream: {"unchanged": n, "created": [key], "updated": [{key, changes, cleared}], ...}}``."""
        plan: dict[str, Any] = defaultdict(lambda: {"unchanged": 0, **{effect: [] for effect in _ORDER}})
        for stream, number in self._unchanged.items():
            plan[stream]["unchanged"] = number
        for step in self._steps:
            plan[step.stream][step.effect].append(_as_json(step))
        return dict(plan)

    def _lines(self) -> Iterator[str]:
        by_stream: dict[str, dict[str, list[Step]]] = defaultdict(lambda: defaultdict(list))
        for stream in self._unchanged:
            by_stream[stream] = defaultdict(list)
        for step in self._steps:
            by_stream[step.stream][step.effect].append(step)
        if not by_stream:
            yield "Plan: there is nothing to do, for no record came in."
            return
        yield "Plan: nothing has been written. + new   ~ changed   - deleted   ! would be set aside"
        for stream, steps in by_stream.items():
            counts = [f"{len(steps[effect])} {effect}" for effect in _ORDER if steps[effect]]
            yield f"\n{stream}: {', '.join([*counts, f'{self._unchanged[stream]} unchanged'])}"
            for effect in _ORDER:
                for step in steps[effect][:_ROWS]:
                    yield from _told(step)
                if len(steps[effect]) > _ROWS:
                    yield f"  {_SIGNS[effect]} ... and {len(steps[effect]) - _ROWS} more; report_path has them all"


def _told(step: Step) -> Iterator[str]:
    yield f"  {_SIGNS[step.effect]} {step.key}" + (f"   {step.reason}" if step.reason else "")
    for change in step.changes:
        cleared = "   (cleared)" if change.new is None else ""
        yield f"      {change.path:32} {_short(change.old)} -> {_short(change.new)}{cleared}"


def _short(value: Any) -> str:
    text = "null" if value is None else str(value) if isinstance(value, Decimal | int) else repr(value)
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def _as_json(step: Step) -> dict[str, Any]:
    told: dict[str, Any] = {"key": step.key}
    if step.reason is not None:
        told["reason"] = step.reason
    if step.effect == "updated":
        told["changes"] = [{"field": one.path, "old": one.old, "new": one.new} for one in step.changes]
        told["cleared"] = [one.path for one in step.changes if one.new is None]
    return told


Kind = Literal["received", "created", "updated", "unchanged", "deleted", "rejected", "failed"]
_MOST_REJECTS = 1000
"""Rejects that the report names; the reject file has all."""
KINDS: tuple[Kind, ...] = ("received", "created", "updated", "unchanged", "deleted", "rejected", "failed")


class Counts:
    """Counts of one stream. May be used from several threads."""

    def __init__(self) -> None:
        self.received = self.created = self.updated = self.unchanged = 0
        self.deleted = self.rejected = self.failed = 0
        self.request_counts = RequestCounts()
        """The stream's HTTP requests."""
        self.seconds = 0.0
        """Seconds between the first count and the latest one."""
        self._began: float | None = None
        self._lock = threading.Lock()

    def add(self, kind: Kind, n: int = 1) -> None:
        """Count `n` more of a kind."""
        with self._lock:
            now = time.monotonic()
            if self._began is None:
                self._began = now
            self.seconds = now - self._began
            setattr(self, kind, getattr(self, kind) + n)

    def as_json(self) -> dict[str, Any]:
        """Return the eleven figures of the report."""
        counts: dict[str, Any] = {kind: getattr(self, kind) for kind in KINDS}
        request_counts = self.request_counts
        calls = {
            "requests": request_counts.requests,
            "retries": request_counts.retries,
            "throttled": request_counts.throttled,
        }
        return counts | calls | {"seconds": round(self.seconds, 3)}

    def __str__(self) -> str:
        figures = self.as_json()
        counted = ", ".join(f"{figures[kind]} {kind}" for kind in KINDS)
        asked = ", ".join(f"{figures[kind]} {kind}" for kind in ("requests", "retries", "throttled"))
        return f"{counted}, {self.seconds:.1f} s; {asked}"


class RunReport:
    """The counts of a run, streams in the order in which they came."""

    def __init__(self) -> None:
        self._streams: dict[str, Counts] = {}
        self.request_counts = RequestCounts()
        """HTTP requests that belong to no stream."""
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._rejects: list[dict[str, Any]] = []
        self._codes: Counter[str] = Counter()

    def reject(self, stream: str, key: str, line: int, reject: Reject, redact: Callable[[str], str]) -> None:
        """Note a record that was set aside.

        Args:
            stream: of the record.
            key: its natural key, or "line 7".
            line: its number in the input.
            reject: why.
            redact: masks secrets in a text.
        """
        with self._lock:
            self._codes[reject.code] += 1
            if len(self._rejects) < _MOST_REJECTS:
                self._rejects.append({"stream": stream, "key": key, "line": line, **reject.shown(redact)})

    def of(self, stream: str) -> Counts:
        """Return a stream's counts, made when first asked for."""
        counts = self._streams.get(stream)
        if counts is not None:
            return counts
        with self._lock:
            return self._streams.setdefault(stream, Counts())

    def lines(self) -> Iterator[str]:
        """Yield one line for the log per stream."""
        for name, counts in self._all():
            yield f"{name}: {counts}"

    def as_json(self) -> dict[str, Any]:
        """Return the report: streams and total with eleven figures each, and the first 1,000 rejects.

        ``{"streams": {"vendors": {...}}, "total": {...}, "reject_codes": {"missing_field": 7}, "rejects": [{...}]}``

        The total's seconds are those of the run: streams overlap. Its requests are all, those of no stream included.
        """
        streams = {name: counts.as_json() for name, counts in self._all()}
        total: dict[str, Any] = {
            figure: sum(counts[figure] for counts in streams.values()) for figure in Counts().as_json()
        }
        for figure in ("requests", "retries", "throttled"):
            total[figure] += getattr(self.request_counts, figure)
        total["seconds"] = round(time.monotonic() - self._began, 3)
        with self._lock:
            rejects = {"reject_codes": dict(self._codes), "rejects": list(self._rejects)}
        return {"streams": streams, "total": total, **rejects}

    def write(self, path: str, more: Mapping[str, Any] | None = None) -> None:
        """Write the report, whole or not at all; folders are made, an older report is replaced.

        Args:
            path: of the file.
            more: further members of the report.

        Raises:
            Stop: it cannot be written.
        """
        # Decimals with all their digits.
        encoded = msgspec.json.Encoder(decimal_format="number").encode({**self.as_json(), **(more or {})})
        try:
            files.replace(Path(path), msgspec.json.format(encoded, indent=2) + b"\n")
        except OSError as error:
            raise Stop(f"report_path: {path} cannot be written: {error.strerror or type(error).__name__}.") from None

    def _all(self) -> list[tuple[str, Counts]]:
        with self._lock:
            return list(self._streams.items())
