"""What the last `reconcile` found, kept in the inbox for the receiver's page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from ap_connectors.webhooks.database import RECONCILED, Database, now
from ap_connectors.webhooks.reconcile import Report

_MOST = 200
"""Gaps that are kept by name, and lines on how they were closed."""


def keep(database: Database, report: Report, mended: Sequence[str], days: float) -> None:
    """Keep a report in place of the one before.

    Args:
        database: of the inbox.
        report: what was found.
        mended: lines on what was done about it.
        days: how far it looked back.

    Raises:
        Outage: the inbox cannot be written.
    """
    found = {
        "days": days,
        "count": len(report.gaps),
        "gaps": [gap.words for gap in report.gaps[:_MOST]],
        "mended": list(mended[:_MOST]),
        "compared": dict(report.compared),
        "notes": report.notes,
    }
    with database.writing() as connection:
        connection.execute(sa.delete(RECONCILED))
        connection.execute(RECONCILED.insert().values(id=1, at=now(), report=json.dumps(found, ensure_ascii=False)))


def last(database: Database) -> dict[str, Any] | None:
    """Return the last report, with the instant `at`; None if there was none.

    Raises:
        Outage: the inbox cannot be read.
    """
    with database.reading() as connection:
        row = connection.execute(sa.select(RECONCILED.c.at, RECONCILED.c.report)).one_or_none()
    return None if row is None else {"at": row.at, **json.loads(row.report)}
