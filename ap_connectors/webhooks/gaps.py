"""What the last `reconcile` found, kept in the inbox for the receiver's page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from ap_connectors.core import instants
from ap_connectors.webhooks.database import RECONCILED, Database, now, now_ms
from ap_connectors.webhooks.reconcile import Report

_DAY = 86_400_000
_MOST = 200
"""Gaps that are kept by name, and lines on how they were closed."""


def keep(database: Database, report: Report, mended: Sequence[str]) -> None:
    """Keep a report in place of the one before.

    Args:
        database: of the inbox.
        report: what was found.
        mended: lines on what was done about it.

    Raises:
        Outage: the inbox cannot be written.
    """
    found = {
        "days": round((now_ms() - report.since) / _DAY, 2),
        "covered": {name: instants.text(at) for name, at in _covered_now(report, covered(last(database))).items()},
        "count": len(report.gaps),
        "gaps": [gap.words for gap in report.gaps[:_MOST]],
        "mended": list(mended[:_MOST]),
        "compared": dict(report.compared),
        "notes": report.notes,
    }
    with database.writing() as connection:
        connection.execute(sa.delete(RECONCILED))
        connection.execute(RECONCILED.insert().values(id=1, at=now(), report=json.dumps(found, ensure_ascii=False)))


def covered(found: Mapping[str, Any] | None) -> dict[str, int]:
    """Return, for each service, from when on the next comparison has to look (milliseconds since 1970)."""
    return {name: instants.milliseconds(at) for name, at in ((found or {}).get("covered") or {}).items()}


def _covered_now(report: Report, before: Mapping[str, int]) -> dict[str, int]:
    reached = dict(before)
    for service in report.services:
        has_gaps = any(gap.event.startswith(f"{service}.") for gap in report.gaps)
        # What the one before left out stays to be compared.
        if report.since <= before.get(service, report.since):
            reached[service] = report.since if has_gaps else report.until
    return reached


def last(database: Database) -> dict[str, Any] | None:
    """Return the last report, with the instant `at`; None if there was none.

    Raises:
        Outage: the inbox cannot be read.
    """
    with database.reading() as connection:
        row = connection.execute(sa.select(RECONCILED.c.at, RECONCILED.c.report)).one_or_none()
    return None if row is None else {"at": row.at, **json.loads(row.report)}
