"""What the last `reconcile` found, kept in the inbox for the receiver's page."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from ap_connectors.webhooks.database import RECONCILED, now
from ap_connectors.webhooks.inbox import Inbox

_MOST = 500
"""Gaps that are kept by name."""


def keep_report(inbox: Inbox, report: dict[str, Any]) -> None:
    """Keep a report as `reconcile` shows it.

    Raises:
        Outage: the inbox cannot be written.
    """
    kept = {**report, "gaps": report["gaps"][:_MOST], "count": len(report["gaps"])}
    with inbox.database.writing() as connection:
        connection.execute(sa.delete(RECONCILED))
        connection.execute(RECONCILED.insert().values(id=1, at=now(), report=json.dumps(kept, default=str)))


def last_report(inbox: Inbox) -> dict[str, Any] | None:
    """Return the last report, with `at`; None if there was none."""
    with inbox.database.reading() as connection:
        row = connection.execute(sa.select(RECONCILED.c.at, RECONCILED.c.report)).one_or_none()
    return None if row is None else {"at": row.at, **json.loads(row.report)}
