"""What the page shows, from the inbox and the files of the runs; secrets are masked."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ap_connectors.core import instants
from ap_connectors.core.redact import Redactor
from ap_connectors.webhooks import gaps
from ap_connectors.webhooks.database import EVENTS, PLANNED, RUN_EVENTS, RUNS, Database, now_ms
from ap_connectors.webhooks.inbox import EventSummary, summaries
from ap_connectors.webhooks.inbox_url import address, passwords
from ap_connectors.webhooks.rules import matching, problem_of, shown
from ap_connectors.webhooks.runs import DONE, FAILED, RUNNING, WAITING, Run
from ap_connectors.webhooks.settings import Settings

DAYS = 30
"""How far back events are counted."""
NEW, NO_RUN = "new", "without a run"
STATES = (FAILED, NEW, WAITING, RUNNING, DONE, NO_RUN)
"""How far an event has come; that which a person looks at comes first."""

_ORDER = (FAILED, WAITING, RUNNING, DONE)
_LATEST, _FAILED, _OPEN = 30, 50, 50
_LOOKED_AT = 1000
"""Events without a run that are looked at; most of them no rule wants."""
_TAIL = 64 * 1024
_LONGEST_LINE = 500
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_ERROR = re.compile(r"\b(error|critical|fatal|exception|failed|failure|not found|denied|refused|[A-Z]\w+Error)\b", re.I)
_SECRET_NAME = re.compile(r"(secret|token|password|passwd|api_?key|credential)", re.I)


@dataclass(frozen=True)
class ShownRun:
    """A run as the page shows it.

    Args:
        run: itself.
        rule: its rule as everyone may see it.
        events: how many it covers.
        line: the last line of its output that tells of an error, if it failed; else "".
    """

    run: Run
    rule: str
    events: int
    line: str

    @property
    def can_be_retried(self) -> bool:
        """Whether it failed for good, or waits."""
        return self.run.status in {FAILED, WAITING}


class Content:
    """Reads what the page shows.

    Args:
        settings: all of them.
        database: of the inbox.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings, self._database = settings, database

    def read(self) -> dict[str, Any]:
        """Return everything, by the names of the template.

        Raises:
            Outage: the inbox cannot be read.
        """
        redact = Redactor(self._secrets())
        counts = self._events()
        states = [one for one in STATES if any(state == one for _, state in counts)]
        return {
            "rules": [(rule, redact(problem_of(rule))) for rule in self._settings.rules],
            "runs": [self._shown(run, events, redact) for run, events in self._runs()],
            "failed": self._count(FAILED),
            "days": DAYS,
            "counts": counts,
            "kinds": sorted({name for name, _ in counts}),
            "states": states,
            "heads": ["event", *(f"#{state}" for state in states)],
            "open": self._open() if {FAILED, NEW, NO_RUN} & set(states) else [],
            "gaps": gaps.last(self._database),
        }

    def _secrets(self) -> Iterator[str]:
        """Yield what commands know and may have told: our own secrets, and those of the environment and the rules."""
        live = self._settings.with_live_tokens()
        yield from live.secrets
        yield from passwords(address(live.inbox))
        yield from (value for name, value in os.environ.items() if _SECRET_NAME.search(name))
        for rule in live.rules:
            yield from (value for name, value in rule.variables.items() if name != "PATH")

    def _count(self, status: str) -> int:
        with self._database.reading() as connection:
            return connection.execute(sa.select(sa.func.count()).where(RUNS.c.status == status)).scalar_one()

    def _runs(self) -> list[tuple[Run, int]]:
        """Return the latest runs, and those that failed for good before them, the newest first."""
        newest = sa.select(RUNS).order_by(RUNS.c.id.desc())
        size = sa.select(sa.func.count()).where(RUN_EVENTS.c.run_id == RUNS.c.id).correlate(RUNS).scalar_subquery()
        with self._database.reading() as connection:
            found = {
                row[0]: (Run(*row[:-1]), row[-1])
                for limited in (newest.limit(_LATEST), newest.where(RUNS.c.status == FAILED).limit(_FAILED))
                for row in connection.execute(limited.add_columns(size))
            }
        return [found[run_id] for run_id in sorted(found, reverse=True)]

    def _events(self) -> Counter[tuple[str, str]]:
        """Return how many events of the last days have come how far, by name and state.

        The database counts: with one row for each event of a busy month, the page would hold up the receiver.
        """
        least = self._progress()
        planned = sa.select(sa.func.coalesce(sa.func.max(PLANNED.c.event_id), 0)).scalar_subquery()
        is_new = sa.case((EVENTS.c.id > planned, 1), else_=0).label("is_new")
        columns = (EVENTS.c.service, EVENTS.c.kind, least.c.least)
        counted = (
            sa.select(*columns, is_new, sa.func.count())
            .select_from(EVENTS.outerjoin(least, least.c.event_id == EVENTS.c.id))
            .where(EVENTS.c.received_at >= _since())
            # By its name: PostgreSQL does not see that it is the same expression with the same parameters.
            .group_by(*columns, sa.text("is_new"))
        )
        found: Counter[tuple[str, str]] = Counter()
        with self._database.reading() as connection:
            for service, kind, place, new, count in connection.execute(counted):
                state = _ORDER[place] if place is not None else NEW if new and self._settings.rules else NO_RUN
                found[f"{service}.{kind}", state] += count
        return found

    def _open(self) -> list[EventSummary]:
        """Return the latest events that a rule wants and that no run covers, or only runs that failed for good."""
        least = self._progress()
        rows = (
            sa.select(EVENTS.c.id)
            .select_from(EVENTS.outerjoin(least, least.c.event_id == EVENTS.c.id))
            .where(EVENTS.c.received_at >= _since(), sa.func.coalesce(least.c.least, 0) == 0)
            .order_by(EVENTS.c.id.desc())
            .limit(_LOOKED_AT)
        )
        with self._database.reading() as connection:
            found = summaries(connection, EVENTS.c.id.in_(rows))
        return [event for event in reversed(found) if matching(self._settings.rules, event)][:_OPEN]

    def _progress(self) -> sa.Subquery:
        """Return by event how far the rule has come that has come least far; an event without a run is left out."""
        furthest = sa.func.max(sa.case(*((RUNS.c.status == one, place) for place, one in enumerate(_ORDER))))
        by_job = (
            sa.select(RUN_EVENTS.c.event_id, furthest.label("furthest"))
            .join(RUNS, RUNS.c.id == RUN_EVENTS.c.run_id)
            .where(RUNS.c.job.in_([rule.name for rule in self._settings.rules]))
            .group_by(RUN_EVENTS.c.event_id, RUNS.c.job)
            .subquery()
        )
        least = sa.func.min(by_job.c.furthest).label("least")
        return sa.select(by_job.c.event_id, least).group_by(by_job.c.event_id).subquery()

    def _shown(self, run: Run, events: int, redact: Redactor) -> ShownRun:
        has_failed = run.status == FAILED or (run.status == WAITING and run.attempts > 0)
        line = redact(_last_error(_tail(run.log_path))) if has_failed else ""
        return ShownRun(run, shown(run.job, self._settings.rules), events, line[:_LONGEST_LINE])


def _since() -> str:
    return instants.text(now_ms() - DAYS * 86_400_000)


def _tail(path: str | None) -> Sequence[str]:
    if path is None:
        return ()
    try:
        with Path(path).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            text = file.read(_TAIL).decode(errors="replace")
    except OSError:
        return ()
    return [line.strip() for line in _COLOUR.sub("", text).splitlines() if line.strip()]


def _last_error(lines: Sequence[str]) -> str:
    """Return the last line that tells of an error, or the last one; "" if there are none."""
    return next((line for line in reversed(lines) if _ERROR.search(line)), lines[-1] if lines else "")
