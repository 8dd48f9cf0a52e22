"""Gaps: what `ap-webhooks reconcile` finds missing, for people and as JSON."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

_TITLES = {
    "no event": "told of by no event",
    "not acted on": "stored, but no finished run covers them",
}


@dataclass(frozen=True)
class Gap:
    """One thing that is missing.

    Args:
        kind: `no event`, or `not acted on`.
        event: which event it should have been, or is: `ivesk.on_exported`.
        key: id of the document, invoice, batch or event.
        at: when it happened, in UTC.
        company: whose it is, where that is known.
        words: what is missing, in a sentence.
        run: the run that should have been finished, or None.
        rule: the rule that it is of, or None.
        request_id: of the event.
    """

    kind: str
    event: str
    key: str
    at: str
    company: str | None
    words: str
    run: int | None = None
    rule: str | None = None
    request_id: str | None = None


@dataclass
class Report:
    """What was compared, and the gaps."""

    gaps: list[Gap] = field(default_factory=list)
    compared: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "complete": not self.gaps,
            "gaps": [dataclasses.asdict(gap) for gap in self.gaps],
            "compared": dict(self.compared),
            "notes": self.notes,
        }


def lines(report: Report, named: int) -> list[str]:
    """A report for people; of each kind so many gaps are named."""
    found = [f"{count} {what} compared." for what, count in sorted(report.compared.items())]
    for kind, title in _TITLES.items():
        gaps = [gap for gap in report.gaps if gap.kind == kind]
        if gaps:
            found += ["", f"{len(gaps)} {title}:"]
            found += [f"  {gap.words}" for gap in gaps[:named]]
            if len(gaps) > named:
                found.append(f"  ... and {len(gaps) - named} more (--named, --format json)")
    found += ["", *report.notes] if report.notes else []
    return [*found, "", "Gaps: --mend lets the commands run that close them." if report.gaps else "Nothing is missing."]
