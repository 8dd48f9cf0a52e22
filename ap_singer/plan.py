"""The plan of a dry run: what would happen to each record, for people and for programs."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ap_singer.differences import Change
from ap_singer.loading import Outcome

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
